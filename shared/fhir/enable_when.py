"""Which questions of a response were asked: ``enableWhen`` on instance paths, and why the others were not.

Implements https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.enableWhen as decided for
this system: any answer of the gate satisfies; an unanswered gate is false for every operator but ``exists``,
also for ``!=``; a disabled ancestor disables its descendants; answers to disabled items open nothing.

Which occurrence of the gate: the ancestor itself, else the nearest preceding, else the nearest following one,
within the innermost instance of a group (or answer) that the item shares with the gate. A gate left out of
that instance is unanswered there; another repetition of the group never speaks for it.

FHIR knows enabled and disabled. For safety the second is split by Kleene's logic: DISABLED only where known
answers rule the item out, so that it may count as "no"; DISABLED_UNKNOWN where they do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from shared.fhir.answer_values import (
    AnswerValue,
    Coding,
    Quantity,
    comparable_dates,
    compare,
    is_absence,
    is_number,
    read_value,
    says_unknown,
)
from shared.fhir.codes import NO, YES_NO_SYSTEM
from shared.fhir.questionnaire import Condition, QuestionItem, QuestionnaireIndex

IMPLIED_NO: Final = (("Coding", Coding(YES_NO_SYSTEM, NO)), ("Boolean", False))
"""What a yes/no question stands for when it was hidden because its own gate ruled it out."""


class Enablement(StrEnum):
    """Whether an item is asked, and if not, whether its fact is "no" or unknown."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    DISABLED_UNKNOWN = "disabled-unknown"


_STATE: Final = {True: Enablement.ENABLED, False: Enablement.DISABLED, None: Enablement.DISABLED_UNKNOWN}


class Answer(NamedTuple):
    """One answer with its place. `kind` is the ``value[x]`` suffix; "Absent": no value, with a reason."""

    link_id: str
    kind: str
    value: AnswerValue | None
    expression: str
    state: Enablement


class Place:
    """Where items can stand: the response (linkId None), one instance of a group, or one answer."""

    __slots__ = ("answer_number", "link_id", "nodes", "owner", "raw")

    def __init__(self, raw: Mapping[str, Any], owner: Node | None, answer_number: int | None = None) -> None:
        self.raw = raw
        self.owner = owner
        self.link_id: str | None = owner.link_id if owner else None
        self.answer_number = answer_number
        self.nodes: list[Node] = []

    @property
    def expression(self) -> str:
        """FHIRPath of the element that holds the ``item`` array."""
        if self.owner is None:
            return "QuestionnaireResponse"
        if self.answer_number is None:
            return self.owner.expression
        return f"{self.owner.expression}.answer[{self.answer_number}]"


class Node:
    """One item of the response. `item` is its definition, None when the linkId is unknown."""

    __slots__ = ("_values", "answers", "item", "link_id", "number", "place", "places", "raw")

    def __init__(self, raw: Mapping[str, Any], item: QuestionItem | None, place: Place, number: int) -> None:
        self.raw = raw
        self.link_id = raw.get("linkId")
        self.item = item
        self.place = place
        self.number = number
        self.answers: list[Mapping[str, Any]] = raw.get("answer") or []
        self.places: list[Place] = []
        self._values: list[tuple[str, AnswerValue] | None] | None = None

    @property
    def values(self) -> list[tuple[str, AnswerValue] | None]:
        """Kind and value of each answer, None for an answer without a value. Read once."""
        if self._values is None:
            self._values = [read_value(answer) for answer in self.answers]
        return self._values

    @property
    def expression(self) -> str:
        """FHIRPath with indexes."""
        return f"{self.place.expression}.item[{self.number}]"

    @property
    def is_in_place(self) -> bool:
        """True when it stands under the item that the Questionnaire puts it under."""
        return self.item is not None and self.item.parent == self.place.link_id


class ResponseView:
    """A response laid over its Questionnaire. Made by `enablement`; states are computed when asked for.

    What a condition comes to is remembered by its number, or, where its gate may stand more than once, by all that says
    which occurrence counts: a few thousand answers are then looked at once, not for each of a few hundred groups.
    """

    def __init__(self, index: QuestionnaireIndex, response: Mapping[str, Any]) -> None:
        self.index = index
        self.root = Place(response, None)
        self.occurrences: dict[str, list[Node]] = {}
        self.misplaced: set[str] = set()
        self._states: dict[tuple[str, Place], Enablement] = {}
        self._rules: dict[tuple[int, ...], Enablement] = {}
        self._judged: dict[int, bool | None] = {}
        self._judged_in: dict[tuple[int, Place, bool], bool | None] = {}
        self._doubled = False
        self._fill(self.root)

    def _fill(self, place: Place) -> None:
        """Lay out the items of one place and everything below, also where they should not be."""
        items, occurrences, parent = self.index.items, self.occurrences, place.link_id
        for position, raw in enumerate(place.raw.get("item") or ()):
            link_id = raw.get("linkId")
            item = items.get(link_id)
            node = Node(raw, item, place, position)
            if item is not None and item.parent != parent:
                self.misplaced.add(item.link_id)
            place.nodes.append(node)
            if link_id in occurrences:
                occurrences[link_id].append(node)
                self._doubled = self._doubled or (item is not None and item.singular)
            else:
                occurrences[link_id] = [node]
            is_leaf = item is not None and item.is_question and not item.children
            if "item" in raw or (item is not None and item.type == "group"):
                node.places.append(Place(raw, node))
            for number, answer in enumerate(node.answers):
                if not is_leaf or "item" in answer:
                    node.places.append(Place(answer, node, number))
            for inner in node.places:
                self._fill(inner)

    def state(self, link_id: str) -> Enablement:
        """State of the first instance of this item, present in the response or not. KeyError if unknown."""
        item = self.index.items[link_id]
        if not item.gated or (item.singular and not self._doubled):
            return self.state_at(item, self.root)
        for node in self.occurrences.get(link_id, ()):
            if node.is_in_place:
                return self.state_at(item, node.place)
        for ancestor in reversed(item.path):
            for node in self.occurrences.get(ancestor, ()):
                if node.is_in_place:
                    return self.state_at(item, node.places[0] if node.places else node.place)
        return self.state_at(item, self.root)

    def answers(self, link_id: str) -> tuple[Answer, ...]:
        """All answers to this question in document order, also misplaced ones and those of disabled items."""
        return tuple(self._answers(link_id))

    def _answers(self, link_id: str) -> Iterator[Answer]:
        for node in self.occurrences.get(link_id, ()):
            if node.item is None:
                continue
            state = self.state_at(node.item, node.place) if node.is_in_place else self.state(link_id)
            for number, (answer, value) in enumerate(zip(node.answers, node.values, strict=True)):
                expression = f"{node.expression}.answer[{number}]"
                if value is not None:
                    yield Answer(link_id, *value, f"{expression}.value", state)
                elif is_absence(answer):
                    yield Answer(link_id, "Absent", None, expression, state)

    def state_at(self, item: QuestionItem, place: Place) -> Enablement:
        """State of an item that stands, or would stand, in `place` or in a group still missing below it."""
        if not item.gated:
            return Enablement.ENABLED
        key = (item.link_id, place if self._doubled or not item.singular else self.root)
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = self._compute(item, place)
        return state

    def _compute(self, item: QuestionItem, place: Place) -> Enablement:
        own = self._own_state(item, place) if item.enable_when else Enablement.ENABLED
        if item.parent is None or own is Enablement.DISABLED:
            return own
        above = place.owner.place if place.owner and place.link_id == item.parent else place
        parent = self.state_at(self.index.items[item.parent], above)
        if parent is Enablement.ENABLED:
            return own
        return parent

    def _own_state(self, item: QuestionItem, place: Place) -> Enablement:
        """State by the item's own conditions. On gates that stand once, equal conditions agree."""
        if item.rule is None or self._doubled:
            return self._combine(item, place)
        if item.rule not in self._rules:
            self._rules[item.rule] = self._combine(item, place)
        return self._rules[item.rule]

    def _combine(self, item: QuestionItem, place: Place) -> Enablement:
        """Kleene's "and" or "or" over the conditions; None is unknown and never enables."""
        settles = item.enable_behavior == "any"
        outcome: bool | None = not settles
        for condition in item.enable_when:
            holds = self._holds(condition, item, place)
            if holds is settles:
                return _STATE[settles]
            if holds is None:
                outcome = None
        return _STATE[outcome]

    def _holds(self, condition: Condition, item: QuestionItem, place: Place) -> bool | None:
        """One condition: True as FHIR has it, False when its gate rules the item out, None otherwise."""
        if condition.number in self._judged:
            return self._judged[condition.number]
        gate = self.index.items[condition.question]
        found = self.occurrences.get(gate.link_id, [])
        if self._doubled or not gate.singular:
            scope, precedes = _scope(gate, place), gate.index < item.index
            key = (condition.number, scope, precedes)
            if key not in self._judged_in:
                nodes = _nearest(gate, found, scope, precedes=precedes)
                self._judged_in[key] = self._judge(condition, gate, nodes, scope)
            return self._judged_in[key]
        outcome = self._judged[condition.number] = self._judge(condition, gate, found, self.root)
        return outcome

    def _judge(self, condition: Condition, gate: QuestionItem, nodes: list[Node], scope: Place) -> bool | None:
        """What these occurrences of the gate say; without any, it would stand in `scope`."""
        values = [value for node in nodes for value in node.values if value is not None]
        state = self.state_at(gate, nodes[0].place if nodes else scope)
        if state is not Enablement.ENABLED:
            return hidden_gate(condition, state, answered=bool(values))
        return said_by(condition, gate, values)


def enablement(index: QuestionnaireIndex, response: Mapping[str, Any]) -> ResponseView:
    """Lay a structurally valid response over its Questionnaire."""
    return ResponseView(index, response)


def _scope(gate: QuestionItem, place: Place) -> Place:
    """The innermost place around an item that its gate stands in too, or that the gate itself makes."""
    while place.owner is not None:
        if place.link_id == gate.link_id or place.link_id in gate.path:
            break
        place = place.owner.place
    return place


def _nearest(gate: QuestionItem, found: list[Node], scope: Place, *, precedes: bool) -> list[Node]:
    """The occurrence of the gate that counts within `scope`; split repetitions come together.

    `precedes`: the gate stands before the item in the Questionnaire.
    """
    if scope.owner is not None:
        if scope.link_id == gate.link_id:
            return [scope.owner]
        found = list(_below(scope, gate))
    if len(found) < 2:
        return found
    nearest = found[-1] if precedes else found[0]
    return [node for node in found if node.place is nearest.place]


def said_by(condition: Condition, gate: QuestionItem, values: list[tuple[str, AnswerValue]]) -> bool | None:
    """What the answers of a gate that is asked say about a condition: any of them satisfies it."""
    if condition.operator == "exists":
        return _exists(condition.expected is True, values)
    outcomes = [_outcome(condition, gate, kind, value) for kind, value in values]
    if True in outcomes:
        return True
    return None if None in outcomes or not outcomes else False


def hidden_gate(condition: Condition, state: Enablement, *, answered: bool) -> bool | None:
    """A gate that is not asked. ``exists = false`` holds; nothing else does.

    Hidden as "no", it rules out what waits for a yes or a value, not what waits for the "no" itself.
    Answered although hidden, it contradicts itself and rules out nothing.
    """
    if condition.operator == "exists" and condition.expected is False:
        return True
    if state is Enablement.DISABLED_UNKNOWN or answered:
        return None
    waits_for_no = condition.operator != "exists" and any(
        kind == condition.kind and compare(kind, value, condition.operator, kind, condition.expected)
        for kind, value in IMPLIED_NO
        if _same_system(value, condition.expected)
    )
    return None if waits_for_no else False


def _below(scope: Place, gate: QuestionItem) -> Iterator[Node]:
    """The gate's occurrences inside one instance, in document order."""
    for node in scope.nodes:
        if node.link_id == gate.link_id:
            yield node
        elif node.link_id in gate.path:
            for place in node.places:
                yield from _below(place, gate)


def _exists(expected: bool, values: list[tuple[str, AnswerValue]]) -> bool | None:
    """``exists``: an unanswered gate, or "not sure" where no answer was wanted, rules nothing out."""
    if bool(values) is expected:
        return True
    if expected or all(says_unknown(value) for _, value in values):
        return None
    return False


def _same_system(implied: AnswerValue, expected: AnswerValue) -> bool:
    return not isinstance(implied, Coding) or (
        isinstance(expected, Coding) and expected.system in (None, YES_NO_SYSTEM)
    )


def _outcome(condition: Condition, gate: QuestionItem, kind: str, value: AnswerValue) -> bool | None:
    """What one answer of an enabled gate says: holds, rules out, or leaves open."""
    if isinstance(value, Coding) and value.key in condition.outcomes:
        return condition.outcomes[value.key]
    outcome = compare(kind, value, condition.operator, condition.kind, condition.expected)
    return None if outcome is False and not _is_reliable(gate, value) else outcome


def _is_reliable(gate: QuestionItem, value: AnswerValue) -> bool:
    """False for an answer that rules nothing out: none of the options, or out of range."""
    if isinstance(value, Coding):
        return value.key in gate.option_keys
    if isinstance(value, Quantity):
        return value.value is not None and is_within(gate, value.value)
    return isinstance(value, Mapping) or is_within(gate, value)


def is_within(item: QuestionItem, value: object) -> bool:
    """True when the value respects the inclusive bounds, as far as the two can be compared."""
    for bound, sign in ((item.min_value, 1), (item.max_value, -1)):
        if bound is None:
            continue
        low, high = (bound, value) if sign == 1 else (value, bound)
        if is_number(low) and is_number(high):
            if low > high:
                return False
        elif isinstance(low, str) and isinstance(high, str):
            pair = (low, high) if item.type == "time" else comparable_dates(low, high)
            if pair is not None and pair[0] > pair[1]:
                return False
    return True

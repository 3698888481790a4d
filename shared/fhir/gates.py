"""``enableWhen`` of one Questionnaire as tables: which questions of a plain response were asked.

A response is plain when every item stands once and where it belongs; nearly all are. Then there is one state per item,
and what an answer says about the conditions that wait for it is looked up. `enable_when.py` decides what the tables
hold, and judges every other response; tests compare both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, NamedTuple, TypeAlias

from shared.fhir.answer_values import AnswerValue, Coding, is_absence, read_value
from shared.fhir.enable_when import Enablement, hidden_gate, said_by
from shared.fhir.questionnaire import Condition, QuestionItem, QuestionnaireIndex

RULED_OUT, OPEN, ASKED = 0, 1, 2
"""States as numbers, so that Kleene's "and" is the least of them."""
_STATE: Final = {RULED_OUT: Enablement.DISABLED, OPEN: Enablement.DISABLED_UNKNOWN, ASKED: Enablement.ENABLED}
ENABLEMENTS: Final = (_STATE[RULED_OUT], _STATE[OPEN], _STATE[ASKED])
"""The states by their numbers."""

Outcomes: TypeAlias = tuple[int, int]
"""Of all conditions of a Questionnaire, as bits at their places: those that hold, and those that are known not to."""


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """An option of a question, as it is recognised when it is the only answer. `number`: among all options."""

    number: int
    system: str | None


Given: TypeAlias = Option | Sequence[Mapping[str, Any]]
"""The option that is the only answer to a question, or else its ``answer`` elements."""


class Answers:
    """What a plain response says. `reworded`: some item has other words than in the Questionnaire."""

    __slots__ = ("given", "reworded")

    def __init__(self) -> None:
        self.given: dict[str, Given] = {}
        self.reworded = False


class _Item(NamedTuple):
    """Where an item belongs, and its words. `options`: by code, those of a question; None for a group."""

    link_id: str
    parent: str | None
    text: str | None
    options: Mapping[object, Option] | None


@dataclass(frozen=True, slots=True)
class _Gate:
    """A question that others wait for, and what it says about its conditions: `by_option` for each of its options.

    `unanswered`: by its own state. `hidden`: the same for one that is not asked and was answered nevertheless. `first`:
    the place of its first condition.
    """

    item: QuestionItem
    conditions: tuple[Condition, ...]
    first: int
    by_option: Mapping[int, Outcomes]
    unanswered: tuple[Outcomes, Outcomes, Outcomes]
    hidden: tuple[Outcomes, Outcomes]

    def outcomes(self, state: int, given: Given) -> Outcomes:
        """What its answers say about each condition."""
        if isinstance(given, Option):
            return self.by_option[given.number] if state == ASKED else self.hidden[state]
        values = [value for value in map(read_value, given) if value is not None]
        if state != ASKED:
            return self.hidden[state] if values else self.unanswered[state]
        return _outcomes(self.item, self.conditions, values, self.first)


_Family: TypeAlias = tuple[int, int, bool, int]
"""Items with the same conditions under the same parent share one state: its place, that of the parent's state, whether
every one of its conditions must hold, and their places as bits."""


class _Level:
    """Gates whose own states are known, and the families whose states are known after them, in order.

    `gates`: with linkId, what its options say, and the place of the gate's own state.
    """

    __slots__ = ("families", "gates")

    def __init__(self) -> None:
        self.gates: list[tuple[str, _Gate, Mapping[int, Outcomes], int]] = []
        self.families: list[_Family] = []


class Gates:
    """The gates of one Questionnaire in the order in which they can be judged. Made once, used for every response.

    `family`: by linkId, the place of the item's state in `states`.
    """

    def __init__(self, index: QuestionnaireIndex) -> None:
        """Raises ValueError for a Questionnaire in which an item can stand in several places (`fits`)."""
        if not fits(index):
            raise ValueError("an item can stand in several places")
        self._index = index
        self._items: Mapping[object, _Item] = dict(_items(index))
        self.family: dict[str, int] = {}
        self._families: dict[tuple[int, str, tuple[int, ...]], int] = {}
        self._places: dict[int, int] = {}
        self._depths = [0]
        self._levels: list[_Level] = []
        for item in index.items.values():
            self._settle(item)

    @property
    def families(self) -> int:
        """How many states there are; the first is that of items without a gate."""
        return len(self._families) + 1

    def answers(self, response: Mapping[str, Any]) -> Answers | None:
        """The answers of a plain response in document order; None for a response that is not plain."""
        found = Answers()
        return found if self._lay_out(response.get("item") or (), None, found) else None

    def option(self, link_id: str, code: object) -> Option | None:
        """How the option with that code is recognised in `Answers`; None where its words are those that are sent."""
        return (self._items[link_id].options or {}).get(code)

    def states(self, answers: Answers) -> list[int]:
        """The state of every family: ASKED, RULED_OUT, or OPEN where no known answer rules it out."""
        states = [ASKED] * self.families
        holding = failing = 0
        answer_to = answers.given.get
        for level in self._levels:
            for link_id, gate, by_option, family in level.gates:
                given, state = answer_to(link_id), states[family]
                if not given:
                    hold, fail = gate.unanswered[state]
                elif state == ASKED and isinstance(given, Option):
                    hold, fail = by_option[given.number]
                else:
                    hold, fail = gate.outcomes(state, given)
                holding |= hold
                failing |= fail
            for number, parent, every, conditions in level.families:
                if every:
                    own = RULED_OUT if failing & conditions else ASKED if holding & conditions == conditions else OPEN
                else:
                    own = ASKED if holding & conditions else RULED_OUT if failing & conditions == conditions else OPEN
                above = states[parent]
                states[number] = own if own < above else above
        return states

    def _lay_out(self, items: Sequence[Mapping[str, Any]], parent: str | None, found: Answers) -> bool:
        """Collects the answers of these items and of all below; False when one is not where it belongs, or repeated."""
        known, given = self._items, found.given
        for raw in items:
            item = known.get(raw.get("linkId"))
            if item is None:
                return False
            link_id, above, text, options = item
            if above != parent or link_id in given:
                return False
            if raw.get("text", text) != text:
                found.reworded = True
            answers: Sequence[Mapping[str, Any]] = raw.get("answer") or ()
            if options is None:
                given[link_id] = ()
                if answers or not self._lay_out(raw.get("item") or (), link_id, found):
                    return False
            elif "item" in raw:
                return False
            else:
                if len(answers) == 1 and len(answers[0]) == 1:
                    coding = answers[0].get("valueCoding")
                    if isinstance(coding, dict):
                        option = options.get(coding.get("code"))
                        if option is not None and option.system == coding.get("system"):
                            given[link_id] = option
                            continue
                for answer in answers:
                    if "item" in answer:
                        return False
                given[link_id] = answers
        return True

    def _settle(self, item: QuestionItem) -> int:
        """The item's family, after the steps that its state depends on."""
        if item.link_id not in self.family:
            above = 0 if item.parent is None else self._settle(self._index.items[item.parent])
            self.family[item.link_id] = self._own_family(item, above) if item.enable_when else above
        return self.family[item.link_id]

    def _own_family(self, item: QuestionItem, above: int) -> int:
        depth = max(self._open(self._index.items[condition.question]) for condition in item.enable_when) + 1
        places = tuple(self._places[condition.number] for condition in item.enable_when)
        key = (above, item.enable_behavior, places)
        if key not in self._families:
            number = self._families[key] = len(self._families) + 1
            self._depths.append(max(depth, self._depths[above]))
            conditions = sum(1 << place for place in set(places))
            family = (number, above, item.enable_behavior != "any", conditions)
            self._levels[self._depths[number] - 1].families.append(family)
        return self._families[key]

    def _open(self, gate: QuestionItem) -> int:
        """Give the conditions that wait for this gate their places; returns at which depth its own state is known."""
        family = self._settle(gate)
        depth = self._depths[family]
        waiting = {
            condition.number: condition
            for item in self._index.items.values()
            for condition in item.enable_when
            if condition.question == gate.link_id
        }
        if next(iter(waiting)) in self._places:
            return depth
        first, conditions = len(self._places), tuple(waiting.values())
        self._places.update({number: first + place for place, number in enumerate(waiting)})
        while len(self._levels) <= depth:
            self._levels.append(_Level())
        opened = _Gate(
            item=gate,
            conditions=conditions,
            first=first,
            by_option={
                known.number: _outcomes(gate, conditions, [(option.kind, option.value)], first)
                for option in gate.options
                if isinstance(option.value, Coding)
                and (known := self.option(gate.link_id, option.value.code)) is not None
            },
            unanswered=(
                _hidden(conditions, RULED_OUT, first, answered=False),
                _hidden(conditions, OPEN, first, answered=False),
                _outcomes(gate, conditions, [], first),
            ),
            hidden=(
                _hidden(conditions, RULED_OUT, first, answered=True),
                _hidden(conditions, OPEN, first, answered=True),
            ),
        )
        self._levels[depth].gates.append((gate.link_id, opened, opened.by_option, family))
        return depth


def fits(index: QuestionnaireIndex) -> bool:
    """True when every item of the Questionnaire can stand in one place only."""
    return all(item.singular and not (item.is_question and item.children) for item in index.items.values())


def _items(index: QuestionnaireIndex) -> Iterator[tuple[str, _Item]]:
    """Every item by linkId. Options that share a code, or have no published words, are not looked up."""
    numbers = count()
    for link_id, item in index.items.items():
        codings = [option.value for option in item.options if isinstance(option.value, Coding)]
        times = Counter(coding.code for coding in codings)
        options: dict[object, Option] = {
            coding.code: Option(next(numbers), coding.system)
            for coding in codings
            if coding.display and times[coding.code] == 1
        }
        yield link_id, _Item(link_id, item.parent, item.text, None if item.type == "group" else options)


def values_of(answers: Sequence[Mapping[str, Any]]) -> list[AnswerValue | None]:
    """The value of each answer, None for one that says that it is not known; nothing for one that says nothing."""
    read = [(answer, read_value(answer)) for answer in answers]
    return [None if value is None else value[1] for answer, value in read if value is not None or is_absence(answer)]


def _outcomes(
    gate: QuestionItem, conditions: Sequence[Condition], values: list[tuple[str, AnswerValue]], first: int
) -> Outcomes:
    return _bits([said_by(condition, gate, values) for condition in conditions], first)


def _hidden(conditions: Sequence[Condition], state: int, first: int, *, answered: bool) -> Outcomes:
    return _bits([hidden_gate(condition, _STATE[state], answered=answered) for condition in conditions], first)


def _bits(found: Sequence[bool | None], first: int) -> Outcomes:
    """What conditions come to, the first of them at this place; None is open."""
    holding = sum(1 << place for place, one in enumerate(found, first) if one is True)
    return holding, sum(1 << place for place, one in enumerate(found, first) if one is False)

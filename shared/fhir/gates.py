"""``enableWhen`` of one Questionnaire as tables: which questions of a plain response were asked.

A response is plain when every item stands once and where it belongs; nearly all are. Then there is one state per item,
and what an answer says about the conditions that wait for it is looked up. `enable_when.py` decides what the tables
hold, and judges every other response; tests compare both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, TypeAlias

from shared.fhir.answer_values import AnswerValue, Coding, is_absence, read_value
from shared.fhir.enable_when import Enablement, hidden_gate, said_by
from shared.fhir.questionnaire import Condition, QuestionItem, QuestionnaireIndex

RULED_OUT, OPEN, ASKED = 0, 1, 2
"""States as numbers, so that Kleene's "and" is the least and "or" the greatest of them."""
_NUMBER: Final = {False: RULED_OUT, None: OPEN, True: ASKED}
_STATE: Final = {RULED_OUT: Enablement.DISABLED, OPEN: Enablement.DISABLED_UNKNOWN, ASKED: Enablement.ENABLED}
ENABLEMENTS: Final = (_STATE[RULED_OUT], _STATE[OPEN], _STATE[ASKED])
"""The states by their numbers."""

Answers: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]
"""The ``answer`` elements of each question that has any, by linkId."""
Outcomes: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Gate:
    """A question that others wait for, and what it says about its conditions: `by_code` for each of its options.

    `unanswered`: by its own state. `hidden`: the same for one that is not asked and was answered nevertheless.
    """

    item: QuestionItem
    conditions: tuple[Condition, ...]
    place: slice
    family: int
    by_code: Mapping[object, Outcomes]
    unanswered: tuple[Outcomes, Outcomes, Outcomes]
    hidden: tuple[Outcomes, Outcomes]

    def outcomes(self, state: int, answers: Sequence[Mapping[str, Any]]) -> Outcomes:
        """What its answers say about each condition."""
        if state == ASKED and len(answers) == 1:
            coding = answers[0].get("valueCoding")
            if isinstance(coding, dict):
                known = self.by_code.get((coding.get("system"), coding.get("code")))
                if known is not None:
                    return known
        values = [value for value in map(read_value, answers) if value is not None]
        if state != ASKED:
            return self.hidden[state] if values else self.unanswered[state]
        return _outcomes(self.item, self.conditions, values)


_Family: TypeAlias = tuple[int, int, Callable[[Any], int], Callable[[Sequence[int]], Any]]
"""Items with the same conditions under the same parent share one state: its place, that of the parent's state, "all" or
"any", and the outcomes of the conditions."""


class Gates:
    """The gates of one Questionnaire in the order in which they can be judged. Made once, used for every response.

    `family`: by linkId, the place of the item's state in `states`.
    """

    def __init__(self, index: QuestionnaireIndex) -> None:
        """Raises ValueError for a Questionnaire in which an item can stand in several places (`fits`)."""
        if not fits(index):
            raise ValueError("an item can stand in several places")
        self._index = index
        self._parents = {link_id: item.parent for link_id, item in index.items.items()}
        self._leaves = {link_id for link_id, item in index.items.items() if item.type != "group"}
        self.family: dict[str, int] = {}
        self._families: dict[tuple[int, str, tuple[int, ...]], int] = {}
        self._places: dict[int, int] = {}
        self._depths = [0]
        self._levels: list[tuple[list[tuple[str, _Gate]], list[_Family]]] = []
        for item in index.items.values():
            self._settle(item)

    @property
    def families(self) -> int:
        """How many states there are; the first is that of items without a gate."""
        return len(self._families) + 1

    def answers(self, response: Mapping[str, Any]) -> Answers | None:
        """The answers of a plain response in document order; None for a response that is not plain."""
        found: dict[str, Sequence[Mapping[str, Any]]] = {}
        return found if self._lay_out(response.get("item") or (), None, found) else None

    def states(self, answers: Answers) -> list[int]:
        """The state of every family: ASKED, RULED_OUT, or OPEN where no known answer rules it out."""
        states = [ASKED] * self.families
        outcomes = [OPEN] * len(self._places)
        for gates, families in self._levels:
            for link_id, gate in gates:
                given, state = answers.get(link_id), states[gate.family]
                outcomes[gate.place] = gate.outcomes(state, given) if given else gate.unanswered[state]
            for number, parent, combine, conditions in families:
                own, above = combine(conditions(outcomes)), states[parent]
                states[number] = own if own < above else above
        return states

    def _lay_out(
        self, items: Sequence[Mapping[str, Any]], parent: str | None, found: dict[str, Sequence[Mapping[str, Any]]]
    ) -> bool:
        """Collects the answers of these items and of all below; False when one is not where it belongs, or repeated."""
        parents, leaves = self._parents, self._leaves
        for raw in items:
            link_id = raw.get("linkId")
            if link_id in found or link_id not in parents or parents[link_id] != parent:
                return False
            answers: Sequence[Mapping[str, Any]] = raw.get("answer") or ()
            found[link_id] = answers
            if link_id not in leaves:
                if answers or not self._lay_out(raw.get("item") or (), link_id, found):
                    return False
            elif "item" in raw:
                return False
            for answer in answers:
                if "item" in answer:
                    return False
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
            combine: Callable[[Any], int] = max if item.enable_behavior == "any" else min
            several = places if len(places) > 1 else places * 2
            self._depths.append(max(depth, self._depths[above]))
            self._levels[self._depths[number] - 1][1].append((number, above, combine, itemgetter(*several)))
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
            self._levels.append(([], []))
        opened = _Gate(
            item=gate,
            conditions=conditions,
            place=slice(first, first + len(conditions)),
            family=family,
            by_code={
                option.key: _outcomes(gate, conditions, [(option.kind, option.value)])
                for option in gate.options
                if isinstance(option.value, Coding)
            },
            unanswered=(
                _hidden(conditions, RULED_OUT, answered=False),
                _hidden(conditions, OPEN, answered=False),
                _outcomes(gate, conditions, []),
            ),
            hidden=(_hidden(conditions, RULED_OUT, answered=True), _hidden(conditions, OPEN, answered=True)),
        )
        self._levels[depth][0].append((gate.link_id, opened))
        return depth


def fits(index: QuestionnaireIndex) -> bool:
    """True when every item of the Questionnaire can stand in one place only."""
    return all(item.singular and not (item.is_question and item.children) for item in index.items.values())


def values_of(answers: Sequence[Mapping[str, Any]]) -> list[AnswerValue | None]:
    """The value of each answer, None for one that says that it is not known; nothing for one that says nothing."""
    read = [(answer, read_value(answer)) for answer in answers]
    return [None if value is None else value[1] for answer, value in read if value is not None or is_absence(answer)]


def _outcomes(
    gate: QuestionItem, conditions: Sequence[Condition], values: list[tuple[str, AnswerValue]]
) -> tuple[int, ...]:
    return tuple(_NUMBER[said_by(condition, gate, values)] for condition in conditions)


def _hidden(conditions: Sequence[Condition], state: int, *, answered: bool) -> Outcomes:
    return tuple(_NUMBER[hidden_gate(condition, _STATE[state], answered=answered)] for condition in conditions)

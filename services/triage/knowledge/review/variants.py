"""What a flag line would make of a case with other answers: whether it lies where its kind says that it lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from services.triage.engine.compile import Compiler, Test
from services.triage.engine.criteria import Compare, Criterion
from services.triage.engine.model import FactDefinition, FactKind, Findings, FlagLine, Missing, Presence, Value
from services.triage.engine.pack import Pack
from services.triage.engine.results import Assessment
from services.triage.engine.state import State
from services.triage.engine.truth import UNKNOWN, YES
from services.triage.knowledge.review.places import criteria_behind, names_behind, parts_of

_STEPS = (Decimal(0), Decimal(1), Decimal(-1), Decimal("0.1"), Decimal("-0.1"))
"""Values are tried at a limit and this far from it."""


class Variants:
    """A line, and a case in which single answers are changed. Free text stays as it is."""

    def __init__(self, pack: Pack, line: FlagLine, assessment: Assessment) -> None:
        self._pack = pack
        self._assessment = assessment
        self._state = State(pack, assessment.findings, assessment.scope)
        self._test: Test = Compiler(pack.slots).compile(line.when)
        self._criteria = criteria_behind(pack, line.when)
        names = names_behind(pack, line.when)
        self._facts = [pack.facts[name] for name in sorted(names) if name in pack.facts]
        self._reads_text = not names.isdisjoint(pack.text_matches)

    def one_answer_fires(self) -> bool:
        """True when another value of one single fact makes the line fire. A line that reads text is one word away."""
        return self._reads_text or any(self._test(values) & YES for _, values in self._changed(self._facts))

    def an_unknown_can_stop_it(self) -> bool:
        """True when the line would not fire if what is unknown were known to be otherwise, one by one or together."""
        unknown = [fact for fact in self._facts if self._assessment.findings.get(fact.name).is_unknown]
        together = (self._all(unknown, value) for value in (Presence.PRESENT, Presence.ABSENT))
        return any(not self._test(values) & YES for values in (*together, *(v for _, v in self._changed(unknown))))

    def an_unknown_can_open_it(self) -> bool:
        """True when the line becomes undecided once one single answer is forgotten."""
        return any(
            self._test(values) == UNKNOWN
            for value, values in self._changed(self._facts)
            if value in (Presence.UNKNOWN, Missing.UNKNOWN)
        )

    def _changed(self, facts: Sequence[FactDefinition]) -> Iterator[tuple[Value, list[Any]]]:
        """The values of all facts, for each other value of each of these."""
        for fact in facts:
            for value in _other_values(fact, self._criteria):
                yield value, self._state.imagine({fact.name: value})

    def _all(self, facts: Sequence[FactDefinition], value: Presence) -> Sequence[Any]:
        """The values when all yes/no facts among these have this value."""
        findings = self._assessment.findings
        known = dict(findings.by_name)
        for fact in facts:
            if fact.kind is FactKind.PRESENCE:
                known[fact.name] = replace(findings.get(fact.name), value=value)
        return State(self._pack, Findings(known, findings.respondent), self._assessment.scope).values


def _other_values(fact: FactDefinition, criteria: Sequence[Criterion]) -> Iterator[Value]:
    """Every yes/no, every code, numbers around every limit in the criteria, and unknown."""
    match fact.kind:
        case FactKind.PRESENCE:
            yield from Presence
        case FactKind.CHOICE:
            yield from (frozenset({code}) for code in sorted(fact.codes))
            yield Missing.UNKNOWN
        case FactKind.QUANTITY:
            limits = {
                part.literal
                for when in criteria
                for part in parts_of(when)
                if isinstance(part, Compare) and part.name == fact.name and isinstance(part.literal, Decimal)
            }
            yield from (limit + step for limit in sorted(limits) for step in _STEPS)
            yield Missing.UNKNOWN
        case FactKind.TEXT:
            return

"""People for property tests: somebody with nothing remarkable, and everybody else a few answers away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from hypothesis import strategies as st

from services.triage.engine.criteria import All, AnyOf, Compare, Criterion, Not
from services.triage.engine.model import (
    MORE_UNKNOWN,
    FactDefinition,
    FactKind,
    Finding,
    FindingProblem,
    Findings,
    Presence,
    Respondent,
    Value,
    Visibility,
)
from services.triage.engine.pack import Pack, build_pack
from tests.triage.packs import NO, NOT_APPLICABLE, NOT_SURE, UNKNOWN, YES, described

FURTHER = 5
"""How many yes/no answers, and how many others, are remarkable at most: with more, everybody is an emergency."""
TEXTS = ("", "nothing else", "my foot is blue and I can't breathe", "\x00<b>&", "ß" * 400)

MILD_ANKLE_PAIN: dict[str, Value] = {
    "respondent": frozenset({"self"}),
    "age_years": Decimal(41),
    "sex_at_birth": frozenset({"male"}),
    "pregnancy_status": NOT_APPLICABLE,
    "location": frozenset({"outer_ankle"}),
    "location_other": frozenset({"none"}),
    "laterality": frozenset({"left"}),
    "onset": frozenset({"gradual"}),
    "duration_days": Decimal(13),
    "severity_0_10": Decimal(2),
    "pain_trend": frozenset({"same"}),
    "mechanism": frozenset({"none"}),
    "fall_kind": NOT_APPLICABLE,
    "single_heel_raise_possible": YES,
    "morning_stiffness_min": Decimal(5),
    "nsaid_caution": frozenset({"none"}),
    "other_concerns": NOT_APPLICABLE,
}
"""A man of 41 whose ankle has hurt a little for 13 days; every yes/no question that is not named is answered No."""


class World:
    """A pack, and the answers of somebody with nothing remarkable. Not a dataclass: a failing test prints it."""

    def __init__(self, name: str, pack: Pack, usual: Mapping[str, Value]) -> None:
        self.name, self.pack, self.usual = name, pack, usual

    def __repr__(self) -> str:
        return self.name

    @cached_property
    def rules(self) -> Pack:
        """The same pack without conditions: red flags, floors, scores."""
        return build_pack(replace(self.pack.content, conditions=(), ranking=None))

    @cached_property
    def yes_no(self) -> list[str]:
        """Names of all yes/no facts."""
        return [fact.name for fact in self.pack.content.facts if fact.kind is FactKind.PRESENCE]

    @cached_property
    def edges(self) -> dict[str, list[Decimal]]:
        """By quantity: each number that some rule compares it with, and its neighbours, within bounds."""
        found: dict[str, set[Decimal]] = {fact.name: set() for fact in self._of_kind(FactKind.QUANTITY)}
        content = self.pack.content
        criteria = [line.when for flag in content.flags for line in flag.lines]
        criteria += [derived.when for derived in content.derived]
        criteria += [floor.when for floor in content.safety.floors]
        for criterion in criteria:
            for name, number in _numbers(criterion):
                if name in found:
                    found[name] |= {number - 1, number, number + 1}
        return {name: self._within(self.pack.facts[name], numbers | {Decimal(1)}) for name, numbers in found.items()}

    def findings(self, facts: Mapping[str, Any], respondent: Respondent = Respondent.PATIENT) -> Findings:
        """The person with nothing remarkable but for these facts; every other yes/no question is answered No."""
        return described(self.pack, dict(self.usual), respondent, dict(facts))

    def answers(self) -> st.SearchStrategy[dict[str, Any]]:
        """A few remarkable answers, all of them clear."""
        presences = st.dictionaries(st.sampled_from(self.yes_no), st.sampled_from((YES, NOT_SURE)), max_size=FURTHER)
        named = [fact.name for kind in (FactKind.CHOICE, FactKind.QUANTITY) for fact in self._of_kind(kind)]
        others = st.lists(st.sampled_from(named), unique=True, max_size=FURTHER).flatmap(
            lambda names: st.fixed_dictionaries({name: self._value(self.pack.facts[name]) for name in names})
        )
        return st.builds(lambda one, other: {**one, **other}, presences, others)

    def people(self) -> st.SearchStrategy[tuple[dict[str, Any], Respondent]]:
        """Somebody with a few remarkable answers, told as what is remarkable and who answered."""
        return st.tuples(self.answers(), st.sampled_from(Respondent))

    def anything(self) -> st.SearchStrategy[list[tuple[str, Finding]]]:
        """Whatever a response can be read as: doubtful, hidden, contradictory and missing answers to any question."""
        facts = st.sampled_from(list(self.pack.content.facts)).flatmap(
            lambda fact: st.tuples(st.just(fact.name), self._finding(fact))
        )
        return st.lists(facts, max_size=40)

    def _of_kind(self, kind: FactKind) -> list[FactDefinition]:
        return [fact for fact in self.pack.content.facts if fact.kind is kind]

    def _within(self, fact: FactDefinition, numbers: set[Decimal]) -> list[Decimal]:
        bounds = [bound for bound in (fact.minimum, fact.maximum) if bound is not None]
        low = fact.minimum if fact.minimum is not None else -Decimal("Infinity")
        high = fact.maximum if fact.maximum is not None else Decimal("Infinity")
        return sorted({number for number in (*numbers, *bounds) if low <= number <= high})

    def _value(self, fact: FactDefinition) -> st.SearchStrategy[Value]:
        """A value that somebody may have given, or that nobody knows."""
        match fact.kind:
            case FactKind.PRESENCE:
                return st.sampled_from((YES, NO, NOT_SURE))
            case FactKind.CHOICE:
                codes = sorted(fact.codes) or ["something"]
                return st.one_of(st.just(UNKNOWN), st.sampled_from(codes).map(lambda code: frozenset({code})))
            case FactKind.QUANTITY:
                return st.one_of(st.just(UNKNOWN), st.sampled_from(self.edges[fact.name]))
            case FactKind.TEXT:
                return st.sampled_from(TEXTS)

    def _finding(self, fact: FactDefinition) -> st.SearchStrategy[Finding]:
        value = self._value(fact)
        if fact.kind is FactKind.CHOICE and fact.codes:
            several = st.frozensets(st.sampled_from([*sorted(fact.codes), MORE_UNKNOWN]), min_size=1, max_size=4)
            value = st.one_of(value, several)
        if fact.kind is not FactKind.PRESENCE:
            value = st.one_of(value, st.sampled_from((UNKNOWN, NOT_APPLICABLE)))
        unknown: Value = Presence.UNKNOWN if fact.kind is FactKind.PRESENCE else UNKNOWN
        plain = st.builds(
            lambda given, visibility: Finding(given, (fact.link_id,), f"{fact.label}?", str(given), visibility),
            value,
            st.sampled_from(Visibility),
        )
        doubtful = st.sampled_from(FindingProblem).map(lambda problem: Finding(unknown, answer="?", problem=problem))
        twice = st.lists(value, min_size=2, max_size=3).map(
            lambda given: Finding(unknown, answer="both", alternatives=tuple(given))
        )
        return st.one_of(plain, plain, doubtful, twice)


def _numbers(criterion: Criterion) -> list[tuple[str, Decimal]]:
    match criterion:
        case Compare(name, _, Decimal() as number):
            return [(name, number)]
        case Not(part):
            return _numbers(part)
        case All(parts) | AnyOf(parts):
            return [one for part in parts for one in _numbers(part)]
        case _:
            return []

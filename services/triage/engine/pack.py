"""A pack ready to run: its content, with every criterion compiled and put in order of computation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TypeAlias

from services.triage.engine.compile import Compiler, Slots, Test
from services.triage.engine.content import Content, PackHead
from services.triage.engine.criteria import Criterion, names_in
from services.triage.engine.model import (
    Contradiction,
    DerivedFact,
    FactDefinition,
    Flag,
    FlagLine,
    Floor,
    ScoreDefinition,
    Screen,
    TextMatch,
    Urgency,
)
from services.triage.engine.ranking import Ranking, compile_ranking
from services.triage.engine.scores import CompiledScore, compile_score


@dataclass(frozen=True, slots=True)
class CompiledDerived:
    """A derived fact with its place and its criterion compiled."""

    definition: DerivedFact
    slot: int
    test: Test


Step: TypeAlias = CompiledDerived | CompiledScore
Computed: TypeAlias = DerivedFact | ScoreDefinition


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """One version of clinical content, made by `build_pack`. Never changes; threads may share it.

    `emergency_facts`: base facts on which some emergency line depends.
    `base_facts`: for each derived fact, score quantity and base fact, the base facts it depends on.
    """

    content: Content
    facts: Mapping[str, FactDefinition]
    computed: Mapping[str, Computed]
    text_matches: Mapping[str, TextMatch]
    slots: Slots
    compiler: Compiler
    steps: tuple[Step, ...]
    lines: tuple[tuple[Flag, tuple[tuple[FlagLine, Test], ...]], ...]
    contradictions: tuple[tuple[Contradiction, Test], ...]
    floors: tuple[tuple[Floor, Test], ...]
    raised_screen: Test
    ranking: Ranking | None
    screened: tuple[FactDefinition, ...]
    base_facts: Mapping[str, frozenset[str]]
    emergency_facts: frozenset[str]

    @property
    def head(self) -> PackHead:
        """Which pack this is."""
        return self.content.head

    def text(self, key: str, **words: str) -> str:
        """The sentence of that key, its words in braces filled in. Raises KeyError for an unknown key."""
        return self.content.texts[key].format_map(words) if words else self.content.texts[key]


def build_pack(content: Content) -> Pack:
    """Compile a pack. Raises ValueError for a repeated name, an unknown fact, or a circular definition."""
    facts = {fact.name: fact for fact in content.facts}
    matches = {match.name: match for match in content.text_matches}
    computed: dict[str, Computed] = {derived.name: derived for derived in content.derived}
    computed.update((score.known_points_fact, score) for score in content.scores)
    _refuse_repeated_names(content)
    names = [*facts, *matches, *computed]
    slots = {name: slot for slot, name in enumerate(names)}
    order = _computing_order(computed, slots)
    base_facts = _base_facts(facts, matches, computed, order)
    safety = content.safety
    compiler = Compiler(slots)
    return Pack(
        content=content,
        facts=facts,
        computed=computed,
        text_matches=matches,
        slots=slots,
        compiler=compiler,
        steps=tuple(_step(computed[name], slots, compiler) for name in order),
        lines=tuple(
            (flag, tuple((line, compiler.compile(line.when)) for line in flag.lines)) for flag in content.flags
        ),
        contradictions=tuple((one, compiler.compile(one.when)) for one in safety.contradictions),
        floors=tuple((floor, compiler.compile(floor.when)) for floor in safety.floors),
        raised_screen=compiler.compile(safety.screen.raised_when),
        ranking=None
        if content.ranking is None
        else compile_ranking(content.ranking, content.conditions, slots, compiler),
        screened=tuple(fact for fact in content.facts if fact.screen is not Screen.NONE and not fact.clinician),
        base_facts=base_facts,
        emergency_facts=frozenset(
            base
            for flag in content.flags
            for line in flag.lines
            if line.urgency is Urgency.EMERGENCY
            for name in names_in(line.when)
            for base in base_facts[name]
        ),
    )


def criteria_of(computed: Computed) -> Iterator[Criterion]:
    """Every criterion that a derived fact or a score depends on."""
    if isinstance(computed, DerivedFact):
        yield computed.when
        return
    yield from (item.when for item in computed.items)
    yield from (exclusion.when for exclusion in computed.exclusions)
    if computed.not_computed_when is not None:
        yield computed.not_computed_when


def _refuse_repeated_names(content: Content) -> None:
    names = [fact.name for fact in content.facts]
    names += [match.name for match in content.text_matches]
    names += [derived.name for derived in content.derived]
    names += [score.known_points_fact for score in content.scores]
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise ValueError(f"facts, derived facts and scores share the name {repeated[0]}")


def _step(computed: Computed, slots: Slots, compiler: Compiler) -> Step:
    if isinstance(computed, DerivedFact):
        return CompiledDerived(computed, slots[computed.name], compiler.compile(computed.when))
    return compile_score(computed, slots, compiler)


def _computing_order(computed: Mapping[str, Computed], slots: Slots) -> tuple[str, ...]:
    """Names such that each comes after all that it depends on."""
    needs: dict[str, list[str]] = {}
    for name, definition in computed.items():
        mentioned = [other for criterion in criteria_of(definition) for other in names_in(criterion)]
        unknown = [other for other in mentioned if other not in slots]
        if unknown:
            raise ValueError(f"{name}: unknown fact {unknown[0]!r}")
        needs[name] = [other for other in mentioned if other in computed]
    try:
        return tuple(TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise ValueError(f"facts define each other: {' -> '.join(error.args[1])}") from error


def _base_facts(
    facts: Mapping[str, FactDefinition],
    matches: Mapping[str, TextMatch],
    computed: Mapping[str, Computed],
    order: tuple[str, ...],
) -> dict[str, frozenset[str]]:
    base = {name: frozenset((name,)) for name in facts}
    base.update((name, frozenset((match.fact,))) for name, match in matches.items())
    for name in order:
        mentioned = (other for criterion in criteria_of(computed[name]) for other in names_in(criterion))
        base[name] = frozenset(fact for other in mentioned for fact in base[other])
    return base

"""A pack ready to run: its content, with every criterion compiled and put in order of computation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeAlias

from services.triage.engine.advice import CompiledAdvice, compile_advice
from services.triage.engine.alike import Alike
from services.triage.engine.compile import Compiler, Slots, Test, Values
from services.triage.engine.content import Content, PackHead
from services.triage.engine.criteria import Compare, Criterion, comparisons_in, names_in
from services.triage.engine.flag_plans import FlagPlan, flag_plans
from services.triage.engine.generate import Generator, truths_of
from services.triage.engine.grounds import Grounds
from services.triage.engine.model import (
    Contradiction,
    DerivedFact,
    FactDefinition,
    FactKind,
    Flag,
    FlagLine,
    Floor,
    ScoreDefinition,
    Screen,
    TextMatch,
    Urgency,
)
from services.triage.engine.moving import Moving
from services.triage.engine.ranking import Ranking, compile_ranking, criteria_of_condition
from services.triage.engine.reads import Reads
from services.triage.engine.scales import Scales
from services.triage.engine.scores import CompiledScore, compile_score, criteria_of_score
from services.triage.engine.text import plain_text


@dataclass(frozen=True, slots=True)
class CompiledDerived:
    """A derived fact with its place and its criterion compiled."""

    definition: DerivedFact
    slot: int
    test: Test


@dataclass(frozen=True, slots=True)
class KnownPoints:
    """The known points of a score with their place, for criteria that use them."""

    score: CompiledScore
    slot: int


Step: TypeAlias = CompiledDerived | KnownPoints
Computed: TypeAlias = DerivedFact | ScoreDefinition


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """One version of clinical content, made by `build_pack`. Never changes; threads may share it.

    `emergency_facts`: base facts on which some emergency line depends.
    `base_facts`: for each derived fact, score quantity and base fact, the base facts it depends on.
    `size`: how many values an evaluation has: the slots, and after them the truths of comparisons that many criteria
    make. `compute_steps`: all of these and all steps at once. `line_truths`: all lines of all flags, in pack order
    (`lines`: with their flags; `line_ids`; `line_tests`; `flag_of_line`: the numbers of their flags). `flag_plans`: all
    flags. `contradiction_truths`, `floor_truths`: all of these at once. `lines_reading`, `contradictions_reading`: by
    slot, the places of those that read it. `moving`: the findings of conditions by the slots that they read. `alike`:
    weighs all conditions. (Both None where nothing is ranked.)
    `read_plan`: name, whether it is a yes/no fact, and definition of every base fact; `not_yes_no`: the slots of the
    others, with the type of their values.
    `text_searches`: of each text match its slot, its words ready to be searched for, and the slot of its text.
    `examined`: examination items.
    `confidential_facts`: examination items of lines that only clinicians may read of; never shown in a sentence.
    `used_points`: the quantities of scores that some flag or derived fact uses.
    `screened`: facts whose silence counts in the incomplete-safety-screen rule (SR-04), and the same by slot.
    `facts_of`: by linkId, all facts that are read from that question.
    `kept`: what others have made of the pack, by its type, so that it goes with the pack.
    `dependents`: for each base fact, the steps that depend on it, in order of computation.
    """

    content: Content
    facts: Mapping[str, FactDefinition]
    computed: Mapping[str, Computed]
    text_matches: Mapping[str, TextMatch]
    slots: Slots
    compiler: Compiler
    steps: tuple[Step, ...]
    compute_steps: Callable[[list[Any], Callable[[CompiledScore, Values], Any]], object]
    scores: tuple[CompiledScore, ...]
    line_truths: Callable[[Values], list[int]]
    line_tests: tuple[Test, ...]
    lines_reading: Mapping[int, tuple[int, ...]]
    lines: tuple[tuple[Flag, FlagLine], ...]
    line_ids: tuple[str, ...]
    flag_plans: tuple[FlagPlan, ...]
    flag_of_line: tuple[int, ...]
    contradictions: tuple[Contradiction, ...]
    contradiction_truths: Callable[[Values], list[int]]
    contradiction_tests: tuple[Test, ...]
    contradictions_reading: Mapping[int, tuple[int, ...]]
    floors: tuple[Floor, ...]
    floor_truths: Callable[[Values], list[int]]
    raised_screen: Test
    ranking: Ranking | None
    moving: Moving | None
    alike: Alike | None
    scales: Scales
    advice: CompiledAdvice
    grounds: Grounds
    size: int
    screened: tuple[FactDefinition, ...]
    screened_slots: Mapping[int, FactDefinition]
    base_facts: Mapping[str, frozenset[str]]
    emergency_facts: frozenset[str]
    dependents: Mapping[str, tuple[Step, ...]]
    read_plan: tuple[tuple[str, bool, FactDefinition], ...]
    not_yes_no: Mapping[int, type]
    text_searches: tuple[tuple[int, tuple[str, ...], int], ...]
    examined: frozenset[str]
    confidential_facts: frozenset[str]
    used_points: frozenset[str]
    facts_of: Mapping[str, tuple[FactDefinition, ...]]
    kept: dict[type, Any] = field(init=False, repr=False, default_factory=dict)

    @property
    def head(self) -> PackHead:
        """Which pack this is."""
        return self.content.head

    def text(self, key: str, **words: str) -> str:
        """The sentence of that key, its words in braces filled in. Raises KeyError for an unknown key."""
        return self.content.texts[key].format_map(words)


def build_pack(content: Content) -> Pack:
    """Compile a pack. Raises ValueError for a repeated name, an unknown fact, or a circular definition."""
    facts = {fact.name: fact for fact in content.facts}
    matches = {match.name: match for match in content.text_matches}
    computed: dict[str, Computed] = {derived.name: derived for derived in content.derived}
    computed.update((score.known_points_fact, score) for score in content.scores if score.known_points_fact is not None)
    _refuse_repeated_names(content)
    names = [*facts, *matches, *computed]
    slots = {name: slot for slot, name in enumerate(names)}
    order = _computing_order(computed, slots)
    base_facts = _base_facts(facts, matches, computed, order)
    safety = content.safety
    compiler = Compiler(slots)
    compared = _shared_comparisons(content, facts, len(slots))
    reads = Reads(slots, compared, computed)
    scores = {score.id: compile_score(score, compiler, reads) for score in content.scores}
    steps = {name: _step(computed[name], scores, slots, compiler) for name in order}
    for when in _explained(content):
        compiler.compile(when)
    ranking = None
    if content.ranking is not None:
        ranking = compile_ranking(content.ranking, content.conditions, slots, Generator(slots, compiler, compared))
    moving = None if ranking is None else Moving(ranking, compiler, reads)
    return Pack(
        content=content,
        facts=facts,
        computed=computed,
        text_matches=matches,
        slots=slots,
        compiler=compiler,
        steps=tuple(steps.values()),
        scores=tuple(scores.values()),
        compute_steps=_all_steps([steps[name] for name in order], compared, Generator(slots, compiler, compared)),
        line_truths=_line_truths(content, Generator(slots, compiler, compared)),
        line_tests=tuple(compiler.test_of(line.when) for flag in content.flags for line in flag.lines),
        lines_reading=reads.by_slot([[line.when] for flag in content.flags for line in flag.lines]),
        lines=tuple((flag, line) for flag in content.flags for line in flag.lines),
        line_ids=tuple(line.id for flag in content.flags for line in flag.lines),
        flag_plans=flag_plans(content.flags, reads),
        flag_of_line=tuple(number for number, flag in enumerate(content.flags) for _ in flag.lines),
        contradictions=safety.contradictions,
        contradiction_truths=truths_of(
            [one.when for one in safety.contradictions], Generator(slots, compiler, compared)
        ),
        contradiction_tests=tuple(compiler.compile(one.when) for one in safety.contradictions),
        contradictions_reading=reads.by_slot([[one.when] for one in safety.contradictions]),
        floors=safety.floors,
        floor_truths=truths_of([floor.when for floor in safety.floors], Generator(slots, compiler, compared)),
        raised_screen=compiler.compile(safety.screen.raised_when),
        ranking=ranking,
        moving=moving,
        alike=None if ranking is None or moving is None else _alike(ranking, moving, reads, steps.values(), slots),
        scales=Scales(() if ranking is None else ranking.criteria, facts, reads),
        grounds=Grounds(
            compiler, {name: name for name in facts} | {one.name: one.fact for one in content.text_matches}, slots
        ),
        size=len(slots) + len(compared),
        advice=compile_advice(content.advice, Generator(slots, compiler, compared)),
        screened=tuple(fact for fact in content.facts if _is_screened(fact)),
        screened_slots={slots[fact.name]: fact for fact in content.facts if _is_screened(fact)},
        base_facts=base_facts,
        emergency_facts=frozenset(
            base
            for flag in content.flags
            for line in flag.lines
            if line.urgency is Urgency.EMERGENCY
            for name in names_in(line.when)
            for base in base_facts[name]
        ),
        read_plan=tuple((fact.name, fact.kind is FactKind.PRESENCE, fact) for fact in content.facts),
        not_yes_no={slots[fact.name]: fact.kind.type for fact in content.facts if fact.kind is not FactKind.PRESENCE},
        text_searches=tuple(
            (slots[one.name], tuple(map(plain_text, one.words)), slots[one.fact]) for one in content.text_matches
        ),
        examined=frozenset(fact.name for fact in content.facts if fact.clinician),
        confidential_facts=frozenset(
            base
            for flag in content.flags
            for line in flag.lines
            if line.clinician_only
            for name in names_in(line.when)
            for base in base_facts[name]
            if facts[base].clinician
        ),
        used_points=frozenset(
            name
            for when in (
                *(line.when for flag in content.flags for line in flag.lines),
                *(derived.when for derived in content.derived),
            )
            for name in names_in(when)
            if isinstance(computed.get(name), ScoreDefinition)
        ),
        facts_of={
            link_id: tuple(fact for fact in content.facts if fact.link_id == link_id)
            for link_id in {fact.link_id for fact in content.facts}
        },
        dependents={fact: tuple(step for name, step in steps.items() if fact in base_facts[name]) for fact in facts},
    )


def _is_screened(fact: FactDefinition) -> bool:
    return fact.screen is not Screen.NONE and not fact.clinician


def _explained(content: Content) -> Iterator[Criterion]:
    """Criteria that are computed all at once, and one by one where somebody asks why."""
    yield from (line.when for flag in content.flags for line in flag.lines)
    yield from (floor.when for floor in content.safety.floors)
    yield from (finding.when for condition in content.conditions for finding in condition.findings)


def _alike(ranking: Ranking, moving: Moving, reads: Reads, steps: Iterable[Step], slots: Slots) -> Alike:
    """Truths are compared; the points of a score are none."""
    points = {step.slot for step in steps if isinstance(step, KnownPoints)}
    read = reads.places(ranking.criteria)
    return Alike(ranking, moving, truths=sorted(read - points), others=sorted(read & points))


def criteria_of(computed: Computed) -> Iterator[Criterion]:
    """Every criterion that a derived fact or a score depends on."""
    if isinstance(computed, DerivedFact):
        yield computed.when
        return
    yield from criteria_of_score(computed)


def _refuse_repeated_names(content: Content) -> None:
    names = [fact.name for fact in content.facts]
    names += [match.name for match in content.text_matches]
    names += [derived.name for derived in content.derived]
    names += [score.known_points_fact for score in content.scores if score.known_points_fact is not None]
    for several in (names, [score.id for score in content.scores]):
        repeated = [name for name, times in Counter(several).items() if times > 1]
        if repeated:
            raise ValueError(f"facts, derived facts and scores share the name {repeated[0]}")


def _step(computed: Computed, scores: Mapping[str, CompiledScore], slots: Slots, compiler: Compiler) -> Step:
    if isinstance(computed, DerivedFact):
        return CompiledDerived(computed, slots[computed.name], compiler.compile(computed.when))
    assert computed.known_points_fact is not None
    return KnownPoints(scores[computed.id], slots[computed.known_points_fact])


def _shared_comparisons(content: Content, facts: Mapping[str, FactDefinition], first: int) -> dict[Compare, int]:
    """The comparisons with base facts that are made for nearly everybody, with their places."""
    criteria = [derived.when for derived in content.derived]
    criteria += [line.when for flag in content.flags for line in flag.lines]
    criteria += [contradiction.when for contradiction in content.safety.contradictions]
    criteria += [floor.when for floor in content.safety.floors]
    criteria += [when for score in content.scores for when in criteria_of_score(score)]
    criteria += [when for condition in content.conditions for when in criteria_of_condition(condition)]
    criteria += [one.when for one in content.advice if one.when is not None]
    criteria += [caution for one in content.advice for caution in one.unless]
    found = dict.fromkeys(one for when in criteria for one in comparisons_in(when) if one.name in facts)
    together = sorted(
        found, key=lambda one: one.name
    )  # those of one fact stand side by side (stable: in reading order)
    return {one: first + number for number, one in enumerate(together)}


def _all_steps(
    steps: Sequence[Step], compared: Mapping[Compare, int], generator: Generator
) -> Callable[[list[Any], Callable[[CompiledScore, Values], Any]], object]:
    """All comparisons and steps as one function; its second argument gives the known points of a score."""
    for name in dict.fromkeys(one.name for one in compared):
        of_one_fact = [one for one in compared if one.name == name]
        generator.store_all(compared[of_one_fact[0]], name, of_one_fact)
    for step in steps:
        if isinstance(step, KnownPoints):
            generator.store(step.slot, f"k({generator.constant(step.score)},v)")
            continue
        truths = generator.truth(step.definition.when)
        generator.store(step.slot, f"Z[{truths}]" if step.definition.unknown_is_no else truths)
    return generator.function([])


def _line_truths(content: Content, generator: Generator) -> Callable[[Values], list[int]]:
    """The truths of all lines of all flags, in pack order."""
    return truths_of([line.when for flag in content.flags for line in flag.lines], generator)


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

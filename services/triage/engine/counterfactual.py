"""What would change the urgency: the counterfactual of an assessment.

Two questions a reader asks: which answer that is missing could make this more urgent, and does the urgency rest on one
single answer? Every change named here was tried on the values of this patient, one answer at a time, all others as they
are. Nothing is assumed about several answers changing together. Lines and conditions that only clinicians may read of
are left out, because the result is made for words that anybody may read (SR-17).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from services.triage.engine.assess import urgency_of
from services.triage.engine.compile import Values
from services.triage.engine.criteria import Compare, Criterion, Operator, comparisons_in, names_in
from services.triage.engine.deciding import Deciding
from services.triage.engine.imagining import Imagining
from services.triage.engine.model import (
    MORE_UNKNOWN,
    DerivedFact,
    FactDefinition,
    FactKind,
    Finding,
    Findings,
    Presence,
    Urgency,
    Value,
    Visibility,
)
from services.triage.engine.pack import Pack
from services.triage.engine.results import AppliedFloor, Assessment, FloorKind, LineVerdict, Scope, Verdict
from services.triage.engine.state import State
from services.triage.engine.truth import YES
from services.triage.engine.weighing import Weighing

_STEP = Decimal("0.1")
NAMED = 2
"""How many answers that an urgency rests on are looked for: each takes a whole evaluation."""


@dataclass(frozen=True, slots=True)
class Change:
    """One answer that would lead to another urgency.

    `comparison`: for a quantity or choice, which value it would have to have. `line`: the flag line that would fire,
    None where the urgency would fall.
    """

    fact: str
    value: Value
    urgency: Urgency
    comparison: Compare | None = None
    line: str | None = None


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """`raising`: unknown answers that would raise the urgency, the most urgent first, each fact once.

    `lowering`: given yes/no answers without any one of which the urgency would be lower (at most `NAMED`).
    `most_telling`: the open question whose answer would change most: the urgency if any can, else the order of the
    candidates; else an examination item that can raise it.
    """

    raising: tuple[Change, ...] = ()
    lowering: tuple[Change, ...] = ()
    most_telling: str | None = None


def counterfactual(pack: Pack, assessment: Assessment, weighing: Weighing) -> Counterfactual:
    """What would change this assessment. Empty for page 1 alone, whose other answers are still to come."""
    if assessment.scope is Scope.PAGE_1 or assessment.urgency is None:
        return Counterfactual()
    raising = _raising(pack, assessment, weighing, assessment.urgency)
    return Counterfactual(
        raising=raising,
        lowering=tuple(_lowering(pack, assessment, weighing, assessment.urgency)),
        most_telling=_most_telling(pack, assessment, weighing, raising),
    )


def _raising(pack: Pack, assessment: Assessment, weighing: Weighing, urgency: Urgency) -> tuple[Change, ...]:
    lines = tuple(_open_lines(assessment, urgency))
    if not lines:
        return ()
    state, slots, given = weighing.state, pack.slots, assessment.findings
    tried: dict[str, list[Change]] = {}
    imagined: dict[tuple[str, Value], Values] = {}
    for line in lines:
        test = pack.compiler.test_of(line.line.when)
        for name in line.facts:
            finding = given.get(name)
            if finding.visibility is not Visibility.SHOWN:
                continue
            for value, comparison in _values(pack, name, line.line.when):
                value = _beside(value, finding.value)
                values = imagined.get((name, value))
                if values is None:
                    values = imagined[name, value] = state.imagine(_answered(pack, name, value))
                if test(values) & YES and _rests_on_more(pack, state, values, line, name):
                    assert line.line.urgency is not None
                    tried.setdefault(name, []).append(Change(name, value, line.line.urgency, comparison, line.line.id))
                    break
    first = [(min(changes, key=lambda one: one.urgency.rank), len(changes)) for changes in tried.values()]
    first.sort(key=lambda one: (one[0].urgency.rank, pack.facts[one[0].fact].clinician, -one[1], slots[one[0].fact]))
    return tuple(change for change, _ in first)


def _beside(value: Value, given: Value) -> Value:
    """A chosen code together with those that are known to be chosen already."""
    if not isinstance(value, frozenset) or not isinstance(given, frozenset):
        return value
    return value | (given - {MORE_UNKNOWN})


def _answered(pack: Pack, name: str, value: Value) -> dict[str, Value]:
    """What all facts that are read from the same question would be, if its answer gave this fact that value."""
    fact = pack.facts[name]
    if fact.kind is not FactKind.PRESENCE:
        return {name: value}
    yes = (value is Presence.PRESENT) is not fact.negated
    same = (one for one in pack.facts_of[fact.link_id] if one.kind is FactKind.PRESENCE)
    return {one.name: Presence.PRESENT if yes is not one.negated else Presence.ABSENT for one in same}


def _rests_on_more(pack: Pack, state: State, values: Values, line: LineVerdict, name: str) -> bool:
    """False for a vital sign or test that would fire by itself, whatever the complaint: true of every patient."""
    if not pack.facts[name].clinician:
        return True
    background = () if pack.content.ranking is None else pack.content.ranking.background
    return bool(set(Deciding(state, values).facts(line.line.when, YES)).difference(background, (name,)))


def _open_lines(assessment: Assessment, urgency: Urgency) -> Iterator[LineVerdict]:
    """Undecided lines, fit for anybody to read, that are more urgent than the whole assessment is."""
    for result in (*assessment.fired, *assessment.undecided):
        for line in result.lines:
            more_urgent = line.line.urgency is not None and line.line.urgency.rank < urgency.rank
            if line.verdict is Verdict.UNDECIDED and more_urgent and not line.line.clinician_only:
                yield line


_YES_OR_NO: Final[tuple[tuple[Value, Compare | None], ...]] = ((Presence.PRESENT, None), (Presence.ABSENT, None))


class _Deciding(dict[tuple[int, str], tuple[Criterion, tuple[tuple[Value, Compare | None], ...]]]):
    """Values that could decide a criterion of a pack, by its id and the fact. It is kept, so its id stays its own."""


def _values(pack: Pack, name: str, when: Criterion) -> tuple[tuple[Value, Compare | None], ...]:
    """Values of the fact that could decide the criterion, the same for every patient."""
    if pack.facts[name].kind is FactKind.PRESENCE:
        return _YES_OR_NO
    known: _Deciding = pack.kept.setdefault(_Deciding, _Deciding())
    found = known.get((id(when), name))
    if found is None:
        values = tuple((_holding(one), one) for one in dict.fromkeys(_comparisons(pack, name, when)))
        found = known[id(when), name] = (when, values)
    return found[1]


def _comparisons(pack: Pack, name: str, when: Criterion) -> Iterator[Compare]:
    """Comparisons with that fact, in the criterion or in the derived facts that it stands on, the nearest first."""
    found = dict.fromkeys(one for part in _parts(pack, when) for one in comparisons_in(part) if one.name == name)
    yield from sorted(found, key=_nearness)


def _parts(pack: Pack, when: Criterion) -> Iterator[Criterion]:
    """The criterion, and those of all derived facts behind it."""
    yield when
    for name in names_in(when):
        definition = pack.computed.get(name)
        if isinstance(definition, DerivedFact):
            yield from _parts(pack, definition.when)


def _nearness(comparison: Compare) -> Decimal:
    """Of several lower bounds the lowest comes first, of several upper bounds the highest; codes keep their order."""
    if isinstance(comparison.literal, str):
        return Decimal(0)
    upper = comparison.operator in (Operator.AT_MOST, Operator.LESS)
    return -comparison.literal if upper else comparison.literal


def _holding(comparison: Compare) -> Value:
    """A value for which the comparison holds."""
    literal = comparison.literal
    if isinstance(literal, str):
        return frozenset((literal,)) if comparison.operator is Operator.EQUAL else frozenset(("",))
    if comparison.operator in (Operator.MORE, Operator.NOT_EQUAL):
        return literal + _STEP
    return literal - _STEP if comparison.operator is Operator.LESS else literal


def _lowering(pack: Pack, assessment: Assessment, weighing: Weighing, urgency: Urgency) -> Iterator[Change]:
    """Answers without which the urgency would be lower: those that everything of this urgency rests on.

    None when something that only clinicians may read of holds it up.
    """
    if urgency is Urgency.SELF_CARE:
        return
    asking = (one.condition for one in assessment.candidates if one.asks_for is urgency)
    if any(line.line.clinician_only for line in _firing(assessment, urgency)) or any(
        one.confidential for one in asking
    ):
        return
    found = 0
    lines = [pack.compiler.test_of(line.line.when) for line in _firing(assessment, urgency)]
    for name in sorted(_shared(_grounds(assessment, weighing, urgency)), key=pack.slots.__getitem__):
        finding = assessment.findings.get(name)
        opposite = _opposite(pack.facts[name], finding)
        if opposite is None:
            continue
        changed = _answered(pack, name, opposite)
        values = weighing.state.imagine(changed)
        if any(test(values) & YES for test in lines):
            continue
        lower = _urgency_if(pack, assessment, weighing, changed, enough=urgency)
        if lower is not None and lower.rank > urgency.rank:
            yield Change(name, opposite, lower)
            found += 1
            if found == NAMED:
                return


def _urgency_if(
    pack: Pack, assessment: Assessment, weighing: Weighing, changed: Mapping[str, Value], *, enough: Urgency
) -> Urgency | None:
    """The urgency with these yes/no answers changed; everything is read anew where answers are doubtful."""
    quality, floors = assessment.quality, _from_outside(pack, assessment)
    if not (quality.contradictions or quality.conflicting or quality.unusable):
        return Imagining(pack, assessment, weighing.state, floors).urgency(changed, enough=enough)
    given = assessment.findings
    imagined = {one: replace(given.get(one), value=value, alternatives=()) for one, value in changed.items()}
    state = State(pack, Findings({**given.by_name, **imagined}, given.respondent), assessment.scope)
    return urgency_of(state, floors=floors, enough=enough)


def _from_outside(pack: Pack, assessment: Assessment) -> tuple[AppliedFloor, ...]:
    """Floors that do not come from these answers: an earlier result, the language of the form."""
    own = {floor.id for floor in pack.content.safety.floors}
    return tuple(floor for floor in assessment.floors if floor.kind is FloorKind.RULE and floor.id not in own)


def _shared(grounds: Iterable[Sequence[str]]) -> set[str]:
    """The answers that all of the grounds have in common; looks no further once there are none."""
    shared: set[str] | None = None
    for facts in grounds:
        shared = set(facts) if shared is None else shared & set(facts)
        if not shared:
            break
    return shared or set()


def _firing(assessment: Assessment, urgency: Urgency) -> Iterator[LineVerdict]:
    """The lines of exactly this urgency that fired."""
    return (line for result in assessment.fired for line in result.fired if line.line.urgency is urgency)


def _grounds(assessment: Assessment, weighing: Weighing, urgency: Urgency) -> Iterator[Sequence[str]]:
    """Of every line, floor and candidate that holds this urgency up by itself, the answers that it rests on."""
    yield from (line.facts for line in _firing(assessment, urgency))
    yield from (floor.facts for floor in assessment.floors if floor.urgency is urgency)
    for candidate in assessment.candidates:
        if candidate.asks_for is urgency:
            yield tuple(name for one in weighing.of(candidate.condition) if one.weight > 0 for name in one.facts)


def _opposite(fact: FactDefinition, finding: Finding) -> Value | None:
    """The opposite of a given yes or no; None for everything that has no single opposite."""
    if fact.kind is not FactKind.PRESENCE or finding.is_unknown:
        return None
    return Presence.ABSENT if finding.value is Presence.PRESENT or finding.alternatives else Presence.PRESENT


def _most_telling(pack: Pack, assessment: Assessment, weighing: Weighing, raising: Sequence[Change]) -> str | None:
    """The question that could raise the urgency most; else the one that could move the first candidates most."""
    if raising and not pack.facts[raising[0].fact].clinician:
        return raising[0].fact
    moves: dict[str, int] = {}
    candidates = () if assessment.ranking_withheld else assessment.candidates
    for candidate in (one for one in candidates if not one.condition.confidential):
        for verdict in weighing.unknown_of(candidate.condition):
            for name in verdict.facts:
                moves[name] = moves.get(name, 0) + abs(verdict.finding.yes - verdict.finding.no)
    given = assessment.findings
    asked = {
        name: moved
        for name, moved in moves.items()
        if not pack.facts[name].clinician and given.get(name).visibility is Visibility.SHOWN
    }
    if asked:
        return max(asked, key=lambda name: (asked[name], -pack.slots[name]))
    return raising[0].fact if raising else None

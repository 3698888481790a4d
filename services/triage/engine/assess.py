"""`evaluate`: findings in, assessment out. The order is the order of safety.

1. Contradictions are found, and all their readings are made possible.
2. Every red-flag line is evaluated, independently of everything that follows.
3. Conditions are ranked. The first one, and every supported one that cannot wait, has an urgency of its own.
4. Floors are added. The urgency is the most urgent of all fired flags, conditions, floors and the default: a maximum,
   so that nothing evaluated later can lower what was found earlier.

Page 1 alone (`Scope.PAGE_1`): only the answers to page-1 items count; all other facts are *not reached*,
which is neither yes nor no, and unknown where a criterion says ``x~``. A line can fire only when a page-1
answer is part of it; what it asks further with ``x~`` counts as yes, as it would if the person stopped here.
The only floor is the one for a page-1 question that was answered with "not sure" (SR-04); a page-1 question
without an answer may still get one. No score is computed and nothing is ranked. When neither a flag fires nor that
floor holds there is no urgency yet (None), which is not "routine".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.triage.engine.advice import advise
from services.triage.engine.deciding import Deciding
from services.triage.engine.differential import Differential, rank
from services.triage.engine.model import Findings, Urgency, most_urgent
from services.triage.engine.pack import Pack
from services.triage.engine.red_flags import FlagResults, evaluate_flags, fired_lines
from services.triage.engine.results import AppliedFloor, Assessment, FloorKind, Quality, Scope, Support, unique
from services.triage.engine.safety import active_contradictions, applied_floors, data_quality, page_1_floors
from services.triage.engine.state import State


def evaluate(
    pack: Pack, findings: Findings, *, scope: Scope | str = Scope.FULL, floors: Sequence[AppliedFloor] = ()
) -> Assessment:
    """Assess one response. Deterministic, and the order of the findings does not matter.

    `floors` hold for reasons beyond these answers: an earlier assessment, the language of the form.

    Facts that the pack does not know are ignored; facts without a finding are unknown. Raises ValueError for
    a finding whose value is of the wrong kind (a fault of the mapping, never of the patient).
    """
    scope = Scope(scope)
    state = State(pack, findings, scope)
    contradictions = active_contradictions(state)
    quality = data_quality(state, contradictions)
    state.consider(contradictions)
    deciding = Deciding(state)
    flags = evaluate_flags(state, deciding)
    own = applied_floors(state, quality, deciding) if scope is Scope.FULL else page_1_floors(state, quality)
    applied = (*own, *floors)
    rule_floors = tuple(floor for floor in applied if floor.kind is not FloorKind.SCREEN)
    ranking = pack.ranking if scope is Scope.FULL else None
    fired = frozenset(result.flag.id for result in flags.fired)
    ranked = Differential() if ranking is None else rank(ranking, state.of_what_was_asked(), fired, pack.alike)
    withheld = any(floor.withholds_ranking for floor in applied)
    trusted = not (contradictions or quality.conflicting)
    told = [result.urgency for result in flags.fired]
    outcome = Outcome(pack, scope, told, lambda: flags.all_clear, ranked, withheld=withheld, trusted=trusted)
    urgency = outcome.urgency(applied)
    return Assessment(
        pack=pack.head,
        scope=scope,
        findings=findings,
        urgency=urgency,
        clinical_urgency=outcome.urgency(rule_floors),
        fired=flags.fired,
        undecided=flags.undecided,
        not_fired=flags.not_fired,
        not_reached=flags.not_reached,
        scores=state.scores(),
        floors=applied,
        quality=quality,
        raises=_raised(pack, flags, ranked, applied, quality),
        candidates=ranked.candidates,
        panel=ranked.panel,
        weights=ranked.weights,
        state=state,
        advice=advise(
            pack.advice,
            state.values,
            urgency=urgency if scope is Scope.FULL else None,
            all_clear=flags.all_clear,
            candidates=set() if withheld else _spoken_for(ranked),
        ),
    )


def urgency_of(state: State, *, floors: Sequence[AppliedFloor], enough: Urgency) -> Urgency | None:
    """The urgency alone of a finished form: what `evaluate` makes of it, without the reasons.

    `state`: made for this alone, no contradiction considered yet. Once flags and floors make it `enough`, conditions
    are not ranked: they could only make it more urgent still.
    """
    pack = state.pack
    contradictions = active_contradictions(state)
    quality = data_quality(state, contradictions)
    state.consider(contradictions)
    deciding = Deciding(state)
    fired = fired_lines(state)
    applied = (*applied_floors(state, quality, deciding), *floors)
    found = most_urgent(*(line.urgency for _, line in fired), *(floor.urgency for floor in applied))
    if found is not None and found.rank <= enough.rank:
        return found
    flags = frozenset(flag.id for flag, _ in fired)
    ranked = (
        Differential() if pack.ranking is None else rank(pack.ranking, state.of_what_was_asked(), flags, pack.alike)
    )
    outcome = Outcome(
        pack,
        Scope.FULL,
        [line.urgency for _, line in fired],
        lambda: not fired and evaluate_flags(state, deciding).all_clear,
        ranked,
        withheld=any(floor.withholds_ranking for floor in applied),
        trusted=not (contradictions or quality.conflicting),
    )
    return outcome.urgency(applied)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What everything that was found makes of the urgency.

    `told`: the urgencies of the flags that fired. `all_clear`: see `FlagResults`, asked for only if it matters."""

    pack: Pack
    scope: Scope
    told: Sequence[Urgency | None]
    all_clear: Callable[[], bool]
    ranked: Differential
    withheld: bool
    trusted: bool

    def urgency(self, floors: Sequence[AppliedFloor]) -> Urgency | None:
        """The most urgent of everything that was found."""
        found = [*self.told, *(floor.urgency for floor in floors)]
        if self.scope is Scope.PAGE_1:
            return most_urgent(*found)
        most = most_urgent(*found, self._of_candidates())
        rules = self.pack.content.safety
        if most is not None and most.rank <= min(rules.default.rank, rules.default_undecided.rank):
            return most
        return most_urgent(most, self._default())

    def _of_candidates(self) -> Urgency | None:
        """Where the order means nothing, only what the answers support counts, and not what comes first."""
        if not self.withheld:
            return self.ranked.urgency
        supported = (one.condition for one in self.ranked.supported)
        return most_urgent(*(one.urgency for one in supported if one.must_not_miss))

    def _default(self) -> Urgency | None:
        """None when nothing forbids self-care: no flag, no doubt about the answers, and they support the first."""
        rules = self.pack.content.safety
        if not self.all_clear():
            return rules.default_undecided
        supported = any(one.support is not Support.WEAK for one in self.ranked.candidates[:1])
        return None if self.trusted and not self.withheld and supported else rules.default


def _spoken_for(ranked: Differential) -> set[str]:
    """Conditions that advice may be meant for: the supported ones, and the first if the answers speak for it."""
    first = [one for one in ranked.candidates[:1] if one.ratio > 0]
    return {one.condition.id for one in (*first, *ranked.supported)}


def _raised(
    pack: Pack, flags: FlagResults, ranked: Differential, floors: tuple[AppliedFloor, ...], quality: Quality
) -> tuple[str, ...]:
    names = [name for result in flags.fired for name in result.raises]
    names += ranked.raises
    names += [name for one in quality.contradictions for name in one.raises]
    names += pack.content.safety.conflict_raises if quality.conflicting else ()
    names += [name for floor in floors for name in floor.raises]
    return unique(names)

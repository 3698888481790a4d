"""Advice: what may be passed on to this patient, what must be warned against, and where to send them next.

Self-care comes last and is given least (SR-14): only when the urgency is routine or less and every flag is known not
to fire. A measure is given only when all that speaks for it is certain and every caution is known to be absent; what
nobody answered withholds it. A warning is the other way round: it is given as soon as one reading of the answers
calls for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.triage.engine.compile import Values
from services.triage.engine.criteria import Criterion
from services.triage.engine.generate import Generator, truths_of
from services.triage.engine.model import Urgency
from services.triage.engine.truth import NO, YES

_UNHURRIED = (Urgency.ROUTINE, Urgency.SELF_CARE)


class AdviceKind(StrEnum):
    """What a piece of advice is."""

    SELF_CARE = "self_care"  # something that the patient may do
    REFERRAL = "referral"  # a next step for the clinician
    DO_NOT = "do_not"  # a warning


class Audience(StrEnum):
    """For whom the wording is. Words for patients are passed on by a clinician."""

    PATIENT = "patient"
    CLINICIAN = "clinician"


@dataclass(frozen=True, slots=True)
class Advice:
    """One piece of advice. `text` is a key of the pack's texts.

    `when`: must be yes (None: always). `unless`: cautions, each of which must be known to be no. `conditions`: given
    only when one of these is among the candidates. `only_when_clear`: held back as self-care is.
    """

    id: str
    kind: AdviceKind
    audience: Audience
    text: str
    when: Criterion | None = None
    unless: tuple[Criterion, ...] = ()
    conditions: tuple[str, ...] = ()
    only_when_clear: bool = False
    evidence: tuple[str, ...] = ()

    @property
    def held_back(self) -> bool:
        """True when no flag may have fired, or be open for want of an answer, for this to be given."""
        return self.only_when_clear or self.kind is AdviceKind.SELF_CARE


@dataclass(frozen=True, slots=True)
class CompiledAdvice:
    """All advice of a pack, and one function for the truths of all its criteria.

    `rows`: each piece of advice with where in these truths its `when` stands (None: always), where its cautions stand,
    and whether it is held back.
    """

    truths: Callable[[Values], list[int]]
    rows: tuple[tuple[Advice, int | None, tuple[int, ...], bool], ...]


@dataclass(frozen=True, slots=True)
class AdviceGiven:
    """Advice for this patient. `conditions`: the candidates that it is meant for; empty when it suits all."""

    advice: Advice
    conditions: tuple[str, ...]


def compile_advice(advice: Sequence[Advice], generator: Generator) -> CompiledAdvice:
    """Make the advice of a pack ready. Raises KeyError for a fact that has no slot."""
    criteria: list[Criterion] = []

    def place_of(criterion: Criterion) -> int:
        criteria.append(criterion)
        return len(criteria) - 1

    rows = tuple(
        (
            one,
            None if one.when is None else place_of(one.when),
            tuple(place_of(caution) for caution in one.unless),
            one.held_back,
        )
        for one in advice
    )
    return CompiledAdvice(truths_of(criteria, generator), rows)


def advise(
    compiled: CompiledAdvice,
    values: Values,
    *,
    urgency: Urgency | None,
    all_clear: bool,
    candidates: Collection[str],
) -> tuple[AdviceGiven, ...]:
    """The advice for this patient, in pack order; none as long as there is no urgency.

    `urgency`: the final one. `all_clear`: no flag fired and none is open for want of an answer. `candidates`: ids of
    the conditions that the answers speak for; without any, advice that is meant for a condition is not given.
    """
    if urgency is None:
        return ()
    unhurried = all_clear and urgency in _UNHURRIED
    truths = compiled.truths(values)
    given = []
    for one, when, unless, held_back in compiled.rows:
        if held_back and not unhurried:
            continue
        suited: tuple[str, ...] = ()
        if one.conditions:
            suited = tuple([condition for condition in one.conditions if condition in candidates])
            if not suited:
                continue
        speaks = YES if when is None else truths[when]
        if one.kind is AdviceKind.DO_NOT:  # a warning holds under any reading of the answers
            holds = bool(speaks & YES)
        else:  # everything else only when it is certain
            holds = speaks == YES and all(truths[caution] == NO for caution in unless)
        if holds:
            given.append(AdviceGiven(one, suited))
    return tuple(given)

"""Advice: what may be passed on to this patient, what must be warned against, and where to send them next.

Self-care comes last and is given least (SR-14): only when the urgency is routine or less and every flag is known not
to fire. A measure is given only when all that speaks for it is certain and every caution is known to be absent; what
nobody answered withholds it. A warning is the other way round: it is given as soon as one reading of the answers
calls for it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.triage.engine.compile import Compiler, Test, Values
from services.triage.engine.criteria import Criterion
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
    """Advice with its criteria compiled."""

    advice: Advice
    when: Test | None
    unless: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class AdviceGiven:
    """Advice for this patient. `conditions`: the candidates that it is meant for; empty when it suits all."""

    advice: Advice
    conditions: tuple[str, ...]


def compile_advice(advice: Sequence[Advice], compiler: Compiler) -> tuple[CompiledAdvice, ...]:
    """Make the advice of a pack ready. Raises KeyError for a fact that has no slot."""
    return tuple(
        CompiledAdvice(
            one,
            None if one.when is None else compiler.compile(one.when),
            tuple(compiler.compile(caution) for caution in one.unless),
        )
        for one in advice
    )


def advise(
    advice: Sequence[CompiledAdvice],
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
    given = []
    for one in advice:
        if one.advice.held_back and not unhurried:
            continue
        suited = tuple(condition for condition in one.advice.conditions if condition in candidates)
        if (suited or not one.advice.conditions) and _holds(one, values):
            given.append(AdviceGiven(one.advice, suited))
    return tuple(given)


def _holds(one: CompiledAdvice, values: Values) -> bool:
    """A warning holds under any reading of the answers, everything else only when it is certain."""
    speaks = YES if one.when is None else one.when(values)
    if one.advice.kind is AdviceKind.DO_NOT:
        return bool(speaks & YES)
    return speaks == YES and all(caution(values) == NO for caution in one.unless)

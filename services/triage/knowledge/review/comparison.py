"""What two packs make of the same patients: where urgency, flags or the order of conditions differ, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.triage.engine.model import Urgency
from services.triage.engine.pack import Pack
from services.triage.engine.results import Assessment, Support
from services.triage.knowledge.cases import FIRST
from services.triage.knowledge.files import PackError
from services.triage.knowledge.review.patients import Patient

_LEAST = len(Urgency)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pack made of a patient. `flags`: those that fired, with their urgency; `first`: conditions in order.

    `reasons`: everything that asks for an urgency, as it is named for readers, with that urgency.
    """

    urgency: Urgency | None
    flags: Mapping[str, Urgency | None]
    first: tuple[str, ...]
    reasons: Mapping[str, Urgency]

    @property
    def rank(self) -> int:
        """0 is the most urgent; no urgency yet is the least."""
        return _LEAST if self.urgency is None else self.urgency.rank


@dataclass(frozen=True, slots=True)
class Difference:
    """A patient of whom the packs do not make the same."""

    name: str
    before: Outcome
    after: Outcome

    @property
    def visible(self) -> bool:
        """False when a reader would see the same urgency, flags and first conditions."""
        old, new = self.before, self.after
        return (old.urgency, old.flags, old.first) != (new.urgency, new.flags, new.first)

    @property
    def less_urgent(self) -> bool:
        """True when the newer pack lets the patient wait longer."""
        return self.after.rank > self.before.rank

    @property
    def more_urgent(self) -> bool:
        """True when the newer pack asks for somebody sooner."""
        return self.after.rank < self.before.rank

    @property
    def responsible(self) -> tuple[str, ...]:
        """What makes the more urgent of the two more urgent: lines, floors and conditions that the other lacks."""
        more, less = (self.before, self.after) if self.less_urgent else (self.after, self.before)
        return tuple(
            reason
            for reason, urgency in more.reasons.items()
            if urgency.rank < less.rank and less.reasons.get(reason) is not urgency
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two packs compare. `differences`: less urgent ones first, then more urgent ones, then the others.

    `not_compared`: patients that one of the packs cannot read, with the reason.
    """

    compared: int
    differences: tuple[Difference, ...]
    not_compared: tuple[tuple[str, str], ...]


def compare(before: Pack, after: Pack, patients: Iterable[Patient]) -> Comparison:
    """Assess every patient by both packs."""
    compared, differences, not_compared = 0, [], []
    for patient in patients:
        try:
            outcomes = [outcome(patient.assessed(pack)) for pack in (before, after)]
        except PackError as error:
            not_compared.append((patient.name, error.problems[0]))
            continue
        compared += 1
        difference = Difference(patient.name, *outcomes)
        if difference.visible:
            differences.append(difference)
    differences.sort(key=lambda one: 0 if one.less_urgent else 1 if one.more_urgent else 2)
    return Comparison(compared, tuple(differences), tuple(not_compared))


def outcome(assessment: Assessment) -> Outcome:
    """What is compared of an assessment."""
    reasons: dict[str, Urgency] = {}
    for result in assessment.fired:
        for line in result.fired:
            if line.line.urgency is not None:
                reasons[f"line {line.line.id}"] = line.line.urgency
    for floor in assessment.floors:
        reasons[f"floor {floor.id}"] = floor.urgency
    for one in assessment.candidates:
        if one.rank == 1 or (one.support is not Support.WEAK and one.condition.must_not_miss):
            reasons[f"condition {one.condition.id}"] = one.condition.urgency
    if assessment.urgency is not None and assessment.urgency not in reasons.values():
        reasons["the default urgency"] = assessment.urgency
    return Outcome(
        urgency=assessment.urgency,
        flags={result.flag.id: result.urgency for result in assessment.fired},
        first=tuple(one.condition.id for one in assessment.candidates[:FIRST]),
        reasons=reasons,
    )

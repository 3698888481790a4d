"""A response that is to be assessed: what is known of it before the database is asked, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from services.triage import store
from services.triage.basis import Basis, Resource, Run, Status
from services.triage.earlier import Remembered
from services.triage.explanation import Explanation
from shared.fhir.codes import Urgency
from shared.jobs import Claim


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation came to: the urgency (None: none yet) and the resources, RiskAssessment first.

    `resources`: as they are stored (see `build_resources`). `explanation`: the words that they hold; None where nothing
    could be assessed.
    """

    pack: str
    pack_version: str
    pack_sha256: str
    urgency: Urgency | None
    resources: Sequence[Resource]
    remembered: Remembered
    needs_review: bool = False
    explanation: Explanation | None = None


Describe = Callable[[Run], Evaluated]
"""Writes an evaluation that is done as FHIR, once its time and version are known."""


class Prepare(Protocol):
    """Evaluates the answers, knowing the most urgent earlier assessment of the same patient."""

    def __call__(self, *, earlier: Urgency | None) -> Describe: ...


@dataclass(frozen=True, slots=True)
class Case:
    """A response that somebody claimed, with all that its evaluation needs.

    `held_id`: of the one RiskAssessment that it has with this pack. `same_patient`: what it must be seen together with.
    """

    claimed: Claim
    response: Mapping[str, Any]
    basis: Basis
    held_id: str
    same_patient: store.SamePatient
    prepare: Prepare

    def next_run(self, held: store.Held | None) -> tuple[int, Status]:
        """Version and status of the RiskAssessment that follows the one that is held now."""
        first = held is None or held.status == Status.PRELIMINARY
        return held.version_id + 1 if held else 1, status_of(self.response, first=first)

    def outcome(self, run: Run, evaluated: Evaluated) -> store.Outcome:
        """What is stored of this evaluation."""
        return store.Outcome(
            assessment_id=run.assessment_id,
            version_id=run.version,
            response=self.claimed.ref,
            pack=evaluated.pack,
            pack_version=evaluated.pack_version,
            pack_sha256=evaluated.pack_sha256,
            urgency=evaluated.urgency,
            needs_review=evaluated.needs_review,
            assessed_at=run.at,
            resources=evaluated.resources,
            remembered=evaluated.remembered,
        )


def status_of(response: Mapping[str, Any], *, first: bool) -> Status:
    """The status of the RiskAssessment that this version of the response leads to.

    `first`: none of the form as a whole was given before; what was preliminary becomes final, not amended.
    """
    match response.get("status"):
        case "in-progress":
            return Status.PRELIMINARY
        case "entered-in-error":
            return Status.ENTERED_IN_ERROR
        case _:
            return Status.FINAL if first else Status.AMENDED

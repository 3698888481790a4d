"""Pull for certainty: asks triage what changed, so that no lost message can lose an alert."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.notify import store
from services.notify.fatigue.store import note_quiet
from services.notify.hear import RAISE_ROUTINE, RAISE_URGENT
from services.notify.subscriptions.distribute import note_assessments
from shared import jobs
from shared.catch_up import Source
from shared.catch_up import catch_up as catch_up_with
from shared.events import Ref
from shared.fhir.client import Changed, FhirClient
from shared.fhir.codes import REVIEW_TAG, Urgency
from shared.postgres import DictConnection, Pool

SOURCE = Source("triage", "RiskAssessment")
QUIET = frozenset({Urgency.WITHIN_2_WEEKS, Urgency.ROUTINE, Urgency.SELF_CARE})
"""What needs nobody today: counted in the daily digest."""


def catch_up(pool: Pool, triage: FhirClient) -> int:
    """Note every assessment that must alert, or that changes one that did, and is not known yet; returns how many.

    Beside that every assessment is noted for those who subscribed to them, and those that need nobody today for the
    digest.

    Raises NeighbourUnavailable.
    """
    return catch_up_with(pool, triage, SOURCE, _note)


def _note(connection: DictConnection, tenant: UUID, changed: Sequence[Changed]) -> int:
    note_assessments(connection, tenant, changed)
    note_quiet(connection, tenant, {each.ref.id: tag for each in changed for tag in sorted(each.tags & QUIET)})
    urgent, routine = _sorted(connection, tenant, changed)
    return jobs.add(connection, RAISE_URGENT, urgent) + jobs.add(connection, RAISE_ROUTINE, routine)


def _sorted(connection: DictConnection, tenant: UUID, page: Sequence[Changed]) -> tuple[list[Ref], list[Ref]]:
    """The urgent ones, and the others that matter: alerting ones, and new versions of what has alerted before."""
    urgent = [changed.ref for changed in page if Urgency.EMERGENCY in changed.tags]
    others = [changed for changed in page if Urgency.EMERGENCY not in changed.tags]
    alerted = store.alerted(connection, tenant, [changed.ref.id for changed in others])
    today = {Urgency.SAME_DAY, REVIEW_TAG}
    routine = [changed.ref for changed in others if today & changed.tags or changed.ref.id in alerted]
    return urgent, routine

"""Pull for certainty: asks triage what changed, so that no lost message can lose an alert."""

from __future__ import annotations

from datetime import UTC, datetime

from services.notify import store
from services.notify.raise_alert import RAISE_ROUTINE, RAISE_URGENT
from shared import jobs
from shared.events import Ref
from shared.fhir.client import Changed, FhirClient
from shared.fhir.codes import REVIEW_TAG, Urgency
from shared.ids import DEFAULT_TENANT
from shared.postgres import DictConnection, Pool

SOURCE = "triage/RiskAssessment"
START = datetime(2000, 1, 1, tzinfo=UTC)
PAGE = 200


def catch_up(pool: Pool, triage: FhirClient) -> int:
    """Note every assessment that must alert, or that changes one that did, and is not known yet; returns how many.

    The look goes back further than any write of triage can take, and what is known already is left alone. Raises
    NeighbourUnavailable; what was noted until then stays noted.
    """
    with pool.connection() as connection:
        since = store.read_cursor(connection, SOURCE) or START
    new, page = 0, list[Changed]()
    for changed in triage.changed_since("RiskAssessment", since):
        page.append(changed)
        if len(page) == PAGE:
            new += _note(pool, page)
            page = []
    return new + _note(pool, page)


def _note(pool: Pool, page: list[Changed]) -> int:
    if not page:
        return 0
    with pool.connection() as connection, connection.transaction():
        urgent, routine = _sorted(connection, page)
        new = jobs.add(connection, RAISE_URGENT, urgent) + jobs.add(connection, RAISE_ROUTINE, routine)
        store.move_cursor(connection, SOURCE, max(changed.last_updated for changed in page))
    return new


def _sorted(connection: DictConnection, page: list[Changed]) -> tuple[list[Ref], list[Ref]]:
    """The urgent ones, and the others that matter: alerting ones, and new versions of what has alerted before."""
    urgent = [changed.ref for changed in page if Urgency.EMERGENCY in changed.tags]
    others = [changed for changed in page if Urgency.EMERGENCY not in changed.tags]
    alerted = store.alerted(connection, DEFAULT_TENANT, [changed.ref.id for changed in others])
    today = {Urgency.SAME_DAY, REVIEW_TAG}
    routine = [changed.ref for changed in others if today & changed.tags or changed.ref.id in alerted]
    return urgent, routine

"""Pull for certainty: asks triage what changed, so that no lost message can lose an alert."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.notify import store
from services.notify.raise_alert import RAISE_ROUTINE, RAISE_URGENT
from shared import jobs
from shared.events import Ref
from shared.fhir.client import LOOK_BACK, LOOK_BACK_EVERY, Changed, FhirClient
from shared.fhir.codes import REVIEW_TAG, Urgency
from shared.ids import DEFAULT_TENANT
from shared.postgres import DictConnection, Pool, database_now

SOURCE = "triage/RiskAssessment"
LOOKED_BACK = f"{SOURCE}/looked-back"
"""Where the time of the last long look is kept."""
START = datetime(2000, 1, 1, tzinfo=UTC)
PAGE = 200


def catch_up(pool: Pool, triage: FhirClient) -> int:
    """Note every assessment that must alert, or that changes one that did, and is not known yet; returns how many.

    The look goes back further than any write of triage can take, and once a minute by 25 hours, so that a clock that
    was wrong for a while hides nothing; what is known already is left alone. Raises NeighbourUnavailable; what was
    noted until then stays noted.
    """
    with pool.connection() as connection:
        since, looks_back = _since(connection)
    new, page = 0, list[Changed]()
    for changed in triage.changed_since("RiskAssessment", since):
        page.append(changed)
        if len(page) == PAGE:
            new += _note(pool, page)
            page = []
    new += _note(pool, page)
    if looks_back:
        with pool.connection() as connection:
            store.move_cursor(connection, LOOKED_BACK, database_now(connection))
    return new


def _since(connection: DictConnection) -> tuple[datetime, bool]:
    """From when on to look, and whether this is the long look that is due every minute."""
    now: datetime = database_now(connection)
    since = min(store.read_cursor(connection, SOURCE) or START, now)
    looked_back = store.read_cursor(connection, LOOKED_BACK) or START
    if timedelta(0) <= now - looked_back < LOOK_BACK_EVERY:
        return since, False
    return min(since, now - LOOK_BACK), True


def _note(pool: Pool, page: list[Changed]) -> int:
    if not page:
        return 0
    with pool.connection() as connection, connection.transaction():
        urgent, routine = _sorted(connection, page)
        new = jobs.add(connection, RAISE_URGENT, urgent) + jobs.add(connection, RAISE_ROUTINE, routine)
        newest = max(changed.last_updated for changed in page)
        store.move_cursor(connection, SOURCE, min(newest, database_now(connection)))  # never beyond the present
    return new


def _sorted(connection: DictConnection, page: list[Changed]) -> tuple[list[Ref], list[Ref]]:
    """The urgent ones, and the others that matter: alerting ones, and new versions of what has alerted before."""
    urgent = [changed.ref for changed in page if Urgency.EMERGENCY in changed.tags]
    others = [changed for changed in page if Urgency.EMERGENCY not in changed.tags]
    alerted = store.alerted(connection, DEFAULT_TENANT, [changed.ref.id for changed in others])
    today = {Urgency.SAME_DAY, REVIEW_TAG}
    routine = [changed.ref for changed in others if today & changed.tags or changed.ref.id in alerted]
    return urgent, routine

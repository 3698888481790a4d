"""Pull for certainty: asks intake what changed, so that no lost message can lose a response."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.triage import store
from shared import jobs
from shared.events import Ref
from shared.fhir.client import LOOK_BACK, LOOK_BACK_EVERY, FhirClient
from shared.postgres import DictConnection, Pool, database_now

SOURCE = "intake/QuestionnaireResponse"
LOOKED_BACK = f"{SOURCE}/looked-back"
"""Where the time of the last long look is kept."""
START = datetime(2000, 1, 1, tzinfo=UTC)
KIND = "assess"
PAGE = 200


def catch_up(pool: Pool, client: FhirClient) -> int:
    """Note every response that changed since the last look and is not known yet; returns how many were new.

    The look goes back further than any write of intake can take, and once a minute by 25 hours, so that a clock that
    was wrong for a while hides nothing; what is known already is left alone. Raises NeighbourUnavailable; what was
    noted until then stays noted.
    """
    with pool.connection() as connection:
        since, looks_back = _since(connection)
    new, page, newest = 0, list[Ref](), since
    for changed in client.changed_since("QuestionnaireResponse", since):
        page.append(changed.ref)
        newest = max(newest, changed.last_updated)
        if len(page) == PAGE:
            new += _note(pool, page, newest)
            page = []
    new += _note(pool, page, newest)
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


def _note(pool: Pool, refs: list[Ref], newest: datetime) -> int:
    """Note these, and how far was read: never beyond the present, whatever time a row claims."""
    if not refs:
        return 0
    with pool.connection() as connection, connection.transaction():
        new = jobs.add(connection, KIND, refs)
        store.move_cursor(connection, SOURCE, min(newest, database_now(connection)))
    return new

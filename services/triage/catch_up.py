"""Pull for certainty: asks intake what changed, so that no lost message can lose a response."""

from __future__ import annotations

from datetime import UTC, datetime

from services.triage import store
from shared import jobs
from shared.events import Ref
from shared.fhir.client import FhirClient
from shared.postgres import Pool

SOURCE = "intake/QuestionnaireResponse"
START = datetime(2000, 1, 1, tzinfo=UTC)
KIND = "assess"
PAGE = 200


def catch_up(pool: Pool, client: FhirClient) -> int:
    """Note every response that changed since the last look and is not known yet; returns how many were new.

    The look goes back further than any write of intake can take, and what is known already is left alone. Raises
    NeighbourUnavailable; what was noted until then stays noted.
    """
    with pool.connection() as connection:
        since = store.read_cursor(connection, SOURCE) or START
    new, page, newest = 0, list[Ref](), since
    for changed in client.changed_since("QuestionnaireResponse", since):
        page.append(changed.ref)
        newest = max(newest, changed.last_updated)
        if len(page) == PAGE:
            new += _note(pool, page, newest)
            page = []
    return new + _note(pool, page, newest)


def _note(pool: Pool, refs: list[Ref], newest: datetime) -> int:
    if not refs:
        return 0
    with pool.connection() as connection, connection.transaction():
        new = jobs.add(connection, KIND, refs)
        store.move_cursor(connection, SOURCE, newest)
    return new

"""Pull for certainty: asks intake what changed, so that no lost message can lose a response."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from shared import jobs
from shared.catch_up import Source
from shared.catch_up import catch_up as catch_up_with
from shared.fhir.client import Changed, FhirClient
from shared.postgres import DictConnection, Pool

SOURCE = Source("intake", "QuestionnaireResponse")
KIND = "assess"


def catch_up(pool: Pool, client: FhirClient) -> int:
    """Note every response that changed and is not known yet; returns how many. Raises NeighbourUnavailable."""
    return catch_up_with(pool, client, SOURCE, _note)


def _note(connection: DictConnection, _tenant: UUID, changed: Sequence[Changed]) -> int:
    return jobs.add(connection, KIND, [one.ref for one in changed])

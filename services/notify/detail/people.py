"""What people and teams of the on-call document are called."""

from __future__ import annotations

import logging
from uuid import UUID

from services.notify.on_call.flaw import DocumentFlawed
from services.notify.on_call.store import current
from shared.postgres import DictConnection

log = logging.getLogger(__name__)


def people_and_teams(connection: DictConnection, tenant: UUID) -> dict[str, str]:
    """Names by id, of the newest document; none without one, or when it cannot be read, which must not stop a page."""
    try:
        document = current(connection, tenant)
    except DocumentFlawed as error:
        log.error("on-call document cannot be read", extra={"error": type(error).__name__})
        return {}
    if document is None:
        return {}
    teams = {team.id: team.name for team in document.teams}
    return teams | {person.id: person.name for person in document.people}

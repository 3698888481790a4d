"""What people and teams of the on-call document are called, and to whom an alert can be handed. Pure."""

from __future__ import annotations

from services.notify.acts.people import colleagues
from services.notify.on_call.document import Document


def names_in(document: Document | None) -> dict[str, str]:
    """Names of people and teams by id; none without a document."""
    if document is None:
        return {}
    teams = {team.id: team.name for team in document.teams}
    return teams | {person.id: person.name for person in document.people}


def targets_in(document: Document | None) -> dict[str, str]:
    """Whom an alert can be handed to, by id, in words."""
    return {one.id: f"{one.name} (team)" if one.is_team else one.name for one in colleagues(document)}

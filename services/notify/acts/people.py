"""Whom an alert can be handed to, and what people are called: the tenant's on-call document, as the acts need it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.notify.on_call.document import Document
from services.notify.on_call.flaw import DocumentFlawed
from services.notify.on_call.store import current
from shared.fhir.codes import SID_PERSON, SID_TEAM
from shared.postgres import DictConnection
from shared.problems import Category, Problem, ProblemError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Colleague:
    """A person or a team of the on-call document."""

    id: str
    name: str
    is_team: bool = False

    @property
    def owner(self) -> dict[str, Any]:
        """As Task.owner."""
        system, kind = (SID_TEAM, "CareTeam") if self.is_team else (SID_PERSON, "Practitioner")
        return {"type": kind, "identifier": {"system": system, "value": self.id}, "display": self.name}


def document_of(connection: DictConnection, tenant: UUID) -> Document | None:
    """The newest on-call document; None without one, or when it cannot be read, which must not stop an act."""
    try:
        return current(connection, tenant)
    except DocumentFlawed as error:
        log.error("on-call document cannot be read", extra={"error": type(error).__name__})
        return None


def colleagues(document: Document | None) -> list[Colleague]:
    """Everybody to whom an alert can be handed: people, then teams. Empty without a document."""
    if document is None:
        return []
    people = [Colleague(person.id, person.name) for person in document.people if person.contacts]
    return people + [Colleague(team.id, team.name, is_team=True) for team in document.teams]


def colleague(document: Document | None, colleague_id: str) -> Colleague:
    """The person, else the team, with this id. Raises ProblemError 422 when there is none."""
    return _one([one for one in colleagues(document) if one.id == colleague_id][:1])


def name_of_person(document: Document | None, person_id: str | None) -> str | None:
    """What a person of the document is called; None when it names nobody so."""
    person = document.person(person_id) if document and person_id else None
    return person.name if person else None


def named_by(owner: Mapping[str, Any], document: Document | None) -> Colleague:
    """Whom Task.owner names: by the id of the on-call document, else by a name that only one has there.

    Raises ProblemError 422 when that is nobody, or more than one.
    """
    identifier = owner.get("identifier", {})
    known = colleagues(document)
    systems = {SID_PERSON: False, SID_TEAM: True}
    if (system := identifier.get("system")) in systems:
        return _one([one for one in known if one.id == identifier.get("value") and one.is_team == systems[system]])
    return _one([one for one in known if one.name == owner.get("display")])


def _one(found: list[Colleague]) -> Colleague:
    """The only one. Raises ProblemError 422 when there is none, or more."""
    if len(found) != 1:
        message = (
            "By this, nobody to hand over to is found, or more than one. Name a person who can be told, or a team, of "
            "the on-call document: by id, or by the name that stands there."
        )
        raise ProblemError(
            Problem(Category.UNPROCESSABLE, "hand-over", message, expression="Task.owner", issue_code="business-rule")
        )
    return found[0]

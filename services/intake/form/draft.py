"""Use case: one form as it is filled in. Every step is stored as a version of the response, so that nothing is lost.

A step is stored `in-progress`: triage looks at it at once, and an emergency alerts although the rest is still open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from services.intake.context import IntakeContext
from services.intake.form.filled import Answers, items_of
from services.intake.form.questions import Form, form_of
from services.intake.form.ticket import Ticket
from services.intake.judge import judge
from services.intake.preconditions import Preconditions
from services.intake.receive import TYPE, update
from shared.access.scopes import Scopes
from shared.fhir import resources
from shared.fhir.client import exact_digits
from shared.fhir.codes import CANONICAL
from shared.fhir.identity import instant
from shared.fhir.parse import parse_resource
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.fhir.resources import Stored
from shared.postgres import database_now, tenant_transaction
from shared.principal import Principal
from shared.problems import Category, Problem, ProblemError

SID_FORM = f"{CANONICAL}/sid/form"
CLIENT = "form"
"""Who stores what is filled in on our own pages, in the audit and in the record of what was refused."""
MOST_KNOWN = 100
OPEN, FINISHED = "in-progress", "completed"


@dataclass(frozen=True, slots=True)
class Draft:
    """What is stored of one form. `version` is 0 while nothing is; `finished` once it was sent."""

    response: Mapping[str, Any]
    version: int

    @property
    def finished(self) -> bool:
        """True once it is not open any more."""
        return self.version > 0 and self.response["status"] != OPEN


@dataclass(frozen=True, slots=True)
class Published:
    """A form with what judges it, and the Questionnaire as it is published."""

    form: Form
    index: QuestionnaireIndex
    text: bytes


@dataclass(slots=True)
class Forms:
    """The published forms, read once per version of their Questionnaire. Threads may share it."""

    intake: IntakeContext
    _known: dict[tuple[UUID, str, int], Published] = field(default_factory=dict)

    def of(self, ticket: Ticket) -> Published:
        """The form that a ticket names. Raises ProblemError 404 when it is not published (any more)."""
        with tenant_transaction(self.intake.api.pool, ticket.tenant) as connection:
            stored = resources.read(connection, ticket.tenant, "Questionnaire", ticket.form)
        if stored is None:
            raise ProblemError(
                Problem(Category.NOT_FOUND, "not-found", "There is no such form here.", issue_code="not-found")
            )
        key = (ticket.tenant, stored.id, stored.version_id)
        if key not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[key] = self._read(ticket.tenant, stored)
        return self._known[key]

    def _read(self, tenant: UUID, stored: Stored) -> Published:
        questionnaire = parse_resource(stored.body, resource_type="Questionnaire").resource
        canonical = f"{questionnaire.get('url', '')}|{questionnaire.get('version', '')}"
        index, _ = self.intake.catalogue.resolve(tenant, canonical)
        return Published(form_of({**questionnaire, "id": stored.id}, index), index, stored.body)


def read_draft(intake: IntakeContext, ticket: Ticket) -> Draft:
    """What was filled in before."""
    with tenant_transaction(intake.api.pool, ticket.tenant) as connection:
        stored = resources.read(connection, ticket.tenant, TYPE, ticket.response_id)
    if stored is None:
        return Draft({}, 0)
    return Draft(parse_resource(stored.body, resource_type=TYPE).resource, stored.version_id)


def save_answers(
    intake: IntakeContext, ticket: Ticket, of: Published, answers: Answers, *, before: Draft, status: str
) -> Draft:
    """Store these answers as the next version. Raises ProblemError as a PUT does: what is wrong, or sent twice."""
    return save_items(intake, ticket, of, items_of(of.index, answers), before=before, status=status)


def save_items(
    intake: IntakeContext,
    ticket: Ticket,
    of: Published,
    items: Sequence[Mapping[str, Any]],
    *,
    before: Draft,
    status: str,
) -> Draft:
    """As `save_answers`, for items as they stand in a response. The patient, the form and the time are ours.

    The same answers again store nothing.
    """
    if before.version and before.response["status"] == status and before.response.get("item", []) == list(items):
        return before
    who = Principal(CLIENT, ticket.tenant, Scopes())
    with tenant_transaction(intake.api.pool, ticket.tenant) as connection:
        now = database_now(connection)
    response = _response(ticket, of, items, status=status, now=now)
    body = orjson.dumps(response, default=exact_digits)
    asked = Preconditions(client=CLIENT, if_match=before.version or None)
    with intake.net.under(body, who):
        judged = judge(body, catalogue=intake.catalogue, tenant=ticket.tenant)
        with tenant_transaction(intake.api.pool, ticket.tenant) as connection:
            received = update(ticket.response_id, judged, connection=connection, tenant=ticket.tenant, asked=asked)
    if received.written:
        intake.stored()
    return Draft(response, received.stored.version_id)


def _response(
    ticket: Ticket, of: Published, items: Sequence[Mapping[str, Any]], *, status: str, now: datetime
) -> dict[str, Any]:
    response: dict[str, Any] = {
        "resourceType": TYPE,
        "id": ticket.response_id,
        "identifier": {"system": SID_FORM, "value": ticket.response_id},
        "questionnaire": of.index.canonical,
        "status": status,
        "subject": dict(ticket.patient),
        "authored": instant(now),
    }
    return response | ({"item": list(items)} if items else {})


def unsent(ticket: Ticket, of: Published, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A response with these items as triage may be asked about it; nothing is stored."""
    response = _response(ticket, of, items, status=OPEN, now=datetime.now(UTC))
    return {name: value for name, value in response.items() if name != "id"}


def plain(response: Mapping[str, Any]) -> Any:
    """The response for a page: exact digits as they are."""
    return orjson.Fragment(orjson.dumps(dict(response), default=exact_digits))

"""Which form a browser holds the ticket of: the cookie, and how a sandbox makes one for whoever comes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from services.intake.form.ticket import LIFETIME_S, Ticket, TicketRefused, read, sign
from services.intake.settings import IntakeSettings
from shared.fhir.codes import CANONICAL
from shared.ids import DEFAULT_TENANT, uuid7

COOKIE = "sural_form"
GRACE_S = 3600
"""So long after its end a ticket still takes what somebody was writing."""
SID_SANDBOX_PATIENT = f"{CANONICAL}/sid/sandbox-patient"
NO_TICKET = "To fill in this form you need a link from the people who look after you. Ask them for one."


SANDBOX_KEY = b"sandbox"
"""Signs tickets where the services share no secret: a sandbox, in which whoever asks gets one anyway."""


@dataclass(frozen=True, slots=True)
class Tablets:
    """Reads and writes tickets. `sandbox`: whoever opens a form gets one, for a patient who does not exist."""

    key: bytes
    base: str
    secure: bool
    sandbox: bool

    def held(self, request: Request, form: str) -> Ticket:
        """The ticket of this browser. Raises TicketRefused."""
        text = request.cookies.get(COOKIE, "")
        if not text:
            raise TicketRefused(NO_TICKET)
        return read(text, key=self.key, form=form, now=time.time() - GRACE_S)

    def read(self, text: str, form: str) -> Ticket:
        """The ticket that this text is. Raises TicketRefused."""
        return read(text, key=self.key, form=form, now=time.time())

    def new(self, form: str, *, tenant: UUID = DEFAULT_TENANT, patient: Mapping[str, Any] | None = None) -> Ticket:
        """A ticket for a response that nobody has begun. Without a patient: for one of the sandbox."""
        if patient is None:
            number = secrets.token_hex(4)
            identifier = {"system": SID_SANDBOX_PATIENT, "value": number}
            patient = {"type": "Patient", "identifier": identifier, "display": f"Sandbox visitor {number}"}
        return Ticket(tenant, form, patient, str(uuid7()), int(time.time()) + LIFETIME_S)

    def give(self, answer: Response, ticket: Ticket, *, for_s: int = LIFETIME_S) -> Response:
        """Let the browser hold this ticket, for so many seconds at most."""
        answer.set_cookie(
            COOKIE,
            sign(ticket, self.key),
            max_age=for_s + GRACE_S,
            path=f"{self.base}/questionnaire/{ticket.form}",
            secure=self.secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    def take(self, answer: Response, form: str) -> Response:
        """Let the browser forget its ticket: the next person begins anew."""
        answer.delete_cookie(COOKIE, path=f"{self.base}/questionnaire/{form}", secure=self.secure, httponly=True)
        return answer


MOST_LETTERS = 120


@dataclass(frozen=True, slots=True)
class Invitations:
    """Makes links that open a form for one patient. `system`: which system the patient numbers of staff belong to."""

    tablets: Tablets
    system: str
    public_url: str

    def remark(self, number: str, name: str) -> str:
        """What is wrong with a patient number and a name (which may be empty), in a sentence; else ''."""
        if not self.system and not self.tablets.sandbox:
            return "No system of patient numbers is set up. An operator sets SURAL_FORM_PATIENT_SYSTEM."
        if not number:
            return "Write the patient's number: without it nobody can tell whose answers these are."
        if len(number) > MOST_LETTERS or len(name) > MOST_LETTERS or not (number + name).isprintable():
            return f"Number and name may have at most {MOST_LETTERS} letters each, in one line."
        return ""

    def ticket(self, form: str, *, tenant: UUID, number: str, name: str) -> Ticket:
        """A ticket for one form of this kind for this patient."""
        identifier = {"system": self.system or SID_SANDBOX_PATIENT, "value": number}
        patient = {"type": "Patient", "identifier": identifier, **({"display": name} if name else {})}
        return self.tablets.new(form, tenant=tenant, patient=patient)

    def link(self, ticket: Ticket) -> str:
        """The address that opens the form of this ticket, until it is sent or has run out."""
        signed = sign(ticket, self.tablets.key)
        return f"{self.public_url.rstrip('/')}/questionnaire/{quote(ticket.form)}?ticket={signed}"


def tablets_of(settings: IntakeSettings) -> Tablets:
    """As the settings have it; outside the sandbox tickets are signed with the secret of the services."""
    url = urlsplit(settings.public_url)
    secret = settings.service_token.get_secret_value().encode() if settings.service_token else SANDBOX_KEY
    return Tablets(secret, url.path.rstrip("/"), url.scheme == "https", settings.sandbox)

"""Who may fill in one form: a signed statement that names the patient, the form and the response that it becomes. Pure.

A clinician (in the sandbox anybody) makes it; the tablet in the waiting room holds it in a cookie and nothing else. It
opens one response for some hours and shows nothing else of anybody.

    <JSON in Base64url>.<HMAC-SHA256 in hex>
"""

from __future__ import annotations

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

LIFETIME_S = 4 * 3600
MOST_CHARACTERS = 2000


class TicketRefused(Exception):
    """This opens no form. The text is a sentence for whoever holds the tablet."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """`form`: id of the Questionnaire. `patient`: a FHIR Reference. `until`: seconds since 1970."""

    tenant: UUID
    form: str
    patient: Mapping[str, Any]
    response_id: str
    until: int


def sign(ticket: Ticket, key: bytes) -> str:
    """The ticket as text."""
    claims = {
        "tenant": str(ticket.tenant),
        "form": ticket.form,
        "patient": dict(ticket.patient),
        "response": ticket.response_id,
        "until": ticket.until,
    }
    body = urlsafe_b64encode(orjson.dumps(claims)).decode().rstrip("=")
    return f"{body}.{_mac(body, key)}"


def read(text: str, *, key: bytes, form: str, now: float) -> Ticket:
    """The ticket for this form. Raises TicketRefused for one that we did not sign, for another form, or over."""
    body, _, mac = text.partition(".")
    if len(text) > MOST_CHARACTERS or not hmac.compare_digest(_mac(body, key).encode(), mac.encode("utf-8", "replace")):
        raise TicketRefused("This link opens no form. Ask for a new one.")
    try:
        claims = orjson.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, binascii.Error):
        raise TicketRefused("This link opens no form. Ask for a new one.") from None
    if claims["form"] != form:
        raise TicketRefused("This link belongs to another form. Ask for a new one.")
    if claims["until"] <= now:
        raise TicketRefused(
            "This link has run out. What you sent before is kept; what you sent just now is not. If you are in danger, "
            "call your local emergency number now. Otherwise ask for a new link."
        )
    return Ticket(UUID(claims["tenant"]), form, claims["patient"], claims["response"], claims["until"])


def _mac(body: str, key: bytes) -> str:
    return hmac.new(key, b"sural-form-ticket." + body.encode("utf-8", "replace"), "sha256").hexdigest()

"""Recording an act in its own transaction: what is not recorded is not done, and what is not done is not recorded.

Recorded are ids, codes and the parameters of a search; never an answer, never a name. The reads of our own services are
not recorded: one of them asks another many times a second, on behalf of nobody, and what comes of it (an assessment, an
alert, a message) is recorded where it is written. Nor is what the watchdog makes: it is about nobody, and is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

from shared.access.service_token import ID_PREFIX
from shared.ids import WATCHDOG_TENANT
from shared.postgres import DictConnection, load_queries

QUERIES = load_queries(Path(__file__).with_name("audit.sql"))
MOST_CHARACTERS = 2000
"""Of the parameters of a search; the rest is cut off."""


class Interaction(StrEnum):
    """Codes of FHIR restful-interaction, and LOGIN for what happens at the door."""

    CREATE = "create"
    READ = "read"
    VREAD = "vread"
    UPDATE = "update"
    DELETE = "delete"
    SEARCH = "search-type"
    HISTORY_INSTANCE = "history-instance"
    HISTORY_TYPE = "history-type"
    OPERATION = "operation"
    LOGIN = "login"


class Word(StrEnum):
    """What an act means for us, beside the interaction. Those of alerts are the kinds of notify's ledger."""

    PUBLISHED = "published"
    ASSESSED = "assessed"
    OPENED = "opened"
    JOINED = "joined"
    RAISED = "raised"
    EASED = "eased"
    ASSESSMENT_WITHDRAWN = "assessment_withdrawn"
    REPEATED = "repeated"
    REPEAT_FAILED = "repeat_failed"
    REACHED_NOBODY = "reached_nobody"
    SUPPRESSED = "suppressed"
    HELD = "held"
    NOBODY_ON_CALL = "nobody_on_call"
    EXHAUSTED = "exhausted"
    ON_CALL_SAVED = "on_call_saved"
    DELIVERED = "delivered"
    DELIVERY_FAILED = "delivery_failed"
    DELIVERY_REFUSED = "delivery_refused"
    DELIVERY_GIVEN_UP = "delivery_given_up"
    WITHDRAWN = "withdrawn"
    ACKNOWLEDGED = "acknowledged"
    STARTED = "started"
    SNOOZED = "snoozed"
    WOKEN = "woken"
    HANDED_OVER = "handed_over"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    NOTED = "noted"
    FEEDBACK = "feedback"
    TOKEN_ISSUED = "token-issued"  # noqa: S105
    TOKEN_DENIED = "token-denied"  # noqa: S105
    LOGIN_DENIED = "login-denied"
    SIGNED_IN = "signed-in"
    SIGN_IN_FAILED = "sign-in-failed"
    SIGNED_OUT = "signed-out"
    PAGE_DENIED = "page-denied"
    ACCOUNT_ADDED = "account-added"
    ACCOUNT_DISABLED = "account-disabled"
    ACCOUNT_ENABLED = "account-enabled"
    ACCOUNT_RESET = "account-reset"
    ROLES_CHANGED = "roles-changed"
    ACCOUNT_CHANGED = "account-changed"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105
    SECOND_FACTOR_SET = "second-factor-set"


READING = frozenset(
    {
        Interaction.READ,
        Interaction.VREAD,
        Interaction.SEARCH,
        Interaction.HISTORY_INSTANCE,
        Interaction.HISTORY_TYPE,
        Interaction.OPERATION,
    }
)


class Outcome(StrEnum):
    """FHIR audit-event-outcome."""

    SUCCESS = "0"
    REFUSED = "4"


@dataclass(frozen=True, slots=True)
class Asker:
    """On whose behalf something is done: id of the client or service, network address, X-Request-Id."""

    agent: str
    address: str | None = None
    request: str | None = None

    @property
    def is_service(self) -> bool:
        """True for our own services."""
        return self.agent.startswith(ID_PREFIX)


@dataclass(frozen=True, slots=True)
class Act:
    """What is done. `word`: what it means for us, from the CodeSystem audit-act. `patient`: see `patient_of`."""

    interaction: Interaction
    type: str | None = None
    id: str | None = None
    version: int | None = None
    patient: str | None = None
    query: str | None = None
    word: str | None = None
    outcome: Outcome = Outcome.SUCCESS


_asker: ContextVar[Asker | None] = ContextVar("sural_asker", default=None)


def asked_by(asker: Asker) -> None:
    """From here on, this request is on behalf of this asker."""
    _asker.set(asker)


def asker_or(agent: str) -> Asker:
    """Who asks, where a request is answered; else the service itself, which works on its own account."""
    return _asker.get() or Asker(agent)


def record(connection: DictConnection, tenant: UUID, act: Act, asker: Asker | None = None) -> None:
    """Record an act in the caller's transaction, which acts for this tenant.

    `asker` None: who asked the request that is being answered; raises LookupError where no request is. Nothing is
    recorded when one of our own services reads, and nothing of the watchdog's tenant.
    """
    asker = asker or _asker.get()
    if asker is None:
        raise LookupError("nobody asked: say on whose behalf this is done")
    if tenant == WATCHDOG_TENANT or (asker.is_service and act.interaction in READING):
        return
    connection.execute(QUERIES["record"], {"tenant": tenant} | parameters(act, asker))


def parameters(act: Act, asker: Asker) -> dict[str, Any]:
    """The parameters of `record_audit`, for statements that do something and record it at once."""
    return {
        "audit_interaction": act.interaction,
        "audit_word": act.word,
        "audit_outcome": act.outcome,
        "audit_agent": asker.agent,
        "audit_address": asker.address,
        "audit_type": act.type,
        "audit_id": act.id,
        "audit_version": act.version,
        "audit_patient": act.patient,
        "audit_query": act.query[:MOST_CHARACTERS] if act.query else None,
        "audit_request": asker.request,
    }


def patient_of(resource: Mapping[str, Any]) -> str | None:
    """What tells whose resource this is, without a name: the reference, else `system|value`, else None."""
    subject = resource.get("subject") or resource.get("for") or resource.get("patient")
    if not isinstance(subject, Mapping):
        return None
    if isinstance(reference := subject.get("reference"), str):
        return reference
    identifier = subject.get("identifier")
    if isinstance(identifier, Mapping) and isinstance(value := identifier.get("value"), str):
        return f"{identifier.get('system', '')}|{value}"
    return None

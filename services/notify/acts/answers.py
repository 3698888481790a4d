"""Signed answers of webhook receivers: a person acknowledged or closed an alert there, and it is so here.

The signature is that of Standard Webhooks, made with the secret that we sign our own messages to that receiver with. A
receiver answers for alerts that it was to be told of, and for no others. An answer counts once, however often it comes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

import orjson
from standardwebhooks import Webhook, WebhookVerificationError

from services.notify.acts import store
from services.notify.acts.acknowledge import accept
from services.notify.acts.actor import Actor
from services.notify.acts.held import Held, changed_since, held
from services.notify.acts.people import document_of, name_of_person
from services.notify.acts.resolve import close, read_codes
from services.notify.alert import State
from services.notify.channels.receivers import Receiver
from shared.audit.act import Asker, asked_by, asker_or
from shared.postgres import Pool
from shared.problems import Category, Problem, ProblemError

ACKNOWLEDGED, RESOLVED = "alert.acknowledged", "alert.resolved"
SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature")
LONGEST_ID = 256


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver says: who did what. `delivery`: the message that it answers, where it says so."""

    id: str
    sha256: bytes
    kind: str
    alert: UUID
    delivery: UUID | None
    name: str
    person: str | None
    outcome: str | None = None
    override_reason: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """The alert after an answer. `new`: False when the answer, or somebody before it, had made it so already."""

    alert: UUID
    state: State
    new: bool
    by: str


def take_answer(
    pool: Pool, receivers: Mapping[str, Receiver], body: bytes, headers: Mapping[str, str], *, address: str | None
) -> Taken:
    """Do what a receiver says. Raises ProblemError.

    No valid signature of the last five minutes (401); a body that is none of ours (422); an alert or a message of which
    this receiver was not told (404); a closed alert (410); nobody acknowledged it before it is resolved, or it became
    more urgent since the message, or the id was used for another body (409).
    """
    signers = _signers(receivers.values(), body, headers)
    answer = read_answer(body, headers)
    receiver, tenant = _told(pool, signers, answer.alert)
    with held(pool, tenant, answer.alert) as now:
        asked_by(Asker(f"webhook/{receiver}", address, asker_or("").request))
        step = store.answered_step(now.connection, now.alert, answer.delivery, receiver) if answer.delivery else None
        if answer.delivery and step is None:
            raise _unknown()
        new = store.take_answer(now.connection, tenant, receiver, answer.id, answer.sha256)
        if new is None:
            raise _refusal("answer-reused", "This webhook-id came before with another body. Give each answer its own.")
        if new:
            return _do(now, answer, step)
        return Taken(now.alert.id, now.alert.state, False, now.alert.acknowledged_by or "")


def _do(now: Held, answer: Answer, step: int | None) -> Taken:
    alert = now.alert
    if alert.state.is_closed:
        raise _refusal("alert-closed", "This alert is closed; nothing was changed.", status=410)
    document = document_of(now.connection, alert.tenant_id)
    known = name_of_person(document, answer.person)
    by = Actor(known or answer.name, answer.person if known else None, "webhook").checked()
    if answer.kind == RESOLVED:
        outcome, reason = read_codes(answer.outcome, answer.override_reason)
        alert = close(now, by, outcome, reason, note=answer.note)
        return Taken(alert.id, alert.state, True, by.name)
    if not alert.state.absorbs:
        return Taken(alert.id, alert.state, False, alert.acknowledged_by or "")
    if step is not None and step < alert.first_step:
        raise changed_since()
    alert = accept(now, by)
    return Taken(alert.id, alert.state, True, by.name)


def _signers(receivers: Iterable[Receiver], body: bytes, headers: Mapping[str, str]) -> list[str]:
    """The receivers with whose secret this was signed, within five minutes. Raises ProblemError 401 for none."""
    given = {name: headers.get(name, "") for name in SIGNED}
    if found := [one.id for one in receivers if any(_signs(secret, body, given) for secret in one.secrets)]:
        return found
    raise _refusal(
        "webhook-signature",
        "No valid signature. Sign with the receiver's secret as Standard Webhooks says (webhook-id, webhook-timestamp, "
        "webhook-signature), and compare the clocks: five minutes are the most.",
        status=401,
        issue_code="login",
    )


def _signs(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):
        return False
    return True


def _told(pool: Pool, signers: Iterable[str], alert_id: UUID) -> tuple[str, UUID]:
    """The signer that was to be told of this alert, and its tenant. Raises ProblemError 404."""
    for receiver in signers:
        if (tenant := store.tenant_of_answered(pool, alert_id, receiver)) is not None:
            return receiver, tenant
    raise _unknown()


def read_answer(body: bytes, headers: Mapping[str, str]) -> Answer:
    """What a signed body says. Raises ProblemError 422 with the first thing that is wrong with it."""
    try:
        said = orjson.loads(body)
        kind, data = said["type"], said["data"]
        person = data["person"]
        alert = UUID(data["alert"])
        delivery = UUID(data["delivery"]) if data.get("delivery") is not None else None
        name, person_id = str(person["name"]), person.get("id")
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise _unread("data needs alert, and person with name; delivery is that of our message.") from None
    if kind not in (ACKNOWLEDGED, RESOLVED):
        raise _unread(f"type must be {ACKNOWLEDGED} or {RESOLVED}.")
    texts = {field: data.get(field) for field in ("outcome", "override_reason", "note")}
    if not all(text is None or isinstance(text, str) for text in (*texts.values(), person_id)):
        raise _unread("outcome, override_reason, note and person.id are texts.")
    return Answer(
        id=headers.get("webhook-id", "")[:LONGEST_ID],
        sha256=hashlib.sha256(body).digest(),
        kind=kind,
        alert=alert,
        delivery=delivery,
        name=name,
        person=person_id,
        outcome=texts["outcome"],
        override_reason=texts["override_reason"],
        note=" ".join((texts["note"] or "").split()),
    )


def _unread(what: str) -> ProblemError:
    message = f"This answer cannot be read: {what} See docs/webhook-answers.md."
    return ProblemError(Problem(Category.UNPROCESSABLE, "webhook-answer", message, issue_code="structure"))


def _unknown() -> ProblemError:
    message = "No such alert was told to this receiver. Answer with data.alert and data.delivery as they came."
    return ProblemError(Problem(Category.NOT_FOUND, "not-found", message, issue_code="not-found"))


def _refusal(code: str, message: str, *, status: int = 409, issue_code: str = "conflict") -> ProblemError:
    return ProblemError(Problem(Category.CONFLICT, code, message, issue_code=issue_code, status=status))

"""CommunicationRequest (one per step) and Communication (one per delivery): what was ordered, what happened. Pure.

Neither holds clinical content: the payload is what was sent, which says only that there is an alert.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.notify.escalation import EMAIL, WEBHOOK, Recipient
from services.notify.task import Task
from shared.fhir.codes import CANONICAL, PROFILES, SID_ALERT, SID_RECIPIENT
from shared.fhir.identity import instant

CS_DELIVERY = f"{CANONICAL}/CodeSystem/delivery-outcome"
PARTICIPATION_MODE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode"
NOT_DONE_REASON = "http://terminology.hl7.org/CodeSystem/communication-not-done-reason"
URI_SYSTEM = "urn:ietf:rfc:3986"
COMMUNICATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/communication-category"
ALERT_CATEGORY = {"coding": [{"system": COMMUNICATION_CATEGORY, "code": "alert"}]}
NOTICE_CATEGORY = {"coding": [{"system": COMMUNICATION_CATEGORY, "code": "notification"}]}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a delivery stands: FHIR event-status, why (a word from a fixed list), and when it was sent."""

    status: str
    reason: str | None = None
    sent_at: datetime | None = None


REASONS = {
    "acknowledged": "Acknowledged before this message was sent.",
    "raised": "The alert became more urgent before this message was sent; a new one took its place.",
    "restarted": "The alert began anew before this message was sent; a new one took its place.",
    "snoozed": "Somebody put the alert off before this message was sent.",
    "entered-in-error": "The assessment was withdrawn before this message was sent.",
    "over-budget": "This person had as many messages as anybody gets in an hour; somebody else was told.",
}


def request(
    request_id: UUID,
    task: Task,
    *,
    step: int,
    recipients: Iterable[Recipient],
    text: str,
    replaces: UUID | None,
    now: datetime,
    notice: str | None = None,
) -> dict[str, Any]:
    """The order to tell these recipients. `replaces`: the order of a less urgent step that it takes the place of.

    `notice`: it asks for nothing; it says that an assessment was withdrawn, or changed.
    """
    told = list(recipients)
    resource: dict[str, Any] = {
        "resourceType": "CommunicationRequest",
        "id": str(request_id),
        "meta": _meta("CommunicationRequest", task, version=1, now=now),
        "identifier": [{"system": SID_ALERT, "value": task["id"]}],
        "groupIdentifier": {"system": SID_ALERT, "value": task["id"]},
        "status": "active",
        "category": [NOTICE_CATEGORY if notice else ALERT_CATEGORY, {"text": notice or f"step {step}"}],
        "priority": task["priority"],
        "medium": [_medium(channel) for channel in dict.fromkeys(recipient.channel for recipient in told)],
        "about": [{"reference": f"Task/{task['id']}"}, dict(task["focus"])],
        "payload": [{"contentString": text}],
        "authoredOn": instant(now),
        "recipient": [_recipient(recipient) for recipient in told],
    }
    if "for" in task:
        resource["subject"] = task["for"]
    if replaces is not None:
        resource["replaces"] = [{"reference": f"CommunicationRequest/{replaces}"}]
    return resource


def ended_request(held: Mapping[str, Any], *, version: int, status: str, now: datetime) -> dict[str, Any]:
    """The next version of a CommunicationRequest: `completed`, or `revoked` when nobody was reached by it."""
    return {**held, "meta": _meta("CommunicationRequest", held, version=version, now=now), "status": status}


def communication(
    delivery_id: UUID,
    order: Mapping[str, Any],
    *,
    recipient: Recipient,
    outcome: Outcome,
    attempts: int,
    version: int,
    now: datetime,
) -> dict[str, Any]:
    """What came of one delivery of an order (a CommunicationRequest): the same content, one recipient.

    Every attempt is a version of it: its history tells what each attempt came to.

    `sent` is when the mail server or the receiver took it. `received` is given only where the receiver itself answered
    (webhook); that a mail server took a mail does not say that anybody has it.
    """
    same = ("identifier", "about", "subject", "priority", "payload")
    resource = {name: order[name] for name in same if name in order} | {
        "resourceType": "Communication",
        "id": str(delivery_id),
        "meta": _meta("Communication", order, version=version, now=now),
        "basedOn": [{"reference": f"CommunicationRequest/{order['id']}"}],
        "partOf": [order["about"][0]],
        "status": outcome.status,
        "category": order["category"][:1],
        "medium": [_medium(recipient.channel)],
        "recipient": [_recipient(recipient)],
    }
    if attempts:
        resource["note"] = [{"text": f"Attempt {attempts}."}]
    if outcome.reason is not None:
        resource["statusReason"] = _reason(outcome.reason)
    if outcome.sent_at is not None:
        resource["sent"] = instant(outcome.sent_at)
        if recipient.channel == WEBHOOK:
            resource["received"] = instant(outcome.sent_at)
    return resource


def _meta(resource_type: str, alike: Mapping[str, Any], *, version: int, now: datetime) -> dict[str, Any]:
    """Meta of this version; tags are those of `alike`, the resource that it belongs to."""
    ours = {"profile": [PROFILES[resource_type]], "versionId": str(version), "lastUpdated": instant(now)}
    return {**alike["meta"], **ours}


def _medium(channel: str) -> dict[str, Any]:
    code = "EMAILWRIT" if channel == EMAIL else "ELECTRONIC"
    return {"coding": [{"system": PARTICIPATION_MODE, "code": code}], "text": channel}


def _recipient(recipient: Recipient) -> dict[str, Any]:
    """An e-mail address; else channel and name: the address behind a name may hold a secret, and stays where it is."""
    if recipient.channel == EMAIL:
        return {"identifier": {"system": URI_SYSTEM, "value": f"mailto:{recipient.address}"}}
    return {"identifier": {"system": SID_RECIPIENT, "value": f"{recipient.channel}/{recipient.address}"}}


def _reason(reason: str) -> dict[str, Any]:
    coding = [{"system": CS_DELIVERY, "code": reason}]
    if reason not in REASONS:
        coding.append({"system": NOT_DONE_REASON, "code": "system-error"})
    return {"coding": coding, "text": REASONS.get(reason, f"The channel answered: {reason}.")}

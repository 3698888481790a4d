"""Signed answers of webhook receivers: what a person did there is done here, once, and by nobody who did not sign."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from standardwebhooks import Webhook

from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.hear import RAISE_ROUTINE
from shared.ids import DEFAULT_TENANT, uuid7
from tests.notify.conftest import SECRET, Service
from tests.notify.neighbours import Receiver, Triage, an_assessment
from tests.notify.on_call.clinic import STANDARD, Clinic

OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PAGE = (Path(__file__).parents[3] / "docs" / "webhook-answers.md").read_text(encoding="utf-8")


def said(alert: object, kind: str = "alert.acknowledged", **data: Any) -> dict[str, Any]:
    return {"type": kind, "data": {"alert": str(alert), "person": {"name": "Dr Osei"}} | data}


def send(
    client: httpx.Client,
    body: dict[str, Any] | bytes,
    *,
    secret: str = SECRET,
    webhook_id: str | None = None,
    age: timedelta = timedelta(0),
    **headers: str,
) -> httpx.Response:
    """Answer as a receiver does."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    identifier = webhook_id or str(uuid4())
    now = datetime.now(UTC) - age
    signed = {
        "Content-Type": "application/json",
        "webhook-id": identifier,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(identifier, now, content.decode()),
    }
    given = signed | {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(
        "/worklist/answer", content=content, headers={key: value for key, value in given.items() if value}
    )


@pytest.mark.requirement("REQ-14")
def test_a_receiver_acknowledges_for_a_person(
    service: Service, told: UUID, receiver: Receiver, client: httpx.Client
) -> None:
    message = json.loads(receiver.requests[0][1])["data"]

    answer = send(client, said(message["alert"], delivery=message["delivery"]))

    assert answer.status_code == 200
    assert answer.json() == {"alert": str(told), "status": "accepted", "new": True, "by": "Dr Osei"}
    alert = service.alert()
    assert (alert["acknowledged_by"], alert["due_at"]) == ("Dr Osei", None)
    [line] = service.rows("SELECT person, way FROM alert_event WHERE kind = 'acknowledged'")
    assert line == {"person": "Dr Osei", "way": "webhook"}
    [audited] = service.rows("SELECT agent FROM audit_event WHERE word = 'acknowledged'")
    assert audited["agent"] == "webhook/default"


def test_a_person_of_the_on_call_document_is_known_by_id(clinic: Clinic, client: httpx.Client) -> None:
    clinic.agrees_on(STANDARD.replace('channel = "email", address = "first@', 'channel = "webhook", address = "default" }, { channel = "email", address = "first@'))  # fmt: skip  # noqa: E501
    clinic.sees()

    send(client, said(clinic.service.alert()["id"], person={"name": "F.", "id": "first"}))

    alert = clinic.service.alert()
    assert (alert["acknowledged_by"], alert["owner"]) == ("Dr First", "first")


@pytest.mark.requirement("REQ-14")
@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": OTHER_SECRET},
        {"age": timedelta(minutes=6)},
        {"age": -timedelta(minutes=6)},
        {"webhook_signature": ""},
        {"webhook_timestamp": ""},
        {"webhook_signature": "v1,"},
        {"webhook_signature": "nonsense"},
        {"webhook_signature": "v1a,AAAA"},
        {"webhook_timestamp": "nan"},
        {"webhook_timestamp": "1e400"},
    ],
    ids=str,
)
def test_what_is_not_signed_now_by_a_receiver_does_nothing(
    service: Service, told: UUID, client: httpx.Client, wrong: dict[str, Any]
) -> None:
    answer = send(client, said(told), **wrong)

    assert answer.status_code == 401
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "webhook-signature"
    assert service.alert()["state"] == "received"


@pytest.mark.requirement("REQ-14")
def test_a_changed_body_and_our_own_message_sent_back_do_nothing(
    service: Service, told: UUID, receiver: Receiver, client: httpx.Client
) -> None:
    headers, body = receiver.requests[0]
    ours = {name: headers[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type")}

    changed = client.post("/worklist/answer", content=body.replace(b"alert.due", b"alert.acknowledged"), headers=ours)
    reflected = client.post("/worklist/answer", content=body, headers=ours)

    assert (changed.status_code, reflected.status_code) == (401, 422)
    assert service.alert()["state"] == "received"


@pytest.mark.requirement("REQ-14")
def test_an_answer_that_comes_again_does_nothing_again(service: Service, told: UUID, client: httpx.Client) -> None:
    first = send(client, said(told), webhook_id="answer-1")
    service.rows("UPDATE alert SET state = 'received', due_at = now(), acknowledged_at = NULL, acknowledged_by = NULL")

    again = send(client, said(told), webhook_id="answer-1")
    other = send(client, said(told, person={"name": "Dr Late"}), webhook_id="answer-1")

    assert [one.status_code for one in (first, again, other)] == [200, 200, 409]
    assert again.json()["new"] is False
    assert service.alert()["acknowledged_at"] is None
    assert send(client, said(told), webhook_id="answer-2").json()["new"] is True


def test_an_answer_that_was_refused_may_come_again(service: Service, told: UUID, client: httpx.Client) -> None:
    closing = said(told, "alert.resolved", outcome="seen-and-treated")

    early = send(client, closing, webhook_id="answer-1")
    send(client, said(told))
    answer = send(client, closing, webhook_id="answer-1")

    assert (early.status_code, answer.status_code) == (409, 200)
    assert service.alert()["outcome"] == "seen-and-treated"


def test_a_receiver_closes_with_outcome_reason_and_note(service: Service, told: UUID, client: httpx.Client) -> None:
    send(client, said(told))
    less = said(told, "alert.resolved", outcome="appointment-made")
    refused = send(client, less)

    less["data"] |= {"override_reason": "already-known", "note": "Seen at the clinic."}
    answer = send(client, less)

    assert (refused.status_code, answer.status_code) == (422, 200)
    assert answer.json()["status"] == "completed"
    alert = service.alert()
    assert (alert["outcome"], alert["override_reason"]) == ("appointment-made", "already-known")
    assert send(client, said(told)).status_code == 410
    assert send(client, less).status_code == 410


@pytest.mark.requirement("REQ-14")
def test_somebody_who_was_faster_stays(service: Service, told: UUID, client: httpx.Client) -> None:
    acknowledge(service.notify.pool, DEFAULT_TENANT, told, by=Actor("Dr Page", None, "page"))

    answer = send(client, said(told))

    assert (answer.status_code, answer.json()["new"], answer.json()["by"]) == (200, False, "Dr Page")
    assert service.alert()["acknowledged_by"] == "Dr Page"


@pytest.mark.requirement("REQ-14")
def test_nobody_acknowledges_by_an_old_message_what_became_more_urgent(
    service: Service, triage: Triage, receiver: Receiver, client: httpx.Client
) -> None:
    service.hears(triage.publish(an_assessment("same_day")), kind=RAISE_ROUTINE)
    service.sends()
    old = json.loads(receiver.requests[0][1])["data"]
    service.hears(triage.publish(an_assessment("emergency", response_id="qr-2")))
    service.sends()
    new = json.loads(receiver.requests[1][1])["data"]

    assert send(client, said(old["alert"], delivery=old["delivery"])).status_code == 409
    assert service.alert()["acknowledged_at"] is None
    assert send(client, said(new["alert"], delivery=new["delivery"])).status_code == 200


@pytest.mark.requirement("REQ-14")
def test_a_receiver_answers_for_nothing_that_it_was_not_told_of(
    service: Service, told: UUID, client: httpx.Client
) -> None:
    [mail] = service.rows("SELECT id FROM delivery WHERE channel = 'email'")

    assert send(client, said(uuid7())).status_code == 404
    assert send(client, said(told, delivery=str(mail["id"]))).status_code == 404
    service.rows("UPDATE delivery SET recipient = 'another' WHERE channel = 'webhook'")
    assert send(client, said(told)).status_code == 404
    assert service.alert()["state"] == "received"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b"{", b'{"type": "alert.acknowledged"}', b'{"type": "alert.acknowledged", "data": []}',
        b'{"type": "alert.acknowledged", "data": {"alert": "x", "person": {"name": "A"}}}',
        b'{"type": "alert.acknowledged", "data": {"alert": 7, "person": {"name": "A"}}}',
        b'{"type": "alert.acknowledged", "data": {"alert": "ALERT"}}',
        b'{"type": "alert.acknowledged", "data": {"alert": "ALERT", "person": "A"}}',
        b'{"type": "alert.acknowledged", "data": {"alert": "ALERT", "person": {"name": ""}}}',
        b'{"type": "alert.acknowledged", "data": {"alert": "ALERT", "person": {"name": "A", "id": 7}}}',
        b'{"type": "alert.ignored", "data": {"alert": "ALERT", "person": {"name": "A"}}}',
        b'{"type": "alert.resolved", "data": {"alert": "ALERT", "person": {"name": "A"}, "outcome": {}}}',
    ],
    ids=str,
)  # fmt: skip
def test_an_answer_that_cannot_be_read_is_refused_with_what_is_missing(
    service: Service, told: UUID, client: httpx.Client, body: bytes
) -> None:
    answer = send(client, body.replace(b"ALERT", str(told).encode()))

    assert answer.status_code == 422
    assert answer.json()["issue"][0]["details"]["text"]
    assert service.alert()["state"] == "received"


@pytest.mark.requirement("REQ-14")
def test_both_secrets_of_a_receiver_hold_while_one_is_changed(
    told: UUID, service: Service, client: httpx.Client
) -> None:
    assert send(client, said(told), secret=OTHER_SECRET).status_code == 401
    assert service.alert()["state"] == "received"
    assert send(client, said(told)).status_code == 200


def test_the_examples_of_the_documentation_are_taken(service: Service, told: UUID, client: httpx.Client) -> None:
    [mail, webhook] = service.rows("SELECT id FROM delivery ORDER BY channel")
    assert mail != webhook
    for text in re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL):
        example = json.loads(text)
        example["data"]["alert"] = str(told)
        if "delivery" in example["data"]:
            example["data"]["delivery"] = str(webhook["id"])
        assert send(client, example).status_code == 200

    assert service.alert()["state"] == "completed"

"""A message may go out twice, it is never lost, and it says nothing about the patient."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from email.header import decode_header, make_header

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook

from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.channels import Answer, Channel, DeliveryResult, Message
from services.notify.channels.email import EmailChannel
from services.notify.detail import store as detail
from services.notify.escalation import JOB_KINDS
from services.notify.hear import RAISE_ROUTINE
from services.notify.settings import NotifySettings
from services.notify.worklist import store as worklist
from services.notify.worklist.filters import Filters
from services.notify.worklist.store import Looker
from shared.ids import DEFAULT_TENANT
from shared.postgres import tenant_transaction
from tests.notify.conftest import ON_CALL, SECRET, Service
from tests.notify.neighbours import MailServer, Receiver, Triage, an_assessment
from tests.notify.sending import deliver_due

CANARIES = (
    b"Wrenfield",
    b"Canary",
    b"7391",
    b"canary-thrombosis",
    b"canary-advice",
    b"17.5",
    b"qr-5521",
    b"lower-limb",
)
Opened = Callable[[NotifySettings], AbstractContextManager[Service]]


@pytest.mark.requirement("SR-16")
def test_an_emergency_reaches_every_recipient_by_every_channel(
    service: Service, triage: Triage, mail: MailServer, receiver: Receiver
) -> None:
    service.hears(triage.publish(an_assessment()))
    service.sends()

    alert = service.alert()
    assert len(mail.mails) == 1
    assert len(receiver.requests) == 1
    assert mail.mails[0]["To"] == ON_CALL
    assert "emergency alert, one patient" in str(make_header(decode_header(mail.mails[0]["Subject"])))
    assert alert["state"] == "received"
    assert service.task(alert["id"])["status"] == "received"
    assert service.events() == ["opened", "delivered", "delivered"]
    communications = service.resources("Communication")
    assert {communication["status"] for communication in communications} == {"completed"}
    assert all({"reference": f"Task/{alert['id']}"} in communication["partOf"] for communication in communications)
    assert [order["status"] for order in service.resources("CommunicationRequest")] == ["completed"]


@pytest.mark.requirement("REQ-15")
def test_no_health_data_leaves_by_mail_or_webhook(
    service: Service, triage: Triage, mail: MailServer, receiver: Receiver
) -> None:
    assessment = an_assessment()
    service.hears(triage.publish(assessment))
    service.sends()

    sent = mail.raw + [body for _, body in receiver.requests]
    sent += [json.dumps(headers).encode() for headers, _ in receiver.requests]
    assert len(sent) == 3
    for text in sent:
        for canary in (*CANARIES, assessment["id"].encode()):
            assert canary not in text


def test_the_mail_says_where_to_look_and_that_this_is_a_sandbox(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    service.hears(triage.publish(an_assessment("same_day")), kind=RAISE_ROUTINE)
    service.sends()

    payload = mail.mails[0].get_payload(decode=True)
    assert isinstance(payload, bytes)
    text = payload.decode("utf-8")
    assert f"http://127.0.0.1:8123/worklist/alert/{service.alert()['id']}" in text
    assert "SANDBOX: test data only" in text
    assert "same-day" in text
    assert mail.mails[0].get_content_type() == "text/plain"


def test_the_webhook_is_signed_and_names_the_alert(service: Service, triage: Triage, receiver: Receiver) -> None:
    service.hears(triage.publish(an_assessment()))
    service.sends()

    headers, body = receiver.requests[0]
    content = Webhook(SECRET).verify(body, headers)
    alert_id = str(service.alert()["id"])
    assert content["type"] == "alert.due"
    assert content["data"]["alert"] == alert_id
    assert content["data"]["urgency"] == "emergency"
    assert content["data"]["task"].endswith(f"/fhir/Task/{alert_id}")
    assert headers["webhook-id"] == content["data"]["delivery"]


@pytest.mark.requirement("REQ-11")
def test_a_refused_mail_is_tried_again_until_it_is_taken_under_the_same_message_id(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    mail.refusal = "451 try later"
    service.hears(triage.publish(an_assessment()))
    service.sends()
    (waiting,) = service.rows("SELECT attempts, state, answer FROM delivery WHERE channel = 'email'")
    assert waiting == {"attempts": 1, "state": "pending", "answer": "smtp-451"}
    assert "in-progress" in {communication["status"] for communication in service.resources("Communication")}

    mail.refusal = ""
    service.everything_due()
    service.sends()

    (delivery,) = service.rows("SELECT id, state, attempts FROM delivery WHERE channel = 'email'")
    assert (delivery["state"], delivery["attempts"]) == ("sent", 2)
    assert mail.mails[0]["Message-ID"] == f"<{delivery['id']}@clinic.example>"
    versions = service.rows("SELECT version_id FROM resource WHERE id = %s ORDER BY 1", str(delivery["id"]))
    assert [row["version_id"] for row in versions] == [1, 2]


def test_failed_attempts_wait_five_seconds_then_fifteen(service: Service, triage: Triage, mail: MailServer) -> None:
    mail.refusal = "451 try later"
    service.hears(triage.publish(an_assessment()))

    pauses = []
    for _ in range(2):
        service.everything_due()
        service.sends()
        (row,) = service.rows(
            "SELECT extract(epoch FROM due_at - (SELECT max(at) FROM alert_event WHERE kind = 'delivery_failed')) AS s "
            "FROM job WHERE kind LIKE 'deliver.email.urgent/%' AND state = 'pending'"
        )
        pauses.append(row["s"])

    assert 0 < pauses[0] <= 5 < pauses[1] <= 15, "the ledger is written a moment after the pause began"


def test_a_recipient_that_does_not_exist_is_recorded_and_tried_again_by_the_next_step(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    mail.refusal = "550 no such user"
    service.hears(triage.publish(an_assessment()))
    service.sends()

    (delivery,) = service.rows("SELECT state, answer FROM delivery WHERE channel = 'email'")
    assert delivery == {"state": "failed", "answer": "smtp-550"}
    (failed,) = [c for c in service.resources("Communication") if c["status"] == "not-done"]
    assert failed["statusReason"]["coding"][0]["code"] == "smtp-550"
    assert "delivery_refused" in service.events()
    assert service.alert()["due_at"] is not None


@pytest.mark.parametrize(("status", "state"), [(503, "pending"), (429, "pending"), (404, "failed"), (302, "failed")])
def test_what_a_receiver_answers_decides_whether_a_webhook_is_tried_again(
    service: Service, triage: Triage, receiver: Receiver, status: int, state: str
) -> None:
    receiver.status = status
    service.hears(triage.publish(an_assessment()))
    service.sends()

    (delivery,) = service.rows("SELECT state, answer FROM delivery WHERE channel = 'webhook'")
    assert delivery == {"state": state, "answer": f"http-{status}"}
    assert len(receiver.requests) == 1


@pytest.mark.requirement("REQ-10")
def test_a_dead_mail_server_does_not_stop_the_webhook(
    settings: NotifySettings, open_service: Opened, triage: Triage, receiver: Receiver
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = SecretStr(f"smtp://127.0.0.1:{silent.getsockname()[1]}")
        with open_service(settings.model_copy(update={"smtp_url": url})) as opened:
            email = opened.notify.channels["email"]
            assert isinstance(email, EmailChannel)
            hurried = {**opened.notify.channels, "email": replace(email, server=replace(email.server, timeout_s=0.3))}
            service = Service(replace(opened.notify, channels=hurried), opened.rows)
            service.hears(triage.publish(an_assessment()))
            service.sends()

            states = service.rows("SELECT channel, state, answer FROM delivery ORDER BY channel")
    assert [(row["channel"], row["state"]) for row in states] == [("email", "pending"), ("webhook", "sent")]
    assert states[0]["answer"] == "timeout"
    assert len(receiver.requests) == 1


class ProcessKilled(BaseException):
    """The process ends here; nothing that follows is done."""


@dataclass
class DiesAfterSending:
    """A channel in a process that is killed when the message is out and nothing is recorded yet."""

    channel: Channel

    def send(self, message: Message) -> DeliveryResult:
        self.channel.send(message)
        raise ProcessKilled


@pytest.mark.requirement("REQ-11")
def test_a_crash_between_sending_and_recording_gives_a_double_with_the_same_id_never_a_loss(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    service.hears(triage.publish(an_assessment()))
    dying = {**service.notify.channels, "email": DiesAfterSending(service.notify.channels["email"])}
    with pytest.raises(ProcessKilled):
        deliver_due(replace(service.notify, channels=dying), "deliver.email.urgent")
    assert service.resources("Communication") == []

    service.rows("UPDATE job SET lease_until = now() - interval '1 second' WHERE state = 'running'")
    service.sends()

    assert len(mail.mails) == 2
    assert len({message["Message-ID"] for message in mail.mails}) == 1
    (delivery,) = service.rows("SELECT state FROM delivery WHERE channel = 'email'")
    assert delivery["state"] == "sent"


def test_what_is_acknowledged_before_it_was_sent_is_not_sent(
    service: Service, triage: Triage, mail: MailServer, receiver: Receiver
) -> None:
    service.hears(triage.publish(an_assessment()))
    acknowledge(service.notify.pool, DEFAULT_TENANT, service.alert()["id"], by=Actor("Dr Osei", None, "page"))

    service.sends()

    assert mail.mails == []
    assert receiver.requests == []
    assert {row["state"] for row in service.rows("SELECT state FROM delivery")} == {"withdrawn"}
    reasons = {c["statusReason"]["coding"][0]["code"] for c in service.resources("Communication")}
    assert reasons == {"acknowledged"}
    assert [order["status"] for order in service.resources("CommunicationRequest")] == ["revoked"]


def test_a_same_day_message_is_given_up_after_a_day_and_says_so(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    mail.refusal = "451 try later"
    service.hears(triage.publish(an_assessment("same_day")), kind=RAISE_ROUTINE)
    service.rows("UPDATE delivery SET created_at = now() - interval '25 hours'")

    service.sends()

    (delivery,) = service.rows("SELECT state FROM delivery WHERE channel = 'email'")
    assert delivery["state"] == "dead"
    assert "delivery_given_up" in service.events()


@pytest.mark.requirement("REQ-11", "SR-16")
def test_an_emergency_message_is_never_given_up(service: Service, triage: Triage, mail: MailServer) -> None:
    mail.refusal = "451 try later"
    service.hears(triage.publish(an_assessment()))
    service.rows("UPDATE delivery SET created_at = now() - interval '40 days', attempts = 5000")

    service.sends()

    (delivery,) = service.rows("SELECT state FROM delivery WHERE channel = 'email'")
    assert delivery["state"] == "pending"


@pytest.mark.requirement("REQ-10")
def test_emergencies_do_not_queue_behind_other_alerts(service: Service, triage: Triage, mail: MailServer) -> None:
    for number in range(3):
        service.hears(triage.publish(an_assessment("same_day", patient=f"Patient/{number}")), kind=RAISE_ROUTINE)
    service.hears(triage.publish(an_assessment("emergency")))

    assert deliver_due(service.notify, JOB_KINDS[0]) == 1

    assert ["emergency" in str(message["Subject"]) for message in mail.mails] == [True]


@dataclass
class NeverAnswers:
    """A channel whose other side drips its answer for ever."""

    released: threading.Event

    def send(self, _message: Message) -> DeliveryResult:
        self.released.wait(30)
        return DeliveryResult(Answer.SENT, "too late")


@pytest.mark.requirement("REQ-10")
def test_a_channel_that_never_answers_is_left_after_its_time(service: Service, triage: Triage) -> None:
    released = threading.Event()
    slow = replace(service.notify, channels={"email": NeverAnswers(released)}, channel_timeout_s=-1.9)
    service.hears(triage.publish(an_assessment()))

    deliver_due(slow, "deliver.email.urgent")
    released.set()

    (delivery,) = service.rows("SELECT state, answer FROM delivery WHERE channel = 'email'")
    assert delivery == {"state": "pending", "answer": "timeout"}


def looked_at(service: Service) -> None:
    """Somebody looks at the worklist, at an alert and at all of its patient's."""
    with tenant_transaction(service.notify.pool, DEFAULT_TENANT) as connection:
        assert worklist.page(connection, DEFAULT_TENANT, Filters(), Looker("nobody", "Nobody"))
        (newest,) = detail.alerts_of_patient(connection, DEFAULT_TENANT, "Patient/0", limit=5)
        assert detail.read_alert(connection, DEFAULT_TENANT, newest.id)
        assert detail.ledger(connection, newest)


@pytest.mark.requirement("REQ-10")
def test_a_running_service_goes_on_when_a_newer_version_gave_the_table_of_alerts_a_column(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    for number in range(8):
        service.hears(triage.publish(an_assessment(patient=f"Patient/{number}")))
        service.sends()

        looked_at(service)
    service.rows("ALTER TABLE alert ADD COLUMN of_a_later_version text")
    service.rows("ALTER TABLE alert_event ADD COLUMN of_a_later_version text")
    service.rows("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA notify TO CURRENT_USER")  # as a migration does
    try:
        service.hears(triage.publish(an_assessment(patient="Patient/later")))
        service.sends()
        looked_at(service)
    finally:
        service.rows("ALTER TABLE alert DROP COLUMN of_a_later_version")
        service.rows("ALTER TABLE alert_event DROP COLUMN of_a_later_version")

    assert len(service.rows("SELECT * FROM alert")) == 9
    assert {row["state"] for row in service.rows("SELECT state FROM delivery")} == {"sent"}
    assert len(mail.mails) == 9

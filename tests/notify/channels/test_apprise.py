"""SMS and chat through Apprise: one named target per message, and never a success that nobody had.

Tried against servers on the loopback address; the services themselves were not.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from apprise import Apprise, AppriseResult, AppriseResultStatus
from pydantic import SecretStr

from services.notify.channels import Answer, DeliveryResult
from services.notify.channels.apprise import ALLOWED, AppriseChannel, parse_targets
from services.notify.escalation import Recipient
from services.notify.settings import NotifySettings
from tests.notify.channels.certificates import certify
from tests.notify.channels.messages import a_message
from tests.notify.channels.scripted import a_server_that, hangs
from tests.notify.channels.test_webhook import answered
from tests.notify.conftest import Service
from tests.notify.neighbours import Receiver, Triage, an_assessment
from tests.notify.test_deliver import CANARIES

Opened = Callable[[NotifySettings], AbstractContextManager[Service]]
TOKEN = "canary-apprise-token"


def target(receiver: Receiver) -> str:
    return f"json://user:{TOKEN}@{urlsplit(receiver.url).netloc}/sms"


def a_channel(url: str, *, timeout_s: float = 20) -> AppriseChannel:
    return AppriseChannel({"night-sms": url}, timeout_s)


def to_night_sms() -> object:
    return a_message(recipient="night-sms")


@pytest.fixture
def sms(settings: NotifySettings, open_service: Opened, receiver: Receiver) -> Service:
    targets = SecretStr(json.dumps({"night-sms": target(receiver)}))
    with open_service(settings.model_copy(update={"apprise_targets": targets})) as service:
        plan = replace(service.notify.plan, recipients=(Recipient("apprise", "night-sms"),))
        yield Service(replace(service.notify, plan=plan), service.rows)


def test_an_alert_reaches_the_service_behind_a_named_target(sms: Service, triage: Triage, receiver: Receiver) -> None:
    sms.hears(triage.publish(an_assessment()))
    sms.sends()

    assert sms.rows("SELECT state, answer FROM delivery") == [{"state": "sent", "answer": "apprise-success"}]
    said = json.loads(receiver.requests[0][1])
    alert = sms.alert()["id"]
    assert said["title"] == f"Sural: emergency alert, one patient ({str(alert)[-8:]})"
    assert f"/worklist/alert/{alert}" in said["message"]
    assert "SANDBOX" in said["message"]


@pytest.mark.requirement("REQ-15")
def test_neither_health_data_nor_the_secret_goes_where_it_does_not_belong(
    sms: Service, triage: Triage, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 500
    with caplog.at_level(logging.DEBUG):
        sms.hears(triage.publish(an_assessment()))
        sms.sends()

    assert not any(canary in receiver.requests[0][1] for canary in CANARIES)
    stored = json.dumps(sms.resources("Communication") + sms.resources("CommunicationRequest"))
    stored += json.dumps(sms.rows("SELECT delivery::text AS d FROM delivery") + sms.rows("SELECT job::text FROM job"))
    stored += json.dumps(sms.rows("SELECT alert_event::text AS e FROM alert_event"))
    assert "apprise/night-sms" in stored
    assert TOKEN not in stored + caplog.text + repr(sms.notify.channels)
    assert "apprise-failure" in stored


@pytest.mark.parametrize("status", [301, 400, 401, 429, 500])
def test_a_service_that_does_not_take_it_is_tried_again(receiver: Receiver, status: int) -> None:
    receiver.status = status

    assert a_channel(target(receiver)).send(to_night_sms()) == DeliveryResult(Answer.FAILED, "apprise-failure")
    assert len(receiver.requests) == 1


def test_a_service_that_hangs_is_left_after_its_time() -> None:
    with a_server_that(hangs) as server:
        result = a_channel(f"json://127.0.0.1:{server.port}/", timeout_s=0.5).send(to_night_sms())

    assert result == DeliveryResult(Answer.FAILED, "timeout")


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    there = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {receiver.url}\r\nContent-Length: 0\r\n\r\n"
    with a_server_that(answered(there.encode())) as server:
        result = a_channel(f"json://127.0.0.1:{server.port}/").send(to_night_sms())

    assert result == DeliveryResult(Answer.FAILED, "apprise-failure")
    assert receiver.requests == []


def test_a_service_with_a_certificate_that_nobody_vouches_for_gets_nothing(tmp_path: object) -> None:
    certified = certify(tmp_path)  # type: ignore[arg-type]
    taken: list[bytes] = []

    def greets(_server: object, connection: object) -> None:
        with certified.server.wrap_socket(connection, server_side=True) as secure:  # type: ignore[arg-type]
            taken.append(secure.recv(65536))

    with a_server_that(greets) as server:
        result = a_channel(f"jsons://127.0.0.1:{server.port}/").send(to_night_sms())

    assert result.answer is Answer.FAILED
    assert not any(taken)


def test_a_name_that_no_setting_knows_and_a_url_that_nobody_can_read_are_refusals() -> None:
    assert AppriseChannel({}, 5).send(to_night_sms()) == DeliveryResult(Answer.REFUSED, "target-unknown")
    assert a_channel("twilio://").send(to_night_sms()) == DeliveryResult(Answer.REFUSED, "target-unusable")


def test_no_target_matched_is_never_a_success(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    monkeypatch.setattr(Apprise, "notify", lambda *_, **__: AppriseResult(AppriseResultStatus.NOMATCH))
    assert a_channel(target(receiver)).send(to_night_sms()) == DeliveryResult(Answer.REFUSED, "apprise-nobody")

    monkeypatch.setattr(Apprise, "notify", lambda *_, **__: AppriseResult(AppriseResultStatus.SUCCESS))
    assert a_channel(target(receiver)).send(to_night_sms()) == DeliveryResult(Answer.REFUSED, "apprise-nobody")


@pytest.mark.parametrize(
    "url",
    [
        "syslog://",
        "dbus://",
        "windows://",
        "exec://rm",
        "file:///etc/passwd",
        "mailto://user:pass@example.org",
        "json://127.0.0.1/",
        "ntfy://host/topic",
        "xmls://host/",
        "twilio",
        "jsons://host/?verify=no",
        "jsons://host/?Redirect=yes",
        "jsons://host/,json://127.0.0.1/",
        "jsons://host/ json://127.0.0.1/",
        "jsons://host/\njson://127.0.0.1/",
    ],
)
def test_outside_the_sandbox_only_services_that_are_asked_by_https_are_allowed(url: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_targets(json.dumps({"night-sms": url}), sandbox=False)

    assert url not in str(refused.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"A b": "jsons://host/"}', '{"a": 5}'])
def test_targets_that_cannot_be_read_are_refused_at_start(text: str) -> None:
    with pytest.raises(ValueError, match="SURAL_APPRISE_TARGETS"):
        NotifySettings.load(
            {
                "SURAL_MODE": "sandbox",
                "SURAL_NOTIFY_DATABASE_URL": "postgresql://x@127.0.0.1/x",
                "SURAL_APPRISE_TARGETS": text,
            }
        )


def test_every_allowed_kind_is_one_that_apprise_asks_by_https_only() -> None:
    from apprise import NotificationManager

    plugins = NotificationManager()
    in_the_open = set()
    for kind in ALLOWED:
        unsafe = plugins[kind].protocol or ()
        in_the_open |= {kind} & set((unsafe,) if isinstance(unsafe, str) else unsafe)

    assert in_the_open == set()


def test_apprise_is_loaded_when_the_first_message_goes_out_and_not_before() -> None:
    program = "import sys, services.notify.context, services.notify.channels.apprise; print('apprise' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"

"""A webhook goes to the receiver that was named, signed with every live secret; what it answers decides the rest."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook

from deploy.local.folder import free_port
from services.notify.channels import Answer, DeliveryResult
from services.notify.channels.answers import of_http, retry_after
from services.notify.channels.receivers import Receiver, parse_receivers
from services.notify.channels.webhook import WebhookChannel
from services.notify.context import channels
from services.notify.escalation import retry_pause
from services.notify.hear import RAISE_ROUTINE
from services.notify.settings import NotifySettings
from shared.outbound import LASTS_S, Connections
from tests.notify.channels.certificates import certify
from tests.notify.channels.messages import a_message
from tests.notify.channels.scripted import Scripted, a_server_that, drips, hangs
from tests.notify.conftest import SECRET, Service
from tests.notify.neighbours import Receiver as Sink
from tests.notify.neighbours import Triage, a_receiver, an_assessment

OLD = "whsec_b2xkIHNlY3JldCBvZiB0aGUgcGFnZXI="
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
Opened = Callable[[NotifySettings], AbstractContextManager[Service]]


def a_channel(url: str, *, timeout_s: float = 20) -> WebhookChannel:
    return WebhookChannel({"default": Receiver("default", url, (SECRET,))}, timeout_s, sandbox=True)


def to_default(**changed: Any) -> Any:
    return a_message(recipient="default", **changed)


def at(server: Scripted) -> str:
    return f"http://127.0.0.1:{server.port}/hook"


def answered(text: bytes) -> Callable[[Scripted, socket.socket], None]:
    def talk(server: Scripted, connection: socket.socket) -> None:
        server.received.append(connection.recv(65536))
        connection.sendall(text)

    return talk


def test_each_named_receiver_gets_its_own_messages_and_nobody_elses(settings: NotifySettings) -> None:
    with a_receiver() as pager:
        named = json.dumps([{"id": "ward-pager", "url": pager.url, "secrets": [OLD]}])
        channel = channels(settings.model_copy(update={"webhooks": SecretStr(named)}))["webhook"]

        assert channel.send(a_message(recipient="ward-pager")).answer is Answer.SENT

        headers, body = pager.requests[0]
        Webhook(OLD).verify(body, headers)


def test_a_receiver_that_no_setting_names_is_a_refusal() -> None:
    channel = a_channel("http://127.0.0.1:9/hook")

    result = channel.send(a_message(recipient="night-pager"))

    assert result == DeliveryResult(Answer.REFUSED, "receiver-unknown")


def test_while_a_secret_is_changed_both_the_old_and_the_new_one_verify(settings: NotifySettings) -> None:
    with a_receiver() as sink:
        both = {"webhook_url": SecretStr(sink.url), "webhook_secret": SecretStr(f"{SECRET} {OLD}")}
        channels(settings.model_copy(update=both))["webhook"].send(to_default())

        headers, body = sink.requests[0]
    for secret in (SECRET, OLD):
        assert Webhook(secret).verify(body, headers)["type"] == "alert.due"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        '[{"id": "a", "url": "https://a.example"}]',
        f'[{{"id": "A b", "url": "https://a.example", "secrets": ["{OLD}"]}}]',
        f'[{{"id": "a", "url": "http://a.example", "secrets": ["{OLD}"]}}]',
        '[{"id": "a", "url": "https://a.example", "secrets": []}]',
        '[{"id": "a", "url": "https://a.example", "secrets": ["whsec_"]}]',
        '[{"id": "a", "url": "https://a.example", "secrets": ["plain"]}]',
        f'[{{"id": "a", "url": "https://a.example", "secrets": ["{OLD}", "{OLD}", "{OLD}"]}}]',
        f'[{{"id": "default", "url": "https://a.example", "secrets": ["{OLD}"]}}]',
        f'[{{"id": "a", "url": "https://a.example", "secrets": ["{OLD}"]}},'
        f' {{"id": "a", "url": "https://b.example", "secrets": ["{OLD}"]}}]',
    ],
)
def test_receivers_that_cannot_be_told_apart_reached_or_trusted_are_refused_at_start(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        NotifySettings.load(
            {
                "SURAL_MODE": "production",
                "SURAL_SERVICE_TOKEN": "a secret of at least thirty-two characters",
                "SURAL_NOTIFY_DATABASE_URL": "postgresql://sural_notify@127.0.0.1/sural",
                "SURAL_PUBLIC_URL": "https://sural.clinic.example",
                "SURAL_ALERT_RECIPIENTS": "a@clinic.example",
                "SURAL_SMTP_URL": "smtps://mail.clinic.example",
                "SURAL_WEBHOOK_URL": "https://hooks.clinic.example",
                "SURAL_WEBHOOK_SECRET": SECRET,
                "SURAL_WEBHOOKS": text,
            }
        )
    assert "whsec_b2xk" not in str(refused.value)
    assert "a.example" not in str(refused.value)


def test_receivers_show_neither_address_nor_secret() -> None:
    text = json.dumps([{"id": "ward-pager", "url": "https://pager.example/token-81", "secrets": [OLD]}])

    shown = repr(parse_receivers(text))

    assert "ward-pager" in shown
    assert "token-81" not in shown
    assert "b2xk" not in shown


@pytest.mark.parametrize(
    ("text", "pause"),
    [
        ("120", timedelta(minutes=2)),
        ("Wed, 01 Jul 2026 12:00:30 GMT", timedelta(seconds=30)),
        ("Wed, 01 Jul 2026 11:00:00 GMT", timedelta(0)),
        ("999999999", timedelta(days=1)),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(text: str, pause: timedelta | None) -> None:
    assert retry_after(text, now=NOW) == pause


@pytest.mark.parametrize(
    ("urgency", "asked", "pause"),
    [
        ("emergency", timedelta(minutes=30), timedelta(seconds=5)),
        ("emergency", timedelta(seconds=2), timedelta(seconds=2)),
        ("emergency", timedelta(0), timedelta(seconds=1)),
        ("emergency", None, timedelta(seconds=5)),
        ("same_day", timedelta(minutes=30), timedelta(minutes=30)),
        ("same_day", timedelta(hours=20), timedelta(hours=1)),
    ],
)
def test_retry_after_is_followed_but_never_puts_off_an_emergency(
    urgency: str, asked: timedelta | None, pause: timedelta
) -> None:
    assert retry_pause(urgency, 1, asked=asked) == pause


def test_a_receiver_that_asks_for_a_pause_gets_it(service: Service, triage: Triage) -> None:
    busy = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 600\r\nContent-Length: 0\r\n\r\n"
    with a_server_that(answered(busy)) as server:
        receiver = Receiver("default", f"http://127.0.0.1:{server.port}/", (SECRET,))
        service.notify.channels["webhook"].receivers["default"] = receiver  # type: ignore[attr-defined]
        service.hears(triage.publish(an_assessment("same_day")), kind=RAISE_ROUTINE)
        service.hears(triage.publish(an_assessment(patient="Patient/2")))
        service.sends()

    pauses = service.rows(
        "SELECT kind, round(extract(epoch FROM due_at - now())) AS s FROM job "
        "WHERE kind LIKE 'deliver.webhook%' AND state = 'pending' ORDER BY kind"
    )
    assert [(row["kind"].partition("/")[0].split(".")[2], 590 < row["s"] <= 600, row["s"] <= 5) for row in pauses] == [
        ("routine", True, False),
        ("urgent", False, True),
    ]


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        *((status, Answer.SENT) for status in (200, 204)),
        *((status, Answer.REFUSED) for status in (301, 307, 400, 404, 410)),
        *((status, Answer.FAILED) for status in (408, 425, 429, 500, 503)),
    ],
)
def test_what_each_class_of_answer_means(status: int, answer: Answer) -> None:
    assert of_http(status, {}, now=NOW) == DeliveryResult(answer, f"http-{status}")


def test_a_redirect_to_the_loopback_address_is_not_followed(receiver: Sink) -> None:
    there = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {receiver.url}\r\nContent-Length: 0\r\n\r\n"
    with a_server_that(answered(there.encode())) as server:
        result = a_channel(f"http://127.0.0.1:{server.port}/").send(to_default())

    assert result == DeliveryResult(Answer.REFUSED, "http-307")
    assert receiver.requests == []


def test_outside_the_sandbox_a_receiver_whose_name_leads_to_the_metadata_service_is_not_asked() -> None:
    receiver = Receiver("default", "https://169.254.169.254/latest", (SECRET,))

    result = WebhookChannel({"default": receiver}, 2).send(to_default())

    assert result == DeliveryResult(Answer.FAILED, "address-refused")


def test_an_answer_of_a_megabyte_is_an_answer_and_is_not_read() -> None:
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n" + b"x" * 1048576
    with a_server_that(answered(large)) as server:
        result = a_channel(f"http://127.0.0.1:{server.port}/").send(to_default())

    assert result == DeliveryResult(Answer.SENT, "http-200")


@pytest.mark.parametrize(
    ("talks", "timeout_s", "word"),
    [
        (hangs, 0.4, "timeout"),
        (partial(drips, begun=b"HTTP/1.1 200 OK\r\n", drop=b"X-A: b\r\n"), 0.4, "timeout"),
        (answered(b""), 20, "RemoteProtocolError"),
        (answered(b"nonsense\r\n\r\n"), 20, "RemoteProtocolError"),
    ],
    ids=["hangs", "drips", "drops-before-its-reply", "no-http"],
)
def test_a_receiver_that_does_not_answer_properly_is_tried_again(
    talks: Callable[[Scripted, socket.socket], None], timeout_s: float, word: str
) -> None:
    with a_server_that(talks) as server:
        result = a_channel(f"http://127.0.0.1:{server.port}/", timeout_s=timeout_s).send(to_default())

    assert result == DeliveryResult(Answer.FAILED, word)


def test_a_receiver_that_refuses_the_connection_or_has_left_the_dns_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/"
    assert a_channel(nobody).send(to_default()) == DeliveryResult(Answer.FAILED, "ConnectError")

    def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert a_channel("https://hook.example/").send(to_default()) == DeliveryResult(Answer.FAILED, "ConnectError")


def test_a_receiver_without_tls_is_tried_again(receiver: Sink) -> None:
    result = a_channel(receiver.url.replace("http://", "https://")).send(to_default())

    assert result == DeliveryResult(Answer.FAILED, "ConnectError")
    assert receiver.requests == []


def test_a_receiver_with_a_certificate_that_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    certified = certify(tmp_path)

    def greets(server: Scripted, connection: socket.socket) -> None:
        with certified.server.wrap_socket(connection, server_side=True) as secure:
            server.received.append(secure.recv(65536))

    with a_server_that(greets) as server:
        result = a_channel(f"https://127.0.0.1:{server.port}/").send(to_default())

    assert result == DeliveryResult(Answer.FAILED, "ConnectError")
    assert not any(server.received)


def test_neither_database_nor_fhir_holds_the_address_of_a_receiver(
    settings: NotifySettings, open_service: Opened, triage: Triage
) -> None:
    with open_service(settings) as service:
        service.hears(triage.publish(an_assessment()))
        service.sends()

        assert [row["recipient"] for row in service.rows("SELECT recipient FROM delivery ORDER BY channel")] == [
            "on-call@example.org",
            "default",
        ]
        written = json.dumps(service.resources("CommunicationRequest") + service.resources("Communication"))
    assert "webhook/default" in written
    assert "canary-path" not in written
    assert "127.0.0.1:8123" not in written


def answers_in_one_connection(
    server: Scripted, connection: socket.socket, *, most: int, answer: bytes = b"HTTP/1.1 204 No Content\r\n\r\n"
) -> None:
    """Answers so many requests in one connection, then hangs up without a word; notes the id of each that it took."""
    stream = connection.makefile("rb")
    for _ in range(most):
        headers = {}
        while (line := stream.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        if not headers:
            return
        stream.read(int(headers["content-length"]))
        server.received.append(headers["webhook-id"].encode())
        connection.sendall(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ],
    ids=["empty", "short"],
)
def test_the_next_webhook_goes_over_the_same_connection(answer: bytes) -> None:
    connections: list[socket.socket] = []

    def talk(server: Scripted, connection: socket.socket) -> None:
        connections.append(connection)
        answers_in_one_connection(server, connection, most=9, answer=answer)

    with a_server_that(talk) as server:
        channel = a_channel(at(server))
        messages = [to_default() for _ in range(3)]
        answers = [channel.send(message).answer for message in messages]
        channel.close()

    assert answers == [Answer.SENT] * 3
    assert [one.decode() for one in server.received] == [str(message.delivery_id) for message in messages]
    assert len(connections) == 1


def test_a_receiver_that_moved_is_found_within_a_minute_however_busy_the_connection_is() -> None:
    connections: list[socket.socket] = []

    def talk(server: Scripted, connection: socket.socket) -> None:
        connections.append(connection)
        answers_in_one_connection(server, connection, most=9)

    with a_server_that(talk) as server:
        channel = replace(a_channel(at(server)), connections=Connections(lasts_s=0.0))
        answers = [channel.send(to_default()).answer for _ in range(3)]
        channel.close()

    assert answers == [Answer.SENT] * 3
    assert len(connections) == 3
    assert LASTS_S <= 60


def test_a_webhook_that_finds_its_connection_over_goes_out_at_once_in_a_new_one_and_only_once() -> None:
    with a_server_that(partial(answers_in_one_connection, most=2)) as server:
        channel = a_channel(at(server))
        messages = [to_default() for _ in range(5)]
        answers = [channel.send(message).answer for message in messages]
        channel.close()

    assert answers == [Answer.SENT] * 5
    assert [one.decode() for one in server.received] == [str(message.delivery_id) for message in messages]


def test_a_receiver_that_never_ends_its_answer_has_taken_the_message_all_the_same() -> None:
    def talk(server: Scripted, connection: socket.socket) -> None:
        connection.recv(65536)
        drips(server, connection, begun=b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n", drop=b".")

    with a_server_that(talk) as server:
        channel, began = a_channel(at(server), timeout_s=30), time.monotonic()

        assert channel.send(to_default()) == DeliveryResult(Answer.SENT, "http-200")
        assert time.monotonic() - began < 15
        channel.close()

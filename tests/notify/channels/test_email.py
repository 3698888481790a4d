"""E-mail goes over TLS to the server that the operator meant, and every failure has a word of its own."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from functools import partial
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from deploy.local.folder import free_port
from services.notify.channels import Answer, DeliveryResult
from services.notify.channels.email import EmailChannel
from services.notify.channels.smtp import MailServer as Server
from services.notify.settings import NotifySettings
from tests.notify.channels.certificates import Certified, certify
from tests.notify.channels.messages import a_message
from tests.notify.channels.scripted import Scripted, a_server_that, drips, hangs, smtp_until_data
from tests.notify.conftest import ON_CALL
from tests.notify.neighbours import AnyPort, MailServer
from tests.waiting import eventually

SENDER = "sural@clinic.example"
PASSWORD = "p@ss/word"


@pytest.fixture
def certified(tmp_path: Path) -> Certified:
    return certify(tmp_path)


class OnlyKnown(MailServer):
    """Takes nothing from whoever did not log in."""

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not session.authenticated:
            return "530 log in first"
        return await super().handle_RCPT(server, session, envelope, address, options)


@contextmanager
def a_tls_mail_server(context: ssl.SSLContext, *, starttls: bool, login: bool = False) -> Iterator[MailServer]:
    """A real mail server with TLS from the start, or by STARTTLS; with `login` it takes nothing from strangers."""
    server = OnlyKnown() if login else MailServer()

    def knows(_server: object, _session: object, _envelope: object, _mechanism: str, data: object) -> AuthResult:
        known = (getattr(data, "login", b""), getattr(data, "password", b"")) == (b"sural", PASSWORD.encode())
        return AuthResult(success=known, handled=known)

    options: dict[str, object] = {"tls_context": context, "require_starttls": True} if starttls else {}
    if login:
        options |= {"authenticator": knows, "auth_require_tls": starttls}
    controller = AnyPort(server, hostname="127.0.0.1", port=0, ssl_context=None if starttls else context, **options)
    controller.start()
    try:
        server.port = controller.port
        yield server
    finally:
        controller.stop()


def a_channel(scheme: str, port: int, *, authority: str = "", login: str = "", timeout_s: float = 20) -> EmailChannel:
    name = SENDER.rpartition("@")[2]
    return EmailChannel(Server(f"{scheme}://{login}127.0.0.1:{port}", name, timeout_s, authority, most_mails=1), SENDER)


@pytest.mark.parametrize(("scheme", "starttls"), [("smtps", False), ("smtp+starttls", True)])
def test_a_mail_goes_over_tls_after_logging_in(certified: Certified, scheme: str, starttls: bool) -> None:
    with a_tls_mail_server(certified.server, starttls=starttls, login=True) as server:
        channel = a_channel(scheme, server.port, authority=certified.authority, login="sural:p%40ss%2Fword@")
        message = a_message()

        result = channel.send(message)

    assert result == DeliveryResult(Answer.SENT, "smtp-250")
    assert [mail["Message-ID"] for mail in server.mails] == [f"<{message.delivery_id}@clinic.example>"]


@pytest.mark.parametrize(("scheme", "starttls"), [("smtps", False), ("smtp+starttls", True)])
def test_a_wrong_password_is_told_apart_and_tried_again_later(
    certified: Certified, scheme: str, starttls: bool
) -> None:
    with a_tls_mail_server(certified.server, starttls=starttls, login=True) as server:
        channel = a_channel(scheme, server.port, authority=certified.authority, login="sural:wrong@")

        assert channel.send(a_message()) == DeliveryResult(Answer.FAILED, "smtp-535")
    assert server.mails == []


@pytest.mark.parametrize(("scheme", "starttls"), [("smtps", False), ("smtp+starttls", True)])
def test_nothing_is_sent_to_a_server_whose_certificate_nobody_vouches_for(
    certified: Certified, scheme: str, starttls: bool
) -> None:
    with a_tls_mail_server(certified.server, starttls=starttls) as server:
        result = a_channel(scheme, server.port).send(a_message())

    assert result == DeliveryResult(Answer.FAILED, "tls-certificate")
    assert server.mails == []


@pytest.mark.parametrize(("address", "days"), [("127.0.0.9", 1), ("127.0.0.1", -1)], ids=["other-host", "expired"])
@pytest.mark.parametrize(("scheme", "starttls"), [("smtps", False), ("smtp+starttls", True)])
def test_a_certificate_of_another_host_or_an_expired_one_is_refused(
    tmp_path: Path, scheme: str, starttls: bool, address: str, days: int
) -> None:
    wrong = certify(tmp_path, address=address, days=days)
    with a_tls_mail_server(wrong.server, starttls=starttls) as server:
        result = a_channel(scheme, server.port, authority=wrong.authority).send(a_message())

    assert result == DeliveryResult(Answer.FAILED, "tls-certificate")
    assert server.mails == []


def test_a_server_without_starttls_gets_neither_password_nor_mail() -> None:
    server = MailServer()
    controller = AnyPort(server, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        result = a_channel("smtp+starttls", controller.port, login="sural:secret@").send(a_message())
    finally:
        controller.stop()

    assert result == DeliveryResult(Answer.FAILED, "smtp-not-offered")
    assert server.mails == []


def test_a_server_that_speaks_no_tls_is_told_apart() -> None:
    def greets(_server: Scripted, connection: socket.socket) -> None:
        connection.sendall(b"220 mail.example\r\n")
        connection.recv(1024)

    with a_server_that(greets) as server:
        assert a_channel("smtps", server.port).send(a_message()) == DeliveryResult(Answer.FAILED, "tls")


@pytest.mark.parametrize(
    ("refusal", "answer"),
    [("450 mailbox busy", Answer.FAILED), ("550 no such user", Answer.REFUSED), ("554 no", Answer.REFUSED)],
)
def test_4xx_is_tried_again_and_5xx_is_for_good(refusal: str, answer: Answer) -> None:
    server = MailServer(refusal=refusal)
    controller = AnyPort(server, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        result = a_channel("smtp", controller.port).send(a_message())
    finally:
        controller.stop()

    assert result == DeliveryResult(answer, f"smtp-{refusal[:3]}")


def test_a_connection_that_is_refused_is_a_failure_for_now() -> None:
    result = a_channel("smtp", free_port()).send(a_message())

    assert result == DeliveryResult(Answer.FAILED, "ConnectionRefusedError")


def test_a_mail_server_that_has_left_the_dns_is_a_failure_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    result = EmailChannel(Server("smtp://mail.clinic.example", "clinic.example", 2), SENDER).send(a_message())

    assert result == DeliveryResult(Answer.FAILED, "unknown-host")


def test_a_mail_server_that_takes_the_mail_and_hangs_up_before_its_reply_gets_it_again_under_the_same_id() -> None:
    with a_server_that(smtp_until_data) as server:
        channel, message = a_channel("smtp", server.port), a_message()

        results = [channel.send(message), channel.send(message)]

    assert results == [DeliveryResult(Answer.FAILED, "SMTPServerDisconnected")] * 2
    ids = {message_from_bytes(mail)["Message-ID"] for mail in server.received}
    assert ids == {f"<{message.delivery_id}@clinic.example>"}


@pytest.mark.parametrize(
    "talks",
    [
        hangs,
        partial(drips, begun=b"220 mail.example\r\n", drop=b"250-still here\r\n"),
        partial(drips, begun=b"220", drop=b"-"),
    ],
    ids=["hangs", "drips-lines", "drips-letters"],
)
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_mail_server_that_hangs_or_drips_is_left_after_its_time(
    scheme: str, talks: Callable[[Scripted, socket.socket], None]
) -> None:
    with a_server_that(talks) as server:
        result = a_channel(scheme, server.port, timeout_s=0.4).send(a_message())
        assert not server.ended.is_set()

    assert result.answer is Answer.FAILED
    assert result.detail in ("timeout", "tls")


@contextmanager
def one_session_for_several(port: int, timeout_s: float = 20) -> Iterator[EmailChannel]:
    channel = EmailChannel(Server(f"smtp://127.0.0.1:{port}", "clinic.example", timeout_s), SENDER)
    try:
        yield channel
    finally:
        channel.close()


def takes(server: Scripted, connection: socket.socket, *, most: int, then: bytes = b"") -> None:
    """Takes so many mails in one session; then it hangs up, or answers this to the next command first."""
    lines = connection.makefile("rb")
    connection.sendall(b"220 mail.example\r\n")
    said, mails, in_text = b"", 0, False
    try:
        for line in lines:
            said += line
            if in_text:
                in_text = line != b".\r\n"
                if not in_text:
                    mails += 1
                    connection.sendall(b"250 taken\r\n")
                    if mails == most and not then:
                        return
            elif mails == most:
                connection.sendall(then)
                return
            elif line.upper().startswith(b"DATA"):
                in_text = True
                connection.sendall(b"354 go on\r\n")
            else:
                connection.sendall(b"250 OK\r\n")
    finally:
        server.received.append(said)


def ids_in(server: Scripted) -> list[str]:
    said = b"".join(server.received).decode().split("\r\n")
    return sorted(line.partition("<")[2].partition("@")[0] for line in said if line.startswith("Message-ID"))


def test_several_mails_go_in_one_session() -> None:
    with a_server_that(partial(takes, most=9)) as server:
        with one_session_for_several(server.port) as channel:
            messages = [a_message() for _ in range(3)]
            results = [channel.send(message) for message in messages]
        eventually(lambda: len(server.received) == 1)

    assert {result.answer for result in results} == {Answer.SENT}
    assert ids_in(server) == sorted(str(message.delivery_id) for message in messages)


@pytest.mark.parametrize(
    "then",
    [b"", b"421 closing\r\n", b"452 too many mails in this session\r\n"],
    ids=["hangs-up", "closing", "too-many"],
)
def test_a_mail_that_finds_its_session_over_goes_out_at_once_in_a_new_one_and_only_once(then: bytes) -> None:
    with a_server_that(partial(takes, most=1, then=then)) as server:
        with one_session_for_several(server.port) as channel:
            messages = [a_message() for _ in range(3)]
            results = []
            for message in messages:
                results.append(channel.send(message))
                if not then:
                    eventually(lambda: len(server.received) == len(results))
        eventually(lambda: len(server.received) == 3)

    assert results == [DeliveryResult(Answer.SENT, "smtp-250")] * 3
    assert ids_in(server) == sorted(str(message.delivery_id) for message in messages)


def test_a_mail_whose_text_was_sent_is_not_sent_again_at_once_when_a_used_session_breaks() -> None:
    def breaks(server: Scripted, connection: socket.socket) -> None:
        lines = connection.makefile("rb")
        connection.sendall(b"220 mail.example\r\n")
        said, texts = b"", 0
        for line in lines:
            said += line
            if line == b".\r\n":
                texts += 1
                if texts == 2:
                    break
                connection.sendall(b"250 taken\r\n")
            elif line.upper().startswith(b"DATA"):
                connection.sendall(b"354 go on\r\n")
            elif line.upper().startswith((b"EHLO", b"MAIL", b"RCPT")):
                connection.sendall(b"250 OK\r\n")
        server.received.append(said)

    with a_server_that(breaks) as server, one_session_for_several(server.port) as channel:
        results = [channel.send(a_message()) for _ in range(2)]
        eventually(lambda: len(server.received) == 1)

    assert results == [DeliveryResult(Answer.SENT, "smtp-250"), DeliveryResult(Answer.FAILED, "SMTPServerDisconnected")]
    assert len(ids_in(server)) == 2


def test_after_a_refused_recipient_the_next_mail_goes_out() -> None:
    server = MailServer(refusals={"nobody@example.org": "550 no such user"})
    controller = AnyPort(server, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        with one_session_for_several(controller.port) as channel:
            said = [channel.send(a_message(recipient=to)).detail for to in (ON_CALL, "nobody@example.org", ON_CALL)]
    finally:
        controller.stop()

    assert said == ["smtp-250", "smtp-550", "smtp-250"]
    assert len(server.mails) == 2


def test_a_client_with_letters_beyond_ascii_is_named_as_it_is() -> None:
    server = MailServer()
    controller = AnyPort(server, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        message = a_message(refused_client="Praxis Dr. Müller", refused_at=datetime(2026, 1, 1, tzinfo=UTC))
        result = a_channel("smtp", controller.port).send(message)
    finally:
        controller.stop()

    assert result.answer is Answer.SENT
    text = server.mails[0].get_payload(decode=True)
    assert isinstance(text, bytes)
    assert "sent by Praxis Dr. Müller" in text.decode("utf-8")


def test_an_authority_that_is_no_certificate_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match="SURAL_SMTP_CA holds no certificates"):
        NotifySettings.load(
            {"SURAL_MODE": "sandbox", "SURAL_NOTIFY_DATABASE_URL": "postgresql://x@127.0.0.1/x", "SURAL_SMTP_CA": "x"}
        )

"""Sessions with a mail server (RFC 5321) that are used again: connecting, TLS and logging in cost more than a mail.

A session that lay idle may be over without our knowing. That shows before the server has the mail, mostly at the first
command: then it is handed over in a new session, and cannot have gone out twice. Once the text is on its way, what goes
wrong is a failure of the attempt.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import unquote, urlsplit

from shared.deadlines import Deadlines
from shared.idle import Idle

PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
IDLE_S = 20.0
"""A session that nobody needs is ended after this time; servers wait five minutes (RFC 5321, 4.5.3.2.7)."""
MOST_MAILS = 100
"""Mails of one session; some servers take no more."""
CLOSING = 421

_limits = Deadlines("smtp-limits")


class Late(Exception):
    """The time for this mail is over."""


@dataclass(slots=True)
class _Session:
    server: smtplib.SMTP
    mails: int = 0
    text_sent: bool = False
    """The server may have all of the present mail."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """A mail server. `url` as in SURAL_SMTP_URL; `name`: our own; `authority`: the certificates (PEM) that are trusted,
    the usual ones without any; `most_mails`: of one session.

    Threads may share it; a session has one mail at a time.
    """

    url: str = field(repr=False)
    name: str
    timeout_s: float
    authority: str = field(default="", repr=False)
    most_mails: int = MOST_MAILS
    _idle: Idle[_Session] = field(default_factory=lambda: Idle(_quit, after_s=IDLE_S), repr=False, compare=False)

    def submit(self, sender: str, recipient: str, content: bytes) -> None:
        """Hand one mail over. All of it takes `timeout_s` at the most.

        Raises smtplib.SMTPException or OSError for what the server does, and Late.
        """
        end = time.monotonic() + self.timeout_s
        while (held := self._idle.take()) is not None:
            try:
                self._use(held, sender, recipient, content, end)
            except (smtplib.SMTPException, OSError) as error:
                if held.text_sent or not _may_be_over(error):
                    raise
            else:
                return
        self._use(self._begun(end), sender, recipient, content, end)

    def _use(self, session: _Session, sender: str, recipient: str, content: bytes, end: float) -> None:
        """One mail in this session, which is kept for the next one when all went well."""
        session.text_sent = False
        try:
            with _cut_off_at(end, session.server):
                _transmit(session, sender, recipient, content)
        except BaseException:
            session.server.close()
            raise
        session.mails += 1
        if session.mails < self.most_mails:
            self._idle.put(session)
        else:
            _quit(session)

    def _begun(self, end: float) -> _Session:
        """A session that is ready for a mail."""
        url = urlsplit(self.url)
        host, port = url.hostname or "", url.port or PORTS[url.scheme]
        # Our name is given, because finding it out may wait for a dead resolver.
        server = (
            smtplib.SMTP_SSL(local_hostname=self.name, timeout=self.timeout_s, context=_trusting(self.authority))
            if url.scheme == "smtps"
            else smtplib.SMTP(local_hostname=self.name, timeout=self.timeout_s)
        )
        server._host = host  # type: ignore[attr-defined]  # smtplib checks the certificate against this name
        try:
            with _cut_off_at(end, server):
                code, _ = server.connect(host, port)
                if code != 220:
                    raise smtplib.SMTPConnectError(code, b"")
                if url.scheme == "smtp+starttls":
                    server.starttls(context=_trusting(self.authority))
                if url.username:
                    server.login(unquote(url.username), unquote(url.password or ""))
                server.ehlo_or_helo_if_needed()
        except BaseException:
            server.close()
            raise
        return _Session(server)

    def close(self) -> None:
        """End the sessions that lie idle."""
        self._idle.close()


def _transmit(session: _Session, sender: str, recipient: str, content: bytes) -> None:
    server = session.server
    code, said = server.mail(sender, _options(server, sender, recipient, content))
    if code != 250:
        raise smtplib.SMTPSenderRefused(code, said, sender)
    code, said = server.rcpt(recipient)
    if code not in (250, 251):
        raise smtplib.SMTPRecipientsRefused({recipient: (code, said)})
    session.text_sent = True
    code, said = server.data(content)
    if code != 250:
        raise smtplib.SMTPDataError(code, said)


def _options(server: smtplib.SMTP, sender: str, recipient: str, content: bytes) -> list[str]:
    """Parameters of MAIL FROM (RFC 1870, RFC 6531). Raises SMTPNotSupportedError for an address beyond ASCII."""
    options = [f"size={len(content)}"] if server.has_extn("size") else []
    if (sender + recipient).isascii():
        return options
    if not server.has_extn("smtputf8"):
        raise smtplib.SMTPNotSupportedError("SMTPUTF8")
    return [*options, "SMTPUTF8", "BODY=8BITMIME"]


def _may_be_over(error: Exception) -> bool:
    """Whether a kept session ended, or takes no more mails: the same mail may be taken in a new one."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            return any(code == CLOSING for code, _ in error.recipients.values())
        case smtplib.SMTPResponseException():
            return isinstance(error, smtplib.SMTPSenderRefused) or error.smtp_code == CLOSING
        case smtplib.SMTPServerDisconnected() | OSError():
            return not isinstance(error, TimeoutError)
    return False


@contextmanager
def _cut_off_at(end: float, server: smtplib.SMTP) -> Iterator[None]:
    """End the connection then, so that a server that drips its answers for ever is not waited for. Raises Late."""
    late = threading.Event()

    def cut_off() -> None:
        late.set()
        if server.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(server.sock, socket.SHUT_RDWR)  # below TLS, which another thread is reading

    try:
        with _limits.within(end - time.monotonic(), cut_off):
            yield
    except (smtplib.SMTPException, OSError) as error:
        if late.is_set():
            raise Late from error
        raise


def _quit(session: _Session) -> None:
    """Say goodbye, and do not wait for the answer."""
    with suppress(smtplib.SMTPException, OSError):
        session.server.putcmd("quit")
    session.server.close()


@cache
def _trusting(authority: str) -> ssl.SSLContext:
    """TLS that checks certificate and name; reading the usual authorities takes a while."""
    return ssl.create_default_context(cadata=authority or None)

"""E-mail by SMTP (RFC 5321): plain text, one recipient per message, the same Message-ID at every attempt.

With `smtps://` and `smtp+starttls://` the server must show a certificate of its name that the usual authorities, or the
one in `SURAL_SMTP_CA`, vouch for. A server that offers no STARTTLS gets neither password nor message.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cache
from urllib.parse import unquote, urlsplit

from services.notify.channels import Answer, DeliveryResult, Message, plain_text

PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}


@dataclass(frozen=True, slots=True)
class EmailChannel:
    """A mail server. `url` as in SURAL_SMTP_URL; `authority`: certificates (PEM) that alone are trusted, if any."""

    url: str = field(repr=False)
    sender: str
    timeout_s: float
    authority: str = field(default="", repr=False)

    def send(self, message: Message) -> DeliveryResult:
        """Hand the message to the mail server; once it took it, nothing that follows makes it a failure."""
        return self.hand_over(self.compose(message))

    def hand_over(self, mail: EmailMessage) -> DeliveryResult:
        """The same for a mail that is written already."""
        late = threading.Event()
        try:
            with self._connected(late) as server:
                server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            return _refused(next(iter(error.recipients.values()))[0])
        except smtplib.SMTPDataError as error:
            return _refused(error.smtp_code)
        except (smtplib.SMTPException, OSError) as error:
            return DeliveryResult(Answer.FAILED, "timeout" if late.is_set() else word_for(error))
        return DeliveryResult(Answer.SENT, "smtp-250")

    def compose(self, message: Message) -> EmailMessage:
        """The mail."""
        mail = EmailMessage()
        mail["From"] = self.sender
        mail["To"] = message.recipient
        mail["Subject"] = message.subject_line
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = f"<{message.delivery_id}@{self.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        if message.urgency.rank == 0 and message.notice is None:
            mail["Importance"] = "high"
        mail.set_content(plain_text(message), charset="utf-8")
        return mail

    @contextmanager
    def _connected(self, late: threading.Event) -> Iterator[smtplib.SMTP]:
        """A session that is ready for a message. After `timeout_s` it is cut off, and `late` is set."""
        url = urlsplit(self.url)
        host, port = url.hostname or "", url.port or PORTS[url.scheme]
        name = self.sender.rpartition("@")[2]  # given, because finding out our own name may wait for a dead resolver
        server = (
            smtplib.SMTP_SSL(local_hostname=name, timeout=self.timeout_s, context=_trusting(self.authority))
            if url.scheme == "smtps"
            else smtplib.SMTP(local_hostname=name, timeout=self.timeout_s)
        )
        server._host = host  # type: ignore[attr-defined]  # smtplib checks the certificate against this name
        watch = threading.Timer(self.timeout_s, _cut_off, (server, late))
        watch.daemon = True
        watch.start()
        try:
            code, _ = server.connect(host, port)
            if code != 220:
                raise smtplib.SMTPConnectError(code, b"")
            if url.scheme == "smtp+starttls":
                server.starttls(context=_trusting(self.authority))
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            yield server
            with suppress(smtplib.SMTPException, OSError):
                server.quit()
        finally:
            watch.cancel()
            server.close()


@cache
def _trusting(authority: str) -> ssl.SSLContext:
    """TLS that checks certificate and name; reading the usual authorities takes a while."""
    return ssl.create_default_context(cadata=authority or None)


def _cut_off(server: smtplib.SMTP, late: threading.Event) -> None:
    """End the connection, so that a server that drips its answers for ever is not waited for."""
    late.set()
    if server.sock is not None:
        with suppress(OSError):
            socket.socket.shutdown(server.sock, socket.SHUT_RDWR)  # below TLS, which another thread is reading


def word_for(error: Exception) -> str:
    """The class of what went wrong on the way to a mail server."""
    match error:
        case smtplib.SMTPResponseException():
            return f"smtp-{error.smtp_code}"
        case smtplib.SMTPNotSupportedError():
            return "smtp-not-offered"  # STARTTLS, or a way to log in
        case ssl.SSLCertVerificationError():
            return "tls-certificate"
        case ssl.SSLError():
            return "tls"
        case socket.gaierror():
            return "unknown-host"
    late = isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)
    return "timeout" if late else type(error).__name__


def _refused(code: int) -> DeliveryResult:
    """4xx: come back later (RFC 5321, 4.2.1); 5xx: never."""
    return DeliveryResult(Answer.REFUSED if code >= 500 else Answer.FAILED, f"smtp-{code}")

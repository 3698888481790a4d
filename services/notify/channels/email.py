"""E-mail by SMTP (RFC 5321): plain text, one recipient per message, the same Message-ID at every attempt.

With `smtps://` and `smtp+starttls://` the server must show a certificate of its name that the usual authorities, or the
one in `SURAL_SMTP_CA`, vouch for. A server that offers no STARTTLS gets neither password nor message.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime

from services.notify.channels import Answer, DeliveryResult, Message, plain_text
from services.notify.channels.smtp import Late, MailServer


@dataclass(frozen=True, slots=True)
class EmailChannel:
    """A way to people by mail; `sender`: the address that it comes from."""

    server: MailServer
    sender: str

    def send(self, message: Message) -> DeliveryResult:
        """Hand the message to the mail server; once it took it, nothing that follows makes it a failure."""
        return self._submit(message.recipient, self.compose(message))

    def hand_over(self, mail: EmailMessage) -> DeliveryResult:
        """The same for a mail that is written already."""
        return self._submit(str(mail["To"]), mail.as_bytes(policy=SMTP))

    def close(self) -> None:
        """End what is open to the mail server."""
        self.server.close()

    def _submit(self, recipient: str, content: bytes) -> DeliveryResult:
        try:
            self.server.submit(self.sender, recipient, content)
        except smtplib.SMTPRecipientsRefused as error:
            return _refused(next(iter(error.recipients.values()))[0])
        except smtplib.SMTPDataError as error:
            return _refused(error.smtp_code)
        except (smtplib.SMTPException, OSError) as error:
            return DeliveryResult(Answer.FAILED, word_for(error))
        except Late:
            return DeliveryResult(Answer.FAILED, "timeout")
        return DeliveryResult(Answer.SENT, "smtp-250")

    def compose(self, message: Message) -> bytes:
        """The mail. Nearly all are plain ASCII, and need nothing of what makes `EmailMessage` slow."""
        headers = {
            "From": self.sender,
            "To": message.recipient,
            "Subject": message.subject_line,
            "Date": format_datetime(datetime.now(UTC)),
            "Message-ID": f"<{message.delivery_id}@{self.sender.rpartition('@')[2]}>",
            "Auto-Submitted": "auto-generated",
        }
        if message.urgency.rank == 0 and message.notice is None:
            headers["Importance"] = "high"
        text = plain_text(message)
        plain = all(value.isascii() and value.isprintable() for value in headers.values()) and text.isascii()
        plain = plain and "\r" not in text
        return _plain(headers, text) if plain else _any(headers, text)


def _plain(headers: Mapping[str, str], text: str) -> bytes:
    """A mail of ASCII only; all lines are short (RFC 5322, 2.1.1)."""
    body = {
        "MIME-Version": "1.0",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "7bit",
    }
    lines = [f"{name}: {value}" for name, value in (*headers.items(), *body.items())]
    return "\r\n".join([*lines, "", *text.split("\n")]).encode("ascii")


def _any(headers: Mapping[str, str], text: str) -> bytes:
    """A mail with letters beyond ASCII."""
    mail = EmailMessage()
    for name, value in headers.items():
        mail[name] = value
    mail.set_content(text, charset="utf-8")
    beyond = not (headers["From"] + headers["To"]).isascii()
    return mail.as_bytes(policy=SMTPUTF8 if beyond else SMTP)


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

"""E-mail by SMTP (RFC 5321): plain text, one recipient per message, the same Message-ID at every attempt."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from services.notify.channels import Answer, DeliveryResult, Message, plain_text

PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}


@dataclass(frozen=True, slots=True)
class EmailChannel:
    """A mail server. `url` as in SURAL_SMTP_URL; certificates are checked wherever TLS is asked for."""

    url: str = field(repr=False)
    sender: str
    timeout_s: float

    def send(self, message: Message) -> DeliveryResult:
        """Hand the message to the mail server; once it took it, nothing that follows makes it a failure."""
        try:
            server = self._connect()
            try:
                server.send_message(self.compose(message))
            finally:
                with suppress(smtplib.SMTPException, OSError):
                    server.quit()
                server.close()
        except smtplib.SMTPRecipientsRefused as error:
            return _refused(next(iter(error.recipients.values()))[0])
        except smtplib.SMTPDataError as error:
            return _refused(error.smtp_code)
        except smtplib.SMTPResponseException as error:
            return DeliveryResult(Answer.FAILED, f"smtp-{error.smtp_code}")
        except (smtplib.SMTPException, OSError) as error:
            late = isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)
            return DeliveryResult(Answer.FAILED, "timeout" if late else type(error).__name__)
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

    def _connect(self) -> smtplib.SMTP:
        url = urlsplit(self.url)
        host, port = url.hostname or "", url.port or PORTS[url.scheme]
        name = self.sender.rpartition("@")[2]  # given, because finding out our own name may wait for a dead resolver
        server: smtplib.SMTP
        if url.scheme == "smtps":
            server = smtplib.SMTP_SSL(host, port, name, timeout=self.timeout_s, context=ssl.create_default_context())
        else:
            server = smtplib.SMTP(host, port, name, timeout=self.timeout_s)
        try:
            if url.scheme == "smtp+starttls":
                server.starttls(context=ssl.create_default_context())
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
        except BaseException:
            server.close()
            raise
        return server


def _refused(code: int) -> DeliveryResult:
    """4xx: come back later (RFC 5321, 4.2.1); 5xx: never."""
    return DeliveryResult(Answer.REFUSED if code >= 500 else Answer.FAILED, f"smtp-{code}")

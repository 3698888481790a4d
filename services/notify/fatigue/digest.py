"""The words of a daily digest, and when it is due. Pure. No health data: counts, and a link to the worklist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from email.message import EmailMessage
from email.utils import format_datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from shared.fhir.codes import Urgency

QUIET_WORDS = {
    Urgency.WITHIN_2_WEEKS: "Assessments: to be seen within two weeks",
    Urgency.ROUTINE: "Assessments: routine",
    Urgency.SELF_CARE: "Assessments: self-care",
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who gets a digest. `key`: as messages to them are counted. `teams` None: those of all."""

    address: str
    key: str
    zone: str = "UTC"
    teams: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Digest:
    """What there is to say to one reader."""

    id: UUID
    since: datetime
    quiet: Mapping[str, int] = field(default_factory=dict)
    unresolved: int = 0
    suppressed: int = 0
    held: int = 0

    @property
    def says_nothing(self) -> bool:
        """True when every count is zero: then there is no mail."""
        return not (any(self.quiet.values()) or self.unresolved or self.suppressed or self.held)


def day_due(reader: Reader, at: str, now: datetime) -> date | None:
    """The day whose digest is due for this reader, on the clock of their place; None before its time of the day."""
    local = now.astimezone(ZoneInfo(reader.zone))
    return local.date() if at and local.time() >= time.fromisoformat(at) else None


def mail_of(digest: Digest, reader: Reader, now: datetime, *, sender: str, link: str, sandbox: bool) -> EmailMessage:
    """The mail; the same Message-ID at every attempt."""
    zone = ZoneInfo(reader.zone)
    counts = [(words, digest.quiet.get(urgency, 0)) for urgency, words in QUIET_WORDS.items()]
    counts += [
        ("Alerts: acknowledged, and not closed yet", digest.unresolved),
        ("Messages that you were spared, as you had many within an hour", digest.suppressed),
        ("Messages that waited for the end of your quiet hours", digest.held),
    ]
    lines = ["SANDBOX: test data only, no real patient.", ""] if sandbox else []
    lines += [f"Since {digest.since.astimezone(zone):%Y-%m-%d %H:%M} ({reader.zone}), what is no emergency:", ""]
    lines += [f"{words}: {number}" for words, number in counts if number]
    lines += ["", "Look at the worklist here:", link, "", "Decision support for clinicians. Not a diagnosis."]
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, reader.address
    mail["Subject"] = f"Sural: digest of {now.astimezone(zone):%Y-%m-%d}"
    mail["Date"] = format_datetime(now.astimezone(UTC))
    mail["Message-ID"] = f"<{digest.id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n".join(lines) + "\n", charset="utf-8")
    return mail

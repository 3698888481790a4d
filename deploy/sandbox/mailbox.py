"""The messages that the sandbox has caught: the newest thousand, in memory and in a file."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

KEPT = 1000


@dataclass(frozen=True, slots=True)
class Caught:
    """One message as it arrived; `received` is ISO 8601 in UTC, `text` the plain part."""

    received: str
    sender: str
    recipients: Sequence[str]
    subject: str
    message_id: str
    text: str


class Mailbox:
    """Keeps messages in the order of their arrival. Without a file they are lost with the process."""

    def __init__(self, store: Path | None) -> None:
        self._store = store
        self._messages: deque[Caught] = deque(maxlen=KEPT)
        self._lines = 0
        if store and store.exists():
            self._messages.extend(_read(store))
        self._shorten()

    def add(self, content: bytes, *, sender: str, recipients: Sequence[str]) -> None:
        """Keep a message. It is in the file when this returns."""
        message = message_from_bytes(content, policy=policy.default)
        body = message.get_body(("plain",)) if isinstance(message, EmailMessage) else None
        caught = Caught(
            received=datetime.now(UTC).isoformat(timespec="milliseconds"),
            sender=sender,
            recipients=list(recipients),
            subject=str(message.get("Subject", "")),
            message_id=str(message.get("Message-ID", "")),
            text=str(body.get_content()) if body else "",
        )
        self._messages.append(caught)
        if self._store:
            with self._store.open("a", encoding="utf-8") as file:
                file.write(_line(caught))
            self._lines += 1
            if self._lines > 2 * KEPT:
                self._shorten()

    def messages(self) -> list[Caught]:
        """All that is kept, oldest first."""
        return list(self._messages)

    def _shorten(self) -> None:
        """Drop from the file what is no longer kept."""
        if self._store:
            draft = self._store.with_suffix(".new")
            draft.touch(mode=0o600)
            draft.write_text("".join(map(_line, self._messages)), encoding="utf-8")
            draft.replace(self._store)
            self._lines = len(self._messages)


def _line(caught: Caught) -> str:
    return json.dumps(asdict(caught)) + "\n"


def _read(store: Path) -> list[Caught]:
    """The messages of the file; a last line that a crash cut short is left out."""
    messages = []
    for line in store.read_text(encoding="utf-8").splitlines():
        try:
            messages.append(Caught(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return messages

"""The messages of a new alert go out with its commit: who opens it takes them for the senders that are free.

Else they would be looked for, and taken in a transaction of their own, before anybody is told. A process that dies
between the commit and the attempt loses nothing: the lease ends, and others send.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from services.notify.context import Notify
from services.notify.deliver import Mine, deliver_to, take
from services.notify.lanes import Lanes, Stopped
from services.notify.raise_alert import TakenIn
from shared.postgres import DictConnection


@dataclass(slots=True)
class Outgoing:
    """What one transaction took, each message with the sender that is held for it."""

    senders: Lanes
    taken: dict[str, Mine | None] = field(default_factory=dict)
    left_over: bool = False
    """Something may be due that nobody took here."""

    def take(self, connection: DictConnection, did: TakenIn) -> None:
        """Take what is due with the alert that was opened. The transaction does nothing after this."""
        self.left_over = not did.due
        for kind in did.due:
            self.taken[kind] = None  # before it is held: whatever ends this work, even just now, it is let go again
            if self.senders.hold(kind, by=self):
                self.taken[kind] = take(connection, kind)
            if self.taken[kind] is None:
                self.left_over = True

    def send(self, notify: Notify) -> None:
        """Once it is committed: each message to the sender that is held for it."""
        for kind, one in self.taken.items():
            if one is not None:
                self.senders.send(kind, partial(_send, notify, kind, one))

    def let_go(self) -> None:
        """Whatever came of it, no sender is held any longer."""
        for kind in self.taken:
            self.senders.let_go(kind, by=self)


@contextmanager
def outgoing(notify: Notify, senders: Lanes | None) -> Iterator[Outgoing | None]:
    """Around a transaction: what it took is sent once it is committed, and by nobody where it is not."""
    if senders is None:
        yield None
        return
    mine = Outgoing(senders)
    try:
        yield mine
        mine.send(notify)
    finally:
        mine.let_go()
        if mine.left_over:
            senders.wake()


def _send(notify: Notify, kind: str, first: Mine, stopped: Stopped) -> bool:
    return deliver_to(notify, kind, first=first, stopped=stopped)[1]

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
            if self.senders.hold(kind):
                self.taken[kind] = None
                self.taken[kind] = take(connection, kind)
            if self.taken.get(kind) is None:
                self.left_over = True


@contextmanager
def outgoing(notify: Notify, senders: Lanes | None) -> Iterator[Outgoing | None]:
    """Around a transaction: what it took is sent once it is committed, and by nobody where it is not."""
    if senders is None:
        yield None
        return
    mine = Outgoing(senders)
    try:
        yield mine
    except BaseException:
        for kind in mine.taken:
            senders.let_go(kind)
        raise
    for kind, one in mine.taken.items():
        if one is None:
            senders.let_go(kind)
        else:
            senders.send(kind, partial(_send, notify, kind, one))
    if mine.left_over:
        senders.wake()


def _send(notify: Notify, kind: str, first: Mine, stopped: Stopped) -> bool:
    return deliver_to(notify, kind, first=first, stopped=stopped)[1]

"""What the senders of a process do, one recipient after the other, until nothing is due."""

from __future__ import annotations

from services.notify.context import Notify
from services.notify.deliver import deliver_to, due_recipients


def deliver_due(notify: Notify, lane: str) -> int:
    """Send what is due of a lane (channel and urgency); returns how many were taken."""
    total = 0
    while kinds := due_recipients(notify).get(lane):
        total += sum(deliver_to(notify, kind)[0] for kind in kinds)
    return total

"""One attempt to send, which ends in time whatever the channel does.

The attempt runs in a thread of its own, as a look-up of a name, say, cannot be interrupted. Threads are used again; one
that hangs is not waited for, and ends when its attempt does.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from services.notify.channels import Answer, Channel, DeliveryResult, Message

GRACE_S = 2.0
"""How much longer than its own limit a channel is waited for."""
IDLE_S = 30.0
"""A thread that had nothing to do for so long ends."""

Outcome = DeliveryResult | BaseException

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Attempt:
    channel: Channel
    message: Message
    outcome: SimpleQueue[Outcome] = field(default_factory=SimpleQueue)


_idle: list[SimpleQueue[_Attempt]] = []
"""Where threads wait for their next attempt, the one that was used last at the end."""


def send_within(timeout_s: float, channel: Channel, message: Message) -> DeliveryResult:
    """Send, and stop waiting after `timeout_s`, however slowly the other side drips its answer."""
    attempt = _Attempt(channel, message)
    _give(attempt)
    try:
        outcome = attempt.outcome.get(timeout=timeout_s)
    except Empty:
        return DeliveryResult(Answer.FAILED, "timeout")
    if isinstance(outcome, DeliveryResult):
        return outcome
    if not isinstance(outcome, Exception):
        raise outcome
    log.error("channel failed unexpectedly", extra={"error": type(outcome).__name__}, exc_info=outcome)
    return DeliveryResult(Answer.FAILED, type(outcome).__name__)


def _give(attempt: _Attempt) -> None:
    """To a thread that waits, else to a new one."""
    try:
        _idle.pop().put(attempt)
    except IndexError:
        mine: SimpleQueue[_Attempt] = SimpleQueue()
        mine.put(attempt)
        threading.Thread(target=_work, args=(mine,), name="channel", daemon=True).start()


def _work(mine: SimpleQueue[_Attempt]) -> None:
    while True:
        try:
            attempt = mine.get(timeout=IDLE_S)
        except Empty:
            with suppress(ValueError):
                _idle.remove(mine)
                return
            attempt = mine.get()  # it was given one just now
        try:
            outcome: Outcome = attempt.channel.send(attempt.message)
        except BaseException as error:
            outcome = error
        _idle.append(mine)
        attempt.outcome.put(outcome)

"""Waking the relay from an event loop: as `outbox.Waker`, without its thread, a tenth of what a lone response costs."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

from shared.loop_connection import LoopConnection, Row, Statement
from shared.outbox import BUSY_DEBOUNCE_S, BUSY_PER_S, DEBOUNCE_S, Waker, channel
from shared.postgres import DictConnection

ANNOUNCE: Final = Statement("SELECT pg_notify($1, $2)", ("text", "text"))
FEW: Final = 2
"""So many rows within one pause are chance, and no busy time."""


class LoopWaker:
    """Announces new outbox rows at most once every few milliseconds, on a connection of the event loop.

    A failed announcement costs nothing but the relay's poll interval. Whoever calls from a thread wakes by `otherwise`.
    """

    def __init__(self, connect: Callable[[], DictConnection], schema: str, otherwise: Waker) -> None:
        self._connection = LoopConnection(connect, ANNOUNCE)
        self._channel, self._otherwise = channel(schema).encode(), otherwise
        self._loop: asyncio.AbstractEventLoop | None = None  # in which an announcement is to come
        self._queues: set[str] = set()
        self._number, self._announced_at, self._pause_s = 0, -math.inf, DEBOUNCE_S

    def wake(self, queue: str = "") -> None:
        """Ask for an announcement soon, for this queue or for any. Never blocks, never raises."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._otherwise.wake()
            return
        self._number += 1
        self._queues.add(queue)
        if self._loop is not loop:
            self._loop = loop
            loop.call_later(self._announced_at + self._pause_s - time.monotonic(), self._announce)

    def close(self) -> None:
        """End the connection and the thread of `otherwise`."""
        self._connection.close()
        self._otherwise.close()

    def _announce(self) -> None:
        """The next pause is longer while many rows come, judged by how many came since the last announcement."""
        now, self._loop = time.monotonic(), None
        is_busy = self._number > max(FEW, (now - self._announced_at) * BUSY_PER_S)
        self._announced_at, self._number = now, 0
        self._pause_s = BUSY_DEBOUNCE_S if is_busy else DEBOUNCE_S
        queue = self._queues.pop() if len(self._queues) == 1 else ""
        self._queues.clear()
        self._connection.run((self._channel, queue.encode())).add_done_callback(_forget)


def _forget(announced: asyncio.Future[list[Row]]) -> None:
    """An error is looked at and let be: the connection is made anew for the next one."""
    if not announced.cancelled():
        announced.exception()

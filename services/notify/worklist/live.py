"""Open worklists hear that something changed: one look at the ledger a second for all of them, as server-sent events.

An event says that something changed and never what: the page then asks for its list again, with all checks of a page.
A beat says that the ledger was looked at and held nothing new, so a page that hears neither knows that it may be old.
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from uuid import UUID

from starlette.concurrency import run_in_threadpool

from services.notify.worklist import store
from shared.closing import Closing
from shared.postgres import DatabaseError, Pool, tenant_transaction

MOST_STREAMS = 200
"""Streams of one process. Whoever comes after them polls."""
LOOK_S = 1.0
BEAT_S = 5.0
ASKED_S = 1.0
"""How old it may be that the session was looked at."""
LASTS_S = 900.0
"""After this time a stream ends and the browser opens another, through the door."""

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Listener:
    """One open stream, woken when something changed for its tenant."""

    tenant: UUID
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class Live:
    """The streams of this process and the task that looks at the ledger while there are any."""

    def __init__(self, pool: Pool, *, most: int = MOST_STREAMS, beat_s: float = BEAT_S) -> None:
        self._pool, self._most, self._beat_s = pool, most, beat_s
        self._listeners: set[Listener] = set()
        self._looking: asyncio.Task[None] | None = None
        self._looks = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether no further stream is given."""
        return len(self._listeners) >= self._most

    async def events(self, tenant: UUID, number: int, still: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Events for a page that knows this change as the newest, until the session, the server or the look ends."""
        listener, closing = Listener(tenant), Closing()
        self._listeners.add(listener)
        try:
            looking = await self._begin_to_look()
            # Only now: what is noted after this answer is new to whoever looks, and what was noted before is in it.
            if await run_in_threadpool(self.newest, tenant) > number:
                listener.wake.set()
            yield b"retry: 2000\n\n"
            asked = began = time.monotonic()
            while time.monotonic() - began < LASTS_S:
                changed = await self._next(listener, closing, looking)
                if closing.begun or looking.done():
                    return
                if time.monotonic() - asked >= ASKED_S:
                    if not await run_in_threadpool(still):
                        return
                    asked = time.monotonic()
                if changed:
                    yield b"id: %d\nevent: change\ndata: \n\n" % await run_in_threadpool(self.newest, tenant)
                else:
                    yield b"event: beat\ndata: \n\n"
        except DatabaseError as error:
            log.warning("event stream ended", extra={"error": type(error).__name__})
        finally:
            self._listeners.discard(listener)

    def newest(self, tenant: UUID) -> int:
        """Number of the newest change of the tenant."""
        with tenant_transaction(self._pool, tenant) as connection:
            return store.newest_change(connection, tenant)

    async def _begin_to_look(self) -> asyncio.Task[None]:
        """The task that looks, once it knows what is there already, or has failed."""
        if self._looking is None or self._looking.done():
            self._looks = asyncio.Event()
            self._looking = asyncio.create_task(self._look(self._looks))
        looking, knows = self._looking, asyncio.create_task(self._looks.wait())
        try:
            await asyncio.wait((knows, looking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            knows.cancel()
        return looking

    async def _next(self, listener: Listener, closing: Closing, looking: asyncio.Task[None]) -> bool:
        """Wait for a change, for the time of a beat, or until nothing more will come; True: something changed."""
        changed, closed = asyncio.create_task(listener.wake.wait()), asyncio.create_task(closing.wait())
        try:
            await asyncio.wait((changed, closed, looking), timeout=self._beat_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            closed.cancel()
        woken = listener.wake.is_set()
        listener.wake.clear()
        return woken

    async def _look(self, looks: asyncio.Event) -> None:
        """Look once a second and wake whom it concerns. Ends with the last stream, or when the database is away.

        A number that was not seen yet is new, also when it is lower than others that were. `looks` is set once it is
        known which are there already: none of them is told, and each that comes after.
        """
        try:
            floor = await run_in_threadpool(self._settled)
            begun = await run_in_threadpool(self._changes, floor)
            seen = dict.fromkeys((number for _, number in begun), time.monotonic())
            looks.set()
            while self._listeners:
                found = await run_in_threadpool(self._changes, floor)
                now = time.monotonic()
                new = {tenant for tenant, number in found if number not in seen}
                seen = {number: seen.get(number, now) for _, number in found}
                floor = max((number for number, at in seen.items() if now - at > store.LATE_S), default=floor)
                for listener in self._listeners:
                    if listener.tenant in new:
                        listener.wake.set()
                await asyncio.sleep(LOOK_S)
        except Exception as error:
            log.warning("worklists are not told of changes", extra={"error": type(error).__name__})

    def _settled(self) -> int:
        with self._pool.connection() as connection:
            return store.settled(connection)

    def _changes(self, after: int) -> list[tuple[UUID, int]]:
        with self._pool.connection() as connection:
            return store.changes(connection, after)

"""Responses that come at the same moment are stored together: one round trip, one transaction, one flush to the disk.

What comes first is stored at once; what comes meanwhile is stored together after it. So nobody waits for company, and
under load the flush, the dearest part of a write, is shared. When the database refuses one of them it has stored none,
and each is stored alone: nobody bears another's error.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import UUID

from services.intake.store import NewResponse, StoreResult, Write, store_responses, write_of
from shared.failpoint import reach
from shared.postgres import OperationalError, Pool, nothing_done

MOST: Final = 32
"""Stored in one transaction."""


@dataclass(slots=True, eq=False)
class _Waiting:
    write: Write
    result: asyncio.Future[StoreResult]


@dataclass(slots=True)
class Together:
    """Stores responses for all requests of one event loop, where all happens but the talk with the database."""

    pool: Pool
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _is_storing: bool = False
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "intake-store"))

    async def store(self, tenant: UUID, new: NewResponse) -> StoreResult:
        """As `store.store_response` in a transaction of its own: when this returns, it is durable.

        Raises what that raises. When the connection is lost on the way, nobody knows what was stored: all who were
        stored together are told so by the same error, and nothing is tried again.
        """
        mine = _Waiting(write_of(tenant, new), asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        if not self._is_storing:
            self._store_next()
        return await mine.result

    def close(self) -> None:
        """End the threads, once they have stored what they hold."""
        self._thread.shutdown(wait=False)

    def _store_next(self) -> None:
        some = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))]
        self._is_storing = bool(some)
        if some:
            self._hand_over(some).add_done_callback(partial(self._settle, some))

    def _settle(self, some: Sequence[_Waiting], done: asyncio.Future[list[StoreResult]]) -> None:
        self._store_next()
        error = done.exception()
        if error is None:
            for one, result in zip(some, done.result(), strict=True):
                _tell(one, result)
        elif len(some) > 1 and nothing_done(error):
            for one in some:
                self._hand_over([one]).add_done_callback(partial(_tell_alone, one))
        else:
            for one in some:
                _tell(one, error)

    def _hand_over(self, some: Sequence[_Waiting]) -> asyncio.Future[list[StoreResult]]:
        loop, writes = asyncio.get_running_loop(), [one.write for one in some]
        try:
            return loop.run_in_executor(self._thread, self._store, writes)
        except RuntimeError as error:  # no thread to be had: whoever waits is told so, and the next ones try again
            refused: asyncio.Future[list[StoreResult]] = loop.create_future()
            refused.set_exception(OperationalError(f"nobody to store it: {error}"))
            return refused

    def _store(self, writes: Sequence[Write]) -> list[StoreResult]:
        with self.pool.connection() as connection:
            reach("intake.store.before_commit")
            return store_responses(connection, writes)


def _tell_alone(one: _Waiting, done: asyncio.Future[list[StoreResult]]) -> None:
    error = done.exception()
    _tell(one, error if error is not None else done.result()[0])


def _tell(one: _Waiting, what: StoreResult | BaseException) -> None:
    """Whoever asked may have gone meanwhile."""
    if one.result.done():
        return
    if isinstance(what, StoreResult):
        one.result.set_result(what)
    else:
        one.result.set_exception(what)

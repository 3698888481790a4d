"""Responses that come at the same moment are stored together: one round trip, one transaction, one flush to the disk.

What comes first is stored at once; what comes meanwhile is stored together after it. So nobody waits for company, and
under load the flush, the dearest part of a write, is shared. When the database refuses one of them it has stored none,
and each takes the way that all other writes take: nobody bears another's error.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from services.intake.store import CREATE, NewResponse, StoreResult, create_values, created
from shared.failpoint import reach
from shared.loop_connection import PATIENCE_S, LoopConnection, Row, Values
from shared.postgres import DictConnection, nothing_done

MOST: Final = 32
"""Stored in one transaction."""


@dataclass(slots=True, eq=False)
class _Waiting:
    new: NewResponse
    values: Values
    result: asyncio.Future[StoreResult | None]


class Together:
    """Stores responses for all requests of one event loop, on one connection that the loop watches itself."""

    def __init__(self, connect: Callable[[], DictConnection], *, patience_s: float = PATIENCE_S) -> None:
        """`patience_s`: for an answer of the database."""
        self._connection = LoopConnection(connect, CREATE, patience_s=patience_s)
        self._waiting: deque[_Waiting] = deque()
        self._is_storing = False

    async def store(self, tenant: UUID, new: NewResponse) -> StoreResult | None:
        """Store a first version; when this returns, it is durable. None: it was not stored, and may be another way.

        That is so where its identifier is known, and where the database refused a response that was stored with it.
        Raises ProblemError as `store.store_response`, and DatabaseError when nobody knows what was stored: all who were
        stored together are told so by the same error, and nothing is tried again.
        """
        mine = _Waiting(new, create_values(tenant, new), asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        if not self._is_storing:
            self._store_next()
        return await mine.result

    def close(self) -> None:
        """End the connection, once nobody asks any more."""
        self._connection.close()

    def _store_next(self) -> None:
        some = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))]
        self._is_storing = bool(some)
        if some:
            try:
                reach("intake.store.before_commit")
                self._connection.send([one.values for one in some], partial(self._settle, some))
            except Exception as error:  # whatever it is, nobody waits for ever
                asyncio.get_running_loop().call_soon(self._settle, some, error)

    def _settle(self, some: Sequence[_Waiting], rows: list[Row] | Exception) -> None:
        self._store_next()
        if isinstance(rows, list):
            for one, row in zip(some, rows, strict=True):
                _tell(one, created(one.new, row))
        else:
            for one in some:
                _tell(one, None if nothing_done(rows) else rows)


def _tell(one: _Waiting, what: StoreResult | Exception | None) -> None:
    """Whoever asked may have gone meanwhile."""
    if one.result.done():
        return
    if isinstance(what, Exception):
        one.result.set_exception(what)
    else:
        one.result.set_result(what)

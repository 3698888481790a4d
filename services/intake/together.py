"""A new response that meets no other is stored at once, or together with what comes meanwhile.

Nobody waits for company, and under load the flush to the disk, the dearest part of a write, is shared
(`shared/loop_connection.py`). When the database refuses one of them it has stored none, and each takes the way that all
other writes take: nobody bears another's error.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID

from services.intake.store import CREATE, NewResponse, StoreResult, create_values, created
from shared.failpoint import reach
from shared.loop_connection import PATIENCE_S, LoopConnection
from shared.postgres import DatabaseError, DictConnection, nothing_done


class Together:
    """Stores responses for all requests of one event loop."""

    def __init__(self, connect: Callable[[], DictConnection], *, patience_s: float = PATIENCE_S) -> None:
        """`patience_s`: for an answer of the database."""
        before = partial(reach, "intake.store.before_commit")
        self._connection = LoopConnection(connect, CREATE, before=before, patience_s=patience_s)

    async def store(self, tenant: UUID, new: NewResponse) -> StoreResult | None:
        """Store a first version; when this returns, it is durable. None: it was not stored, and may be another way.

        That is so where its identifier is known, and where the database refused a response that was stored with it.
        Raises ProblemError as `store.store_response`, and DatabaseError when nobody knows what was stored: all who were
        stored together are told so by the same error, and nothing is tried again.
        """
        try:
            [row] = await self._connection.run(create_values(tenant, new))
        except DatabaseError as error:
            if nothing_done(error):
                return None
            raise
        return created(new, row)

    def close(self) -> None:
        """End the connection, once nobody asks any more."""
        self._connection.close()

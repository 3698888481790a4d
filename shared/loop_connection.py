"""One statement for all that an event loop asks of the database, on a connection that the loop watches itself.

A thread, a pool and a cursor cost several times what they carry here: the values of one statement there, its rows back.
What comes first is sent at once; what comes meanwhile is sent together after it, as one transaction (libpq's pipeline
mode), so that under load the flush to the disk is shared. When rows are told, what was written is durable. Values
travel as the server keeps them (binary), so that nothing in a text can end it early.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeAlias

from psycopg import pq
from psycopg.errors import error_from_result

from shared.postgres import DatabaseError, DictConnection, OperationalError, has_news

Values: TypeAlias = Sequence[bytes | None]
Row: TypeAlias = tuple[bytes | None, ...]

MOST: Final = 32
"""Sets of values in one transaction."""
PATIENCE_S: Final = 10.0
"""Longer than the server may take for a statement (`postgres.open_pool`); then nobody is there any more."""

_NAME: Final = b"loop_connection"
_BINARY: Final = 1
_OIDS: Final = {"bool": 16, "bytea": 17, "text": 25, "uuid": 2950, "jsonb": 3802}
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with $1, $2, ... and their types."""

    text: str
    types: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Waiting:
    values: Values
    rows: asyncio.Future[list[Row]]


@dataclass(slots=True, eq=False)
class _Batch:
    waiting: Sequence[_Waiting]
    results: list[list[Row]] = field(default_factory=list)
    error: DatabaseError | None = None


class LoopConnection:
    """For the requests of one event loop. Connects when there is something to send, in a thread."""

    def __init__(
        self,
        connect: Callable[[], DictConnection],
        statement: Statement,
        *,
        before: Callable[[], object] = lambda: None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`before` is called before each transaction. `patience_s`: how long an answer may take, with connecting."""
        self._connect, self._statement, self._before, self._patience_s = connect, statement, before, patience_s
        self._formats = [_BINARY] * len(statement.types)
        self._waiting: deque[_Waiting] = deque()
        self._connection: DictConnection | None = None
        self._socket = -1  # of the connection, which no longer tells once it is lost
        self._loop: asyncio.AbstractEventLoop | None = None
        self._batch: _Batch | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def run(self, values: Values) -> asyncio.Future[list[Row]]:
        """The rows of the statement with these values, once what it wrote is durable.

        Raises DatabaseError; all that were sent together are told the same one. Whether anything was done then says
        `nothing_done`.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # what another loop left in the middle will never end
            self._batch = None
            self._waiting.clear()
        mine = _Waiting(values, loop.create_future())
        self._waiting.append(mine)
        if self._batch is None:
            self._send_next()
        return mine.rows

    def close(self) -> None:
        """End the connection, once nobody asks any more."""
        connection, self._connection = self._connection, None
        if connection is None or self._loop is None:
            return
        if not self._loop.is_closed():
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
        connection.close()

    def _send_next(self) -> None:
        if not self._waiting:
            return
        loop = asyncio.get_running_loop()
        batch = self._batch = _Batch([self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))])
        if self._loop is not loop or (self._connection is not None and has_news(self._socket)):
            self.close()
        self._loop = loop
        late = OperationalError("no answer in time")
        self._deadline = loop.call_later(self._patience_s, self._lose_all, late, batch)
        try:
            self._before()
            if self._connection is not None:
                self._write(loop, self._connection.pgconn, batch)
            else:
                loop.run_in_executor(None, self._open).add_done_callback(partial(self._opened, batch))
        except Exception as error:  # whatever it is, nobody waits for ever; and half of it may be sent
            loop.call_soon(self._lose, _known(error), batch)

    def _open(self) -> DictConnection:
        connection = self._connect()
        try:
            types = [_OIDS[name] for name in self._statement.types]
            prepared = connection.pgconn.prepare(_NAME, self._statement.text.encode(), types)
            if prepared.status != pq.ExecStatus.COMMAND_OK:
                raise error_from_result(prepared)
            connection.pgconn.nonblocking = 1
            connection.pgconn.enter_pipeline_mode()
        except BaseException:
            connection.close()
            raise
        return connection

    def _opened(self, batch: _Batch, opening: asyncio.Future[DictConnection]) -> None:
        error = opening.exception()
        if error is not None:
            self._lose_all(_known(error), batch)
            return
        if self._batch is not batch:  # given up meanwhile
            opening.result().close()
            return
        assert self._loop is not None
        self._connection = opening.result()
        self._socket = self._connection.pgconn.socket
        self._loop.add_reader(self._socket, self._read)
        try:
            self._write(self._loop, self._connection.pgconn, batch)
        except Exception as failed:  # half of it may be sent
            self._lose(_known(failed), batch)

    def _write(self, loop: asyncio.AbstractEventLoop, server: pq.abc.PGconn, batch: _Batch) -> None:
        for one in batch.waiting:
            server.send_query_prepared(_NAME, one.values, self._formats, _BINARY)
        server.pipeline_sync()
        if server.flush():
            loop.add_writer(self._socket, self._flush, server)

    def _flush(self, server: pq.abc.PGconn) -> None:
        assert self._loop is not None
        try:
            if not server.flush():
                self._loop.remove_writer(self._socket)
        except DatabaseError as error:
            self._lose(error, self._batch)

    def _read(self) -> None:
        """Something came: rows, or the news that the server is gone."""
        if self._connection is None:
            return
        server, batch = self._connection.pgconn, self._batch
        try:
            server.consume_input()
            while batch is not None and not server.is_busy():
                result = server.get_result()
                if result is None:  # the end of what one statement gave
                    if server.status != pq.ConnStatus.OK:
                        raise OperationalError("the connection is lost")
                elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                    self._settle(batch)
                    return
                elif result.status == pq.ExecStatus.TUPLES_OK:
                    batch.results.append(_rows(result))
                elif result.status != pq.ExecStatus.PIPELINE_ABORTED and batch.error is None:
                    batch.error = error_from_result(result)
        except DatabaseError as error:
            self._lose(error, batch)

    def _settle(self, batch: _Batch) -> None:
        """The transaction is over: all of it is durable, or, after an error, nothing was done."""
        error = batch.error
        if error is None and len(batch.results) != len(batch.waiting):
            error = OperationalError("another number of results than of statements")
        if error is not None:  # perhaps of what was prepared, as after a migration: the next connection prepares anew
            self.close()
        self._tell(batch, error)

    def _lose(self, error: DatabaseError, batch: _Batch | None) -> None:
        """The connection is given up while this batch waits for its answer: nobody knows what became of it."""
        if self._batch is batch:
            self.close()
            if batch is not None:
                self._tell(batch, batch.error or error)

    def _lose_all(self, error: DatabaseError, batch: _Batch) -> None:
        """No server is there: who waits behind this batch is told so too; the next batch would learn it no sooner."""
        if self._batch is batch:
            batch.waiting = [*batch.waiting, *self._waiting]
            self._waiting.clear()
            self._lose(error, batch)

    def _tell(self, batch: _Batch, error: DatabaseError | None) -> None:
        """What came meanwhile is sent first, so that the server has work. Whoever asked may have gone."""
        self._batch = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._send_next()
        for at, one in enumerate(batch.waiting):
            if one.rows.done():
                continue
            if error is None:
                one.rows.set_result(batch.results[at])
            else:
                one.rows.set_exception(error)


def whole_number(value: bytes | None) -> int:
    """An integer of a row."""
    return int.from_bytes(value or b"", "big", signed=True)


def moment(value: bytes | None) -> datetime:
    """A timestamptz of a row."""
    return _EPOCH + timedelta(microseconds=whole_number(value))


def _rows(result: pq.abc.PGresult) -> list[Row]:
    columns = range(result.nfields)
    return [tuple(result.get_value(row, column) for column in columns) for row in range(result.ntuples)]


def _known(error: BaseException) -> DatabaseError:
    return error if isinstance(error, DatabaseError) else OperationalError(f"not sent: {type(error).__name__}")

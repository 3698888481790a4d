"""One statement for all that an event loop writes, on a connection that the loop watches itself.

A thread, a pool and a cursor cost several times what they carry here: the values of one statement there, one row back.
What is sent together is one transaction (libpq's pipeline mode): when its rows are told it is durable. Values travel as
the server keeps them (binary), so that nothing in a text can end it early.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from psycopg import pq
from psycopg.errors import error_from_result

from shared.postgres import DatabaseError, DictConnection, OperationalError, has_news, unavailable

Values: TypeAlias = Sequence[bytes | None]
Row: TypeAlias = tuple[bytes | None, ...]
Done: TypeAlias = Callable[[list[Row] | DatabaseError], None]

PATIENCE_S: Final = 10.0
"""Longer than the server may take for a statement (`postgres.open_pool`); then nobody is there any more."""

_NAME: Final = b"loop_connection"
_BINARY: Final = 1
_OIDS: Final = {"bool": 16, "bytea": 17, "text": 25, "uuid": 2950, "jsonb": 3802}


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with $1, $2, ... and their types. It gives one row for each set of values."""

    text: str
    types: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Batch:
    values: Sequence[Values]
    done: Done
    rows: list[Row] = field(default_factory=list)
    error: DatabaseError | None = None


class LoopConnection:
    """For one event loop, and for one batch at a time. Connects when there is something to send, in a thread."""

    def __init__(
        self, connect: Callable[[], DictConnection], statement: Statement, *, patience_s: float = PATIENCE_S
    ) -> None:
        self._connect, self._statement, self._patience_s = connect, statement, patience_s
        self._formats = [_BINARY] * len(statement.types)
        self._connection: DictConnection | None = None
        self._socket = -1  # of the connection, which no longer tells once it is lost
        self._loop: asyncio.AbstractEventLoop | None = None
        self._batch: _Batch | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def send(self, values: Sequence[Values], done: Done) -> None:
        """Run the statement with each of these in one transaction; never before the last batch is done.

        `done` is told the rows once they are durable, or the error: whether anything was stored then, `nothing_done`
        says.
        """
        loop, self._batch = asyncio.get_running_loop(), _Batch(values, done)
        if self._loop is not loop or (self._connection is not None and has_news(self._socket)):
            self.close()
        self._loop = loop
        if self._connection is not None:
            self._write(self._connection.pgconn)
            return
        try:
            loop.run_in_executor(None, self._open).add_done_callback(self._opened)
        except RuntimeError as error:  # no thread to be had
            loop.call_soon(self._lose, OperationalError(f"nobody to connect: {error}"), self._batch)

    def close(self) -> None:
        """End the connection. A batch that was not answered stays untold."""
        connection, self._connection = self._connection, None
        if connection is None or self._loop is None:
            return
        if not self._loop.is_closed():
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
        connection.close()

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

    def _opened(self, opening: asyncio.Future[DictConnection]) -> None:
        error = opening.exception()
        if error is not None:
            self._lose(_known(error), self._batch)
            return
        assert self._loop is not None
        self._connection = opening.result()
        self._socket = self._connection.pgconn.socket
        self._loop.add_reader(self._socket, self._read)
        self._write(self._connection.pgconn)

    def _write(self, server: pq.abc.PGconn) -> None:
        loop, batch = self._loop, self._batch
        assert loop is not None
        assert batch is not None
        self._deadline = loop.call_later(self._patience_s, self._lose, OperationalError("no answer in time"), batch)
        try:
            for values in batch.values:
                server.send_query_prepared(_NAME, values, self._formats, _BINARY)
            server.pipeline_sync()
            if server.flush():
                loop.add_writer(self._socket, self._flush, server)
        except Exception as error:  # half of it may be sent: this connection is good for nothing more
            loop.call_soon(self._lose, _known(error), batch)

    def _flush(self, server: pq.abc.PGconn) -> None:
        assert self._loop is not None
        try:
            if not server.flush():
                self._loop.remove_writer(self._socket)
        except DatabaseError as error:
            self._lose(error, self._batch)

    def _read(self) -> None:
        """Something came: rows, or the news that the server is gone."""
        assert self._connection is not None
        server, batch = self._connection.pgconn, self._batch
        try:
            server.consume_input()
            while batch is not None and not server.is_busy():
                result = server.get_result()
                if result is None:  # the end of what one statement gave
                    if server.status != pq.ConnStatus.OK:
                        raise OperationalError("the connection is lost")
                elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                    return self._settle(batch)
                elif result.status == pq.ExecStatus.TUPLES_OK:
                    batch.rows.append(tuple(result.get_value(0, at) for at in range(result.nfields)))
                elif result.status != pq.ExecStatus.PIPELINE_ABORTED and batch.error is None:
                    batch.error = error_from_result(result)
        except DatabaseError as error:
            self._lose(error, batch)

    def _settle(self, batch: _Batch) -> None:
        """The transaction is over: all of it is durable, or, after an error, nothing was done."""
        error = batch.error
        if error is None and len(batch.rows) != len(batch.values):
            error = OperationalError("other rows than were asked for")
        if error is not None and unavailable(error):
            self.close()
        self._tell(error or batch.rows)

    def _lose(self, error: DatabaseError, batch: _Batch | None) -> None:
        """The connection is given up while this batch waits for its answer: nobody knows what became of it."""
        if self._batch is batch:
            self.close()
            if batch is not None:
                self._tell(batch.error or error)

    def _tell(self, what: list[Row] | DatabaseError) -> None:
        batch, self._batch = self._batch, None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if batch is not None:
            batch.done(what)


def _known(error: BaseException) -> DatabaseError:
    return error if isinstance(error, DatabaseError) else OperationalError(f"not sent: {type(error).__name__}")

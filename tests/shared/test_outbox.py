"""What a transaction wrote into the outbox reaches the broker, at least once, in order, or stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from shared import outbox
from shared.events import MAX_REFS, Ref
from shared.postgres import DictConnection, connect
from tests.conftest import Database


class BrokerAway(Exception):
    """What a publisher raises when nobody took the message."""


@pytest.fixture
def connection(database: Database) -> Iterator[DictConnection]:
    with connect(database.intake_url, schema="intake") as connection:
        yield connection


def waiting(connection: DictConnection) -> int:
    row = connection.execute("SELECT count(*) AS number FROM outbox").fetchone()
    assert row is not None
    return int(row["number"])


def test_rows_are_published_oldest_first_and_then_gone(connection: DictConnection) -> None:
    sent: list[tuple[str, list[str]]] = []
    outbox.add(connection, "triage", [Ref("a", 1), Ref("b", 2)])
    outbox.add(connection, "triage", [Ref("c", 1)])

    number = outbox.relay(connection, lambda queue, refs: sent.append((queue, [ref.id for ref in refs])))

    assert number == 3
    assert sent == [("triage", ["a", "b", "c"])]
    assert waiting(connection) == 0


def test_a_message_holds_at_most_a_few_hundred_references(connection: DictConnection) -> None:
    sizes: list[int] = []
    outbox.add(connection, "triage", [Ref(str(number), 1) for number in range(MAX_REFS + 17)])

    outbox.relay(connection, lambda _queue, refs: sizes.append(len(refs)))

    assert sizes == [MAX_REFS, 17]


def test_rows_stay_when_the_broker_is_away(connection: DictConnection) -> None:
    outbox.add(connection, "triage", [Ref("a", 1)])

    def away(_queue: str, _refs: Sequence[Ref]) -> None:
        raise BrokerAway

    with pytest.raises(BrokerAway):
        outbox.relay(connection, away)

    assert waiting(connection) == 1


def test_two_relays_at_once_do_not_send_the_same_row(connection: DictConnection, database: Database) -> None:
    outbox.add(connection, "triage", [Ref("a", 1)])
    sent: list[str] = []

    with connect(database.intake_url, schema="intake") as other:

        def while_held(_queue: str, refs: Sequence[Ref]) -> None:
            sent.extend(ref.id for ref in refs)
            assert outbox.relay(other, lambda _q, more: sent.extend(ref.id for ref in more)) == 0

        outbox.relay(connection, while_held)

    assert sent == ["a"]


def test_rows_of_a_transaction_that_was_undone_are_never_sent(connection: DictConnection) -> None:
    class Undo(Exception):
        pass

    def write_and_fail() -> None:
        with connection.transaction():
            outbox.add(connection, "triage", [Ref("a", 1)])
            raise Undo

    with pytest.raises(Undo):
        write_and_fail()

    assert outbox.relay(connection, lambda _queue, _refs: None) == 0


def test_the_waker_ends_the_relays_wait(connection: DictConnection, database: Database) -> None:
    connection.execute(f'LISTEN "{outbox.channel("intake")}"'.encode())
    waker = outbox.Waker(lambda: connect(database.intake_url, schema="intake"), "intake")

    waker.wake()
    notified = list(connection.notifies(timeout=20, stop_after=1))
    waker.close()

    assert [notification.channel for notification in notified] == ["intake_outbox"]

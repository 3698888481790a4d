"""What a transaction wrote into the outbox reaches the broker, at least once, in order, or stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from shared import canary, outbox, relay
from shared.broker import Publisher
from shared.events import MAX_REFS, Ref
from shared.postgres import DictConnection, OperationalError, connect
from shared.relay import run_relay
from tests.conftest import Database
from tests.waiting import eventually


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


@pytest.mark.requirement("REQ-08")
def test_rows_stay_when_the_broker_is_away(connection: DictConnection) -> None:
    outbox.add(connection, "triage", [Ref("a", 1)])

    def away(_queue: str, _refs: Sequence[Ref]) -> None:
        raise BrokerAway

    with pytest.raises(BrokerAway):
        outbox.relay(connection, away)

    assert waiting(connection) == 1


def test_only_what_was_told_is_deleted_without_waiting_for_the_disk(connection: DictConnection) -> None:
    def commits() -> object:
        return connection.execute("SELECT current_setting('synchronous_commit') AS found").fetchone()

    outbox.add(connection, "triage", [Ref("response-1", 1)])
    seen = list[object]()
    outbox.relay(connection, lambda _queue, _refs: seen.append(commits()))

    assert [*seen, commits()] == [{"found": "off"}, {"found": "on"}]


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


def test_announcements_are_heard_whenever_they_come(connection: DictConnection, database: Database) -> None:
    announced = outbox.Announcements(connection, "intake")
    assert announced.hear() == set()

    with connect(database.intake_url, schema="intake") as other:
        outbox.announce(other, "intake", "triage")
        outbox.announce(other, "intake")
        outbox.announce(other, "intake", "triage")
        eventually(lambda: connection.execute("SELECT 1").fetchone() and announced._queues)  # with another answer
        outbox.announce(other, "intake", "triage.refused")

        heard = announced.hear()
        while len(heard) < 3:
            heard |= announced.hear(timeout_s=10)
        assert heard == {"triage", "", "triage.refused"}
        assert announced.hear() == set()

        own = connection.info.backend_pid
        assert other.execute("SELECT pg_terminate_backend(%s, 30000) AS ended", (own,)).fetchone() == {"ended": True}
    announced.hear(timeout_s=10)  # its last words
    with pytest.raises(OperationalError):
        announced.hear(timeout_s=10)


class Recorder(Publisher):
    """A publisher that remembers what it sent and reaches no broker."""

    def __init__(self, faults: int = 0) -> None:
        self.sent: list[str] = []
        self.named: list[list[str]] = []
        self.not_taken: set[str] = set()
        self._faults = faults

    def send(self, task: str, queue: str, message: dict[str, Any]) -> None:
        if self._faults:
            self._faults -= 1
            raise RuntimeError("a fault of ours")
        self.sent.append(queue)
        self.named.append([ref["id"] for ref in message.get("refs", ())])

    def is_waiting(self, queue: str) -> bool:
        return queue in self.not_taken

    def close(self) -> None:
        """Nothing to close."""


@contextmanager
def running(loop: Callable[[threading.Event], None]) -> Iterator[threading.Thread]:
    stop = threading.Event()
    thread = threading.Thread(target=loop, args=(stop,))
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(timeout=15)


@pytest.mark.requirement("REQ-10")
def test_a_row_for_an_unknown_queue_stays_and_holds_up_nothing(connection: DictConnection, database: Database) -> None:
    outbox.add(connection, "notify.some_new_queue", [Ref("odd", 1)])
    outbox.add(connection, "triage", [Ref("a", 1)])
    publisher = Recorder()

    with running(lambda stop: run_relay(database.intake_url, "intake", publisher, stop)) as thread:
        eventually(lambda: waiting(connection) == 1)

        assert thread.is_alive()
    assert publisher.sent == ["triage"]
    assert outbox.undeliverable(connection) == {"notify.some_new_queue": 1}


def test_a_fault_ends_neither_the_relay_nor_the_canary(
    connection: DictConnection, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "FAULT_PAUSE_S", 0.01)
    monkeypatch.setattr(canary, "INTERVAL_S", 0.01)
    outbox.add(connection, "triage", [Ref("a", 1)])
    publisher, sender = Recorder(faults=2), Recorder(faults=2)

    with (
        running(lambda stop: run_relay(database.intake_url, "intake", publisher, stop)),
        running(lambda stop: canary.send_canaries(sender, ["triage"], stop)),
    ):
        eventually(lambda: publisher.sent and sender.sent)

    assert waiting(connection) == 0


@pytest.mark.requirement("REQ-08")
def test_rows_that_nobody_announced_are_published_all_the_same(connection: DictConnection, database: Database) -> None:
    publisher = Recorder()

    with running(lambda stop: run_relay(database.intake_url, "intake", publisher, stop)) as relaying:
        for number in range(3):  # one after the other, each when the relay has gone back to waiting
            outbox.add(connection, "triage", [Ref(str(number), 1)])
            eventually(lambda wanted=number + 1: len(publisher.sent) == wanted, within_s=10)
        assert relaying.is_alive()


@pytest.mark.requirement("REQ-08")
def test_a_row_that_comes_while_the_relay_publishes_does_not_wait_for_the_next_poll(
    connection: DictConnection, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "POLL_S", 3600.0)

    class AnotherComes(Recorder):
        def send(self, task: str, queue: str, message: dict[str, Any]) -> None:
            super().send(task, queue, message)
            if len(self.sent) == 1:
                outbox.add(connection, "triage", [Ref("late", 1)])
                outbox.announce(connection, "intake")

    outbox.add(connection, "triage", [Ref("early", 1)])
    publisher = AnotherComes()

    with running(lambda stop: run_relay(database.intake_url, "intake", publisher, stop)):
        try:
            eventually(lambda: waiting(connection) == 0 and len(publisher.sent) == 2)
        finally:
            monkeypatch.undo()
            outbox.announce(connection, "intake")  # ends the wait


def test_many_rows_a_second_are_announced_less_often_and_few_as_soon_as_they_come() -> None:
    waker = outbox.Waker(lambda: pytest.fail("nobody announces here"), "intake")
    waker._announced_at, waker._number = time.monotonic() - 1.0, 100
    assert waker._next_pause_s() == outbox.DEBOUNCE_S

    waker._announced_at, waker._number = time.monotonic() - 1.0, 1000
    assert waker._next_pause_s() == outbox.BUSY_DEBOUNCE_S
    assert waker._number == 0, "counted anew"


def test_what_comes_while_the_worker_is_busy_shares_one_message(
    connection: DictConnection, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "HELD_S", 3600.0)
    publisher = Recorder()
    publisher.not_taken = {"triage"}

    with running(lambda stop: run_relay(database.intake_url, "intake", publisher, stop)):
        outbox.add(connection, "triage", [Ref("a", 1)])
        eventually(lambda: publisher.named == [["a"]])
        outbox.add(connection, "triage", [Ref("b", 1)])
        outbox.add(connection, "triage", [Ref("c", 1)])
        outbox.add(connection, "triage.refused", [Ref("z", 1)])
        eventually(lambda: publisher.named == [["a"], ["z"]])
        eventually(lambda: waiting(connection) == 2)  # another queue waits for nothing

        publisher.not_taken = set()
        eventually(lambda: publisher.named == [["a"], ["z"], ["b", "c"]])


@pytest.mark.requirement("REQ-08")
def test_what_waits_for_a_busy_worker_holds_up_no_other_queue_and_keeps_no_database_busy(
    connection: DictConnection, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "HELD_S", 3600.0)
    asked: list[Sequence[str]] = []
    take = outbox.relay

    def counted(*args: Any, queues: Sequence[str], **options: Any) -> int:
        asked.append(queues)
        return take(*args, queues=queues, **options)

    monkeypatch.setattr(outbox, "relay", counted)
    publisher = Recorder()
    publisher.not_taken = {"triage"}
    outbox.add(connection, "triage", [Ref("a", 1)])

    with running(lambda stop: run_relay(database.intake_url, "intake", publisher, stop)):
        eventually(lambda: publisher.named == [["a"]])
        monkeypatch.setattr(relay, "POLL_S", 3600.0)
        outbox.add(connection, "triage", [Ref("b", 1)])
        outbox.announce(connection, "intake", "triage")
        outbox.add(connection, "triage.refused", [Ref("y", 1)])
        outbox.announce(connection, "intake", "triage.refused")
        eventually(lambda: publisher.named == [["a"], ["y"]])
        before = len(asked)
        outbox.add(connection, "triage.refused", [Ref("z", 1)])
        outbox.announce(connection, "intake", "a queue that nobody knows")
        eventually(lambda: publisher.named == [["a"], ["y"], ["z"]])
        publisher.not_taken = set()
        eventually(lambda: publisher.named[3:] == [["b"]])

    assert len(asked) - before <= 4, "not at each look at the broker"


@pytest.mark.requirement("REQ-08")
def test_a_worker_that_takes_nothing_is_told_of_everything_all_the_same(
    connection: DictConnection, database: Database
) -> None:
    publisher = Recorder()
    publisher.not_taken = {"triage"}

    with running(lambda stop: run_relay(database.intake_url, "intake", publisher, stop)):
        for number in range(3):
            outbox.add(connection, "triage", [Ref(str(number), 1)])
            eventually(lambda wanted=number + 1: len(publisher.named) == wanted)

    assert waiting(connection) == 0

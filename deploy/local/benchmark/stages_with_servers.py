"""The stages that ask a server: insert, relay, claim, a hop by Celery, a mail. Real servers, one connection each."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import redis

from deploy.local.benchmark.accounting import processor_s, read_books
from deploy.local.benchmark.bodies import TENTH
from deploy.local.benchmark.stage import Stage
from deploy.local.benchmark.system import NotMeasurable, Place
from deploy.local.environment import server_variables
from deploy.local.folder import CHECKOUT, DataFolder
from deploy.local.process import wait_until
from deploy.local.servers import EmbeddedPostgres, EmbeddedValkey
from services.intake import receive
from services.intake.catalogue import Catalogue
from services.intake.judge import Judged, judge
from services.intake.preconditions import Preconditions
from services.notify.channels import Message
from services.notify.channels.email import EmailChannel
from services.notify.channels.smtp import MailServer
from shared import jobs, outbox
from shared.broker import Publisher, make_celery, queue_lengths
from shared.events import MAX_REFS, TRIAGE, Ref
from shared.fhir.codes import Urgency
from shared.ids import DEFAULT_TENANT
from shared.jobs import BATCH
from shared.postgres import DictConnection, Pool, connect, open_pool, tenant_transaction

INSERTS, MAILS, MESSAGES = 50, 20, 100
KIND = "benchmark"
STARTED_S, DONE_S, REST_S = 30.0, 60.0, 0.1


@dataclass(frozen=True, slots=True)
class _Servers:
    """Addresses: of the database by service, and of the broker; and the broker's process."""

    variables: dict[str, str]
    valkey_pid: int

    def database(self, service: str) -> str:
        return self.variables[f"SURAL_{service.upper()}_DATABASE_URL"]

    @property
    def broker(self) -> str:
        return self.variables["SURAL_REDIS_URL"]


@contextmanager
def server_stages(place: Place) -> Iterator[list[Stage]]:
    """Stages on the data of a system that does not run any more."""
    with ExitStack() as stack:
        postgres = stack.enter_context(EmbeddedPostgres(place.data))
        valkey = stack.enter_context(EmbeddedValkey(place.data))
        urls = {"SURAL_DATABASE_URL": postgres.url, "SURAL_REDIS_URL": valkey.url}
        servers = _Servers(server_variables({}, urls, DataFolder(place.data)), valkey.process.pid)
        with redis.Redis.from_url(servers.broker) as broker:
            broker.flushall()  # what the system left there is of no use to anybody
        pool = open_pool(servers.database("intake"), schema="intake", size=1)
        stack.callback(pool.close)
        intake = stack.enter_context(connect(servers.database("intake"), schema="intake"))
        triage = stack.enter_context(connect(servers.database("triage"), schema="triage"))
        worker = stack.enter_context(_beside("hop_worker", place, SURAL_REDIS_URL=servers.broker))
        mail = stack.enter_context(_beside("mail_recorder", place, str(place.mail_port), str(place.mail)))
        _wait_for(place.mail_port)
        publisher = Publisher(make_celery(servers.broker))
        stack.callback(publisher.close)
        yield [
            _insert(pool),
            _relay("relay, one row alone", intake, 1),
            _relay(f"relay, a row of {MAX_REFS}", intake, MAX_REFS),
            _claim(triage),
            *_hops(publisher, servers, worker),
            _mail(place, mail),
        ]


def _insert(pool: Pool) -> Stage:
    """Store judged responses, each in a transaction of its own with its outbox and audit rows."""
    catalogue = Catalogue(pool)
    patterns = [
        judge(body.marked("insert"), catalogue=catalogue, tenant=DEFAULT_TENANT) for body, _ in TENTH.bodies(10)
    ]

    def prepare() -> list[Judged]:
        return [_fresh(patterns[number % len(patterns)]) for number in range(INSERTS)]

    def work(new: Sequence[Judged]) -> None:
        for one in new:
            with tenant_transaction(pool, DEFAULT_TENANT) as connection:
                asked = Preconditions(client="benchmark")
                receive.create(one, connection=connection, tenant=DEFAULT_TENANT, asked=asked)

    with pool.connection() as connection:
        backend = connection.info.backend_pid
    return Stage("insert", work, INSERTS, prepare, partial(_used, [backend]))


def _fresh(pattern: Judged) -> Judged:
    """The same answers as another form."""
    identifier = {**pattern.response["identifier"], "value": secrets.token_hex(8)}
    subject = {**pattern.response["subject"], "reference": f"Patient/{secrets.token_hex(8)}"}
    return replace(pattern, response={**pattern.response, "identifier": identifier, "subject": subject})


def _relay(name: str, connection: DictConnection, rows: int) -> Stage:
    """Take rows from the outbox; the broker is another stage."""

    def work(_: object) -> None:
        if outbox.relay(connection, lambda _queue, _refs: None) < rows:
            raise NotMeasurable("The relay found fewer rows than were noted.")

    def prepare() -> None:
        outbox.add(connection, TRIAGE, _refs(rows))

    return Stage(name, work, rows, prepare, partial(_used, [connection.info.backend_pid]))


def _claim(connection: DictConnection) -> Stage:
    """Claim a batch of fresh jobs."""

    def prepare() -> None:
        connection.execute("DELETE FROM job WHERE kind = %s", (KIND,))
        jobs.add(connection, KIND, _refs(BATCH))

    def work(_: object) -> None:
        if len(jobs.claim(connection, KIND, limit=BATCH, fresh_first=True)) != BATCH:
            raise NotMeasurable("Not all jobs that were noted could be claimed.")

    return Stage(f"claim, a job of {BATCH}", work, BATCH, prepare, partial(_used, [connection.info.backend_pid]))


def _hops(publisher: Publisher, servers: _Servers, worker: subprocess.Popen[bytes]) -> Iterator[Stage]:
    """From the relay's hand to a task that does nothing: here the producer, on the server worker and broker."""

    def used() -> float:
        books = read_books(worker.pid)
        return sum(each.own + each.inherited for each in books.values()) + _used([servers.valkey_pid])

    def settle() -> None:
        end = time.monotonic() + DONE_S
        time.sleep(REST_S)
        while queue_lengths(servers.broker)[TRIAGE]:
            if time.monotonic() > end:
                raise NotMeasurable("The Celery worker of the measurement did not take its messages.")
            time.sleep(REST_S)

    for name, messages, refs in (
        ("Celery, a message alone", MESSAGES, 1),
        (f"Celery, a response of {MAX_REFS} in a message", MESSAGES // 5, MAX_REFS),
    ):
        yield Stage(name, partial(_publish, publisher, messages, _refs(refs)), messages * refs, _none, used, settle)


def _publish(publisher: Publisher, messages: int, refs: Sequence[Ref], _given: object) -> None:
    for _ in range(messages):
        publisher(TRIAGE, refs)


def _mail(place: Place, server: subprocess.Popen[bytes]) -> Stage:
    """Write a mail and hand it over; on the server what our recorder takes."""
    channel = EmailChannel(MailServer(f"smtp://127.0.0.1:{place.mail_port}", "example.org", 10.0), "sural@example.org")

    def work(_: object) -> None:
        for _number in range(MAILS):
            message = Message(
                delivery_id=uuid4(),
                alert_id=uuid4(),
                urgency=Urgency.EMERGENCY,
                step=1,
                opened_at=datetime.now(UTC),
                recipient="on-call@example.org",
                public_url="https://sural.example.org",
                sandbox=False,
                token=secrets.token_urlsafe(32),
            )
            channel.send(message)

    return Stage("SMTP, a mail", work, MAILS, _none, partial(_used, [server.pid]))


def _none() -> Any:
    return None


def _refs(number: int) -> list[Ref]:
    return [Ref(str(uuid4()), 1, DEFAULT_TENANT) for _ in range(number)]


def _used(processes: Sequence[int]) -> float:
    return sum(processor_s(pid) or 0.0 for pid in processes)


@contextmanager
def _beside(module: str, place: Place, *arguments: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of our tools in a process of its own."""
    command = [sys.executable, "-P", "-m", f"deploy.local.benchmark.{module}", *arguments]
    environment = {**place.environment, **more}
    with subprocess.Popen(
        command, env=environment, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    def answers() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    if not wait_until(answers, timeout_s=STARTED_S):
        raise NotMeasurable("The mail server of the measurement did not start.")

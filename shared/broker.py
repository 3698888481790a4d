"""Celery over Redis or Valkey, with the settings that keep work from being lost, in one place.

The broker is a wake-up, PostgreSQL is the truth: no result is kept, nothing is scheduled with an ETA, and only the
relay publishes, with a deadline, so that a frozen broker can stop nothing else.
"""

from __future__ import annotations

import resource
import ssl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import redis
from celery import Celery
from kombu import Connection as BrokerConnection
from kombu import Producer, Queue
from kombu.exceptions import OperationalError
from kombu.transport.redis import Channel, Transport

from shared.events import NOTIFY_ROUTINE, NOTIFY_URGENT, QUEUES, TRIAGE, TRIAGE_REFUSED, Ref, encode

TASKS = {
    TRIAGE: "triage.assess",
    TRIAGE_REFUSED: "triage.examine_refused",
    NOTIFY_URGENT: "notify.raise_alerts",
    NOTIFY_ROUTINE: "notify.raise_alerts",
}
"""Which task a message on a queue calls."""

KEY_PREFIX = "sural:"
TASK_SOFT_LIMIT_S, TASK_LIMIT_S, VISIBILITY_S = 20, 30, 120
GROWTH_KIB = 250_000
"""A worker that has grown by so much is replaced. What it had at its start counts as its own, too: on one machine that
is all that it shares with its supervisor, some 300 MB. A new one needs seconds to be ready, and whoever comes waits.
"""
PUBLISH_TIMEOUT_S = 3


def memory_kib() -> int:
    """The most memory that this process had so far, shared or not, in KiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // 1024 if sys.platform == "darwin" else most


def canary_queue(queue: str) -> str:
    """The queue on which a worker of `queue` proves that it still consumes."""
    return f"{queue}.canary"


def make_celery(redis_url: str) -> Celery:
    """A Celery application with safe defaults. Every process of every service uses this and nothing else."""
    app = Celery("sural", broker=redis_url, set_as_current=False)
    app.conf.update(
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_use_ssl={"ssl_cert_reqs": ssl.CERT_REQUIRED} if redis_url.startswith("rediss://") else None,
        broker_transport=f"{WorkerTransport.__module__}:{WorkerTransport.__name__}",
        broker_transport_options={
            "visibility_timeout": VISIBILITY_S,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "unacked_restore_limit": 500,
            "socket_timeout": 10,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "retry_on_timeout": True,
            "health_check_interval": 5,
            "global_keyprefix": KEY_PREFIX,
            "client_name": "sural",
        },
        visibility_timeout=VISIBILITY_S,
        result_backend=None,
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure=True,
        task_acks_on_timeout=True,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        task_soft_time_limit=TASK_SOFT_LIMIT_S,
        task_time_limit=TASK_LIMIT_S,
        worker_soft_shutdown_timeout=10,
        worker_max_tasks_per_child=100_000,
        worker_max_memory_per_child=memory_kib() + GROWTH_KIB,
        task_serializer="json",
        accept_content=["json"],
        task_protocol=2,
        worker_send_task_events=False,
        task_send_sent_event=False,
        worker_hijack_root_logger=False,
        enable_utc=True,
        timezone="UTC",
        task_create_missing_queues=False,
        task_queues=[Queue(name) for queue in QUEUES for name in (queue, canary_queue(queue))],
    )
    return app


BESIDE = {TRIAGE: (TRIAGE_REFUSED,)}
"""Further queues that the worker of a queue consumes."""


def run_worker(app: Celery, queue: str, *, log_level: str = "info") -> None:
    """Consume a queue, those beside it and its canary queue, one task at a time, until told to stop (SIGTERM: finish,
    then end)."""
    queues = ",".join((queue, *BESIDE.get(queue, ()), canary_queue(queue)))
    app.worker_main(
        [
            "--quiet",
            "worker",
            f"--queues={queues}",
            "--pool=prefork",
            "--concurrency=1",
            "--without-gossip",
            "--without-mingle",
            f"--hostname={queue}@%h",
            f"--loglevel={log_level}",
        ]
    )


class _Channel(Channel):  # type: ignore[misc]  # kombu has no types
    """Uses one client again: kombu makes a new one for each message and each acknowledgement, which costs more than
    what it then does. The connections behind it are those of kombu's pool, as before."""

    _made: redis.Redis | None = None

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        yield client or self._kept()

    def _kept(self) -> Any:
        if self._made is None or self._made.connection_pool is not self.pool:
            self._made = self._create_client()
        return self._made


class WorkerTransport(Transport):  # type: ignore[misc]
    """Redis as kombu speaks it; acknowledging costs half."""

    Channel = _Channel


class _PublishingChannel(_Channel):
    """Needs no second connection: what a worker waits for new messages on is free here."""

    def _kept(self) -> Any:
        return self.client


class _PublishingTransport(Transport):  # type: ignore[misc]
    Channel = _PublishingChannel


class Publisher:
    """Sends messages for the relay. Fails after about three seconds rather than hang on a frozen broker."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: BrokerConnection | None = None
        self._producer: Producer | None = None

    def __call__(self, queue: str, refs: Sequence[Ref]) -> None:
        """Send one message. Raises kombu's OperationalError when the broker did not take it."""
        self.send(TASKS[queue], queue, encode(refs))

    def send(self, task: str, queue: str, message: dict[str, Any]) -> None:
        """Send any task of ours to a queue of ours.

        As Celery's `send_task`, without asking routes, results and the broker about queues that every worker declares:
        that took three quarters of the time.
        """
        try:
            built = self._app.amqp.as_task_v2(str(uuid4()), task, args=[message], argsrepr="", kwargsrepr="")
            self._open().publish(
                built.body, routing_key=queue, serializer="json", headers=built.headers, **built.properties
            )
        except Exception:
            self.close()
            raise

    def is_waiting(self, queue: str) -> bool:
        """True while a message in the queue was not taken by any worker. Raises like `send`."""
        try:
            return bool(self._open().channel.client.llen(queue))
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection; the next message makes a new one."""
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            connection.release()

    def _open(self) -> Producer:
        if self._producer is None:
            options = dict(self._app.conf.broker_transport_options)
            options.update(socket_timeout=PUBLISH_TIMEOUT_S, retry_on_timeout=False, health_check_interval=0)
            url = self._app.conf.broker_url
            tls = self._app.conf.broker_use_ssl
            self._connection = BrokerConnection(url, ssl=tls, transport=_PublishingTransport, transport_options=options)
            self._producer = self._connection.Producer()
        return self._producer


BROKER_ERRORS: tuple[type[Exception], ...] = (OperationalError, redis.RedisError, OSError)
"""What publishing raises when the broker is away, frozen or full."""


def check_broker(redis_url: str) -> str | None:
    """None when the broker answers and keeps what it is given; else one sentence saying what is wrong."""
    client = redis.Redis.from_url(redis_url, socket_timeout=3, socket_connect_timeout=3)
    try:
        client.ping()
        policy = client.config_get("maxmemory-policy").get("maxmemory-policy")
    except redis.AuthenticationError:
        return "The broker refused the password in SURAL_REDIS_URL."
    except redis.ResponseError:
        return None  # a managed server may forbid CONFIG; it answered, and that is what is asked here
    except redis.RedisError:
        return "The broker does not answer. Alerts go out a few seconds later. Start it, or correct SURAL_REDIS_URL."
    finally:
        client.close()
    if policy != "noeviction":
        return f"The broker may throw messages away (maxmemory-policy {policy}). Set maxmemory-policy noeviction."
    return None


def queue_lengths(redis_url: str) -> dict[str, int]:
    """Messages waiting in each queue. Raises redis.RedisError when the broker is away."""
    client = redis.Redis.from_url(redis_url, socket_timeout=3, socket_connect_timeout=3)
    try:
        return {queue: int(client.llen(KEY_PREFIX + queue)) for queue in QUEUES}
    finally:
        client.close()

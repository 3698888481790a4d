"""F3: everything that happens to databases. Intake says 503 meanwhile, and never 201 without a durable row."""

from __future__ import annotations

import time
from contextlib import suppress

import psycopg

from deploy.local.faults.database import make_standby, owner, promote, small_disk
from deploy.local.faults.plan import Step
from deploy.local.faults.scene import Scene

MEETS_S = 0.5
FULL_BLOCK = b"\0" * 1_000_000


def restart_database(scene: Scene, step: Step) -> None:
    """A fast restart. Every process of the services has to go on without being started again."""
    before = scene.sandbox.pids()
    scene.pause(MEETS_S)
    scene.sandbox.postgres.restart()
    scene.pause(2 * MEETS_S)
    if (after := scene.sandbox.pids()) != before:
        ended = sorted(name for name in before if before[name] != after.get(name))
        scene.complaints.append(f"a restart of the database ended {', '.join(ended)}")


def kill_database(scene: Scene, step: Step) -> None:
    """`kill -9` in the middle of everything; the log is replayed when it comes back."""
    scene.pause(MEETS_S)
    scene.sandbox.postgres.kill()
    scene.pause(step.settings["away_s"])
    scene.sandbox.postgres.come_back()


def read_only_database(scene: Scene, step: Step) -> None:
    """What a demoted primary looks like: connections work, writes do not."""
    with owner(scene.sandbox.postgres) as connection:
        connection.execute("ALTER DATABASE sural SET default_transaction_read_only = on")
        scene.sandbox.to_postgres.cut()
        try:
            scene.pause(step.settings["seconds"])
        finally:
            connection.execute("ALTER DATABASE sural RESET default_transaction_read_only")
    scene.sandbox.to_postgres.cut()


def take_connections(scene: Scene, step: Step) -> None:
    """Somebody else holds every connection that the server gives, and takes those that the services lose."""
    end, held = time.monotonic() + step.settings["seconds"], []
    try:
        while time.monotonic() < end:
            try:
                held.append(psycopg.connect(scene.sandbox.postgres.url, connect_timeout=2))
            except psycopg.OperationalError:
                scene.sandbox.to_postgres.cut()
                scene.pause(0.1)
    finally:
        for connection in held:
            connection.close()


def lock_jobs(scene: Scene, step: Step) -> None:
    """A migration or a vacuum that went wrong holds the tables of all work."""
    with owner(scene.sandbox.postgres) as connection, connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '10s'")
        for table in ("triage.job", "notify.job"):
            connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        scene.pause(step.settings["seconds"])


def fail_over(scene: Scene, step: Step) -> None:
    """The primary dies for ever; its synchronous standby takes its place. The suite goes on with that one."""
    sandbox, primary = scene.sandbox, scene.sandbox.postgres
    standby = make_standby(primary)
    scene.pause(2 * MEETS_S)
    primary.kill()
    promote(standby)
    sandbox.postgres = standby
    sandbox.to_postgres.lead_to(standby.port)
    sandbox.to_postgres.cut()


def fill_disk(scene: Scene, step: Step) -> None:
    """The disk of the database fills up, and is given space again. Needs root, for a disk of memory."""
    try:
        with small_disk(scene.sandbox.postgres, step.settings["megabytes"]) as ballast:
            scene.pause(2 * MEETS_S)
            with suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(FULL_BLOCK)
            scene.pause(step.settings["seconds"])
            ballast.unlink()
            if scene.sandbox.postgres.pid is None:
                scene.sandbox.postgres.come_back()
            scene.pause(2 * MEETS_S)
    except PermissionError:
        scene.remarks.append("this machine gives us no disk of its own: not done")

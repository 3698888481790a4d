"""The database of the suite: it can be killed, be short of places, get a synchronous standby, and fail over to it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from deploy.local.folder import make_folder
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import wait_until

REPLICATOR = "sural_replicator"
PROMOTED_S = 20.0
FLOWING_S = 20.0


class BreakablePostgres(EmbeddedPostgres):
    """The embedded server, with a login for replication and settings that may differ at each start."""

    def __init__(self, data_dir: Path | str) -> None:
        super().__init__(data_dir)
        self.more: Mapping[str, str] = {}

    def restart(self, **more: str) -> None:
        """Stop fast, as an administrator does, and start again with these settings beside the usual ones."""
        self.stop()
        self.come_back(**more)

    def kill(self) -> None:
        """`kill -9` of the server's first process; the others end by themselves."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def come_back(self, **more: str) -> None:
        """Start again after an end of any kind."""
        self.more = more
        self.start()

    @property
    def cluster(self) -> Path:
        return self._cluster

    def _make_data(self, draft: Path) -> None:
        super()._make_data(draft)
        with (draft / "pg_hba.conf").open("a") as file:
            file.write(f"host replication {REPLICATOR} 127.0.0.1/32 scram-sha-256\n")
        password = self.data.secret("postgres-replicator")
        self._as_superuser(draft, f"CREATE ROLE {REPLICATOR} LOGIN REPLICATION PASSWORD '{password}'")

    def _settings(self) -> dict[str, str]:
        return {**super()._settings(), "wal_keep_size": "256MB", **self.more}


class Standby(BreakablePostgres):
    """A copy of another server that follows it, on a port of its own, until it is promoted."""

    name = "postgres-standby"

    @property
    def _cluster(self) -> Path:
        return self.data.path / "postgres-standby"


def make_standby(primary: BreakablePostgres) -> Standby:
    """Stop the primary, copy it, and start both: every commit waits for the standby from now on."""
    standby = Standby(primary.data.path)
    primary.stop()
    shutil.rmtree(standby.cluster, ignore_errors=True)
    subprocess.run(["cp", "-a", str(primary.cluster), str(standby.cluster)], check=True)
    login = make_conninfo(
        host="127.0.0.1",
        port=primary.port,
        user=REPLICATOR,
        password=primary.data.secret("postgres-replicator"),
        application_name="standby",
    )
    with (standby.cluster / "postgresql.auto.conf").open("a") as file:
        file.write(f"primary_conninfo = '{login}'\n")
    signal_file = standby.cluster / "standby.signal"
    signal_file.touch()
    whose = primary.cluster.stat()
    os.chown(signal_file, whose.st_uid, whose.st_gid)
    primary.come_back(synchronous_standby_names="ANY 1 (standby)")
    standby.come_back()
    if not wait_until(lambda: _follows(primary), timeout_s=FLOWING_S):
        raise RuntimeError("the standby does not follow")
    return standby


def promote(standby: Standby) -> None:
    """Make it a primary, as `pg_ctl promote` does; returns when it takes writes."""
    (standby.cluster / "promote").touch()
    os.kill(standby.process.pid, signal.SIGUSR1)
    if not wait_until(lambda: _takes_writes(standby), timeout_s=PROMOTED_S):
        raise RuntimeError("the standby was not promoted in time")


def _follows(primary: BreakablePostgres) -> bool:
    with owner(primary) as connection:
        row = connection.execute("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'").fetchone()
        return row == (1,)


def _takes_writes(server: BreakablePostgres) -> bool:
    with owner(server) as connection:
        return connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)


@contextmanager
def owner(server: EmbeddedPostgres) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the owner that sees the rows of all tenants, and goes through no proxy."""
    options = "-c default_transaction_read_only=off -c sural.across_tenants=on"
    with psycopg.connect(server.url, autocommit=True, connect_timeout=5, options=options) as connection:
        yield connection


@contextmanager
def small_disk(primary: BreakablePostgres, megabytes: int) -> Iterator[Path]:
    """The primary on a disk of its own with so many megabytes to spare; gives the file that fills what is left.

    Only for root. The data come back to their place afterwards. Raises subprocess.CalledProcessError where this machine
    does not allow it, with the primary running as before.
    """
    place, kept = primary.cluster, primary.cluster.with_name("postgres-kept")
    used = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    primary.stop()
    place.rename(kept)
    make_folder(place, 0o700)
    mounted = False
    try:
        size = used // 1_000_000 + megabytes + 40
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(place)], check=True)
        mounted = True
        subprocess.run(["cp", "-a", f"{kept}/.", str(place)], check=True)
        shutil.copystat(kept, place)
        os.chown(place, kept.stat().st_uid, kept.stat().st_gid)
        primary.come_back()
        yield place / "ballast"
    finally:
        primary.stop()
        if mounted:
            (place / "ballast").unlink(missing_ok=True)
            _bring_back(place, kept)
        else:
            place.rmdir()
            kept.rename(place)
        primary.come_back()


def _bring_back(place: Path, kept: Path) -> None:
    """What the small disk holds takes the place of what was kept."""
    shutil.rmtree(kept)
    subprocess.run(["cp", "-a", str(place), str(kept)], check=True)
    subprocess.run(["umount", str(place)], check=True)
    place.rmdir()
    kept.rename(place)

"""One database of one size, and what it costs to ask it: processor time of its backend and of this thread, and pages.

Processor time of a backend is read from /proc (Linux); pages are those that the backend found in or brought into the
buffers of PostgreSQL, which is no measure of time and the same on every machine.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from deploy.local.benchmark.growth_rows import Filling
from shared.postgres import Pool, open_pool

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGES = "SELECT coalesce(sum(hits + reads), 0) FROM pg_stat_get_backend_io(%s) WHERE object = 'relation'"


@dataclass(frozen=True, slots=True)
class Spent:
    """What one unit of work took: processor time of backend and client and wall time, in milliseconds, and pages."""

    processor_ms: float
    wall_ms: float
    pages: float


@dataclass(slots=True)
class Ground:
    """A filled database, a connection for each service, and an unmeasured one of the owner."""

    filling: Filling
    pools: Mapping[str, Pool]
    owner: psycopg.Connection[tuple[object, ...]]
    chance: random.Random
    created: int = 0
    waiting: list[object] = field(default_factory=list)
    """What one operation made for the next one."""

    def some(self) -> int:
        """The number of some response, any as likely as any other."""
        return self.chance.randint(1, self.filling.count)

    def spend(self, service: str, work: Callable[[], int], times: int) -> list[Spent]:
        """What each of these works took, by one of the things that it says it did. Processor time is their mean."""
        with self.pools[service].connection() as connection:
            pid = connection.info.backend_pid
        pages, client, backend = self._pages(service, pid), time.thread_time_ns(), backend_ns(pid)
        walls: list[tuple[float, int]] = []
        for _ in range(times):
            began = time.perf_counter()
            did = work()
            walls.append((1000 * (time.perf_counter() - began), did))
        done = max(sum(did for _, did in walls), 1)
        processor = (time.thread_time_ns() - client + backend_ns(pid) - backend) / 1e6 / done
        each = (self._pages(service, pid) - pages) / done
        return [Spent(processor, wall / max(did, 1), each) for wall, did in walls]

    def _pages(self, service: str, pid: int) -> int:
        with self.pools[service].connection() as connection:
            connection.execute("SELECT pg_stat_force_next_flush()")
        row = self.owner.execute(PAGES, (pid,)).fetchone()
        assert row is not None
        return int(str(row[0]))


def backend_ns(pid: int) -> int:
    """Processor time of a process until now. Raises SystemExit where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    except OSError:
        pass
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        raise SystemExit("The growth is measured on Linux, where /proc says what a database process took.") from None
    return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // TICKS_PER_S


@contextmanager
def ground(filling: Filling, owner_url: str, services: Mapping[str, str]) -> Iterator[Ground]:
    """Connections to a filled database; `services` are the addresses of the service roles."""
    pools = {name: open_pool(url, schema=name, size=1, name="growth") for name, url in services.items()}
    try:
        with psycopg.connect(owner_url, autocommit=True) as owner:
            yield Ground(filling, pools, owner, random.Random(filling.count))  # noqa: S311 - chooses rows to read
    finally:
        for pool in pools.values():
            pool.close()

"""How the cost of what Sural does grows with what it has stored: the same work in databases of several sizes.

All sizes live in one PostgreSQL of their own, and every work is done in turn at each of them, so that what else happens
on the machine meets them alike. Processor time is that of the database's backend and of the client, without HTTP.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psycopg
from psycopg import sql

from deploy.local.benchmark.growth_disk import Plan, plan_sizes
from deploy.local.benchmark.growth_ground import Ground, Spent, ground
from deploy.local.benchmark.growth_rows import Filling, Progress, fill, whole_second
from deploy.local.benchmark.growth_work import FIVE, FURTHER, Work
from deploy.local.environment import SERVICES, server_variables
from deploy.local.folder import DataFolder
from deploy.local.migrate import migrate_all
from deploy.local.servers import EmbeddedPostgres

SIZES, LARGE = (10_000, 1_000_000), 10_000_000
ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Cost:
    """One work at one size: processor time and wall time (median) in milliseconds, and pages of the database."""

    processor_ms: float
    p50_ms: float
    pages: float


@dataclass(frozen=True, slots=True)
class Growth:
    """One size: how many responses were stored, what they take, what was left out for want of space, and the costs."""

    responses: int
    disk_bytes: int
    left_out: tuple[str, ...]
    costs: Mapping[str, Cost]


def measure_growth(*, large: bool, progress: Progress) -> list[Growth]:
    """Measure ten thousand, a million and, with `large`, ten million responses, the smallest first.

    Raises SystemExit before anything is made when the disk has not enough room.
    """
    sizes = (*SIZES, LARGE) if large else SIZES
    folder = Path(tempfile.gettempdir()) / f"sural-growth-{secrets.token_hex(4)}"
    plans = plan_sizes(sizes, free_bytes=shutil.disk_usage(folder.parent).free)
    for plan in plans:
        progress(plan.as_line())
    try:
        return measure_sizes(plans, folder, progress=progress)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure_sizes(plans: Sequence[Plan], folder: Path, *, rounds: int = ROUNDS, progress: Progress) -> list[Growth]:
    """Make these sizes in a PostgreSQL below the folder and measure them."""
    with EmbeddedPostgres(folder) as postgres, ExitStack() as stack:
        grounds: list[Ground] = []
        taken: list[int] = []
        for plan in plans:
            filling = Filling(plan.responses, whole_second(), plan.parts)
            owner, services = _database(postgres, f"growth_{plan.responses}")
            taken.append(fill(owner, filling, progress=progress))
            grounds.append(stack.enter_context(ground(filling, owner, services)))
        costs = _measure(grounds, rounds, progress)
    return [
        Growth(plan.responses, size, plan.left_out, cost) for plan, size, cost in zip(plans, taken, costs, strict=True)
    ]


def growth_ratio(growth: Sequence[Growth]) -> float:
    """By how much the dearest of the five works grew in processor time from the smallest to the largest size."""
    return max(ratios(growth)[work.name] for work in FIVE)


def ratios(growth: Sequence[Growth]) -> dict[str, float]:
    """Processor time of each work at the largest size as a multiple of that at the smallest."""
    first, last = growth[0].costs, growth[-1].costs
    return {name: last[name].processor_ms / first[name].processor_ms for name in first if name in last}


def as_table(growth: Sequence[Growth]) -> Iterator[str]:
    """Lines for a terminal: milliseconds of processor time, the median wall time in brackets, and the ratio."""
    yield f"{'ms of processor (wall p50)':26}" + "".join(f"{each.responses:>20,}" for each in growth) + f"{'ratio':>8}"
    for name, ratio in ratios(growth).items():
        cells = (f"{each.costs[name].processor_ms:.3f} ({each.costs[name].p50_ms:.2f})" for each in growth)
        yield f"{name:26}" + "".join(f"{cell:>20}" for cell in cells) + f"{ratio:8.2f}"
    for each in growth:
        left = f"; left out: {', '.join(each.left_out)}" if each.left_out else ""
        yield f"{each.responses:,} responses take {each.disk_bytes / 1e9:.1f} GB{left}"


def _measure(grounds: Sequence[Ground], rounds: int, progress: Progress) -> list[dict[str, Cost]]:
    spent: list[dict[str, list[list[Spent]]]] = [{} for _ in grounds]
    for number in range(rounds + 1):
        for work in (*FIVE, *FURTHER):
            for at in _turn(len(grounds), number):
                block = _block(grounds[at], work)
                if number:  # the first round warms up
                    spent[at].setdefault(work.name, []).append(block)
        progress(f"round {number} of {rounds} measured")
    return [{name: _cost(blocks) for name, blocks in each.items()} for each in spent]


def _turn(sizes: int, number: int) -> Sequence[int]:
    """In every other round the largest size comes first."""
    return range(sizes) if number % 2 else range(sizes - 1, -1, -1)


def _block(ground: Ground, work: Work) -> list[Spent]:
    return ground.spend(work.service, lambda: work.do(ground), work.times)


def _cost(blocks: Sequence[Sequence[Spent]]) -> Cost:
    return Cost(
        processor_ms=median(block[0].processor_ms for block in blocks),
        p50_ms=median(each.wall_ms for block in blocks for each in block),
        pages=median(block[0].pages for block in blocks),
    )


def _database(postgres: EmbeddedPostgres, name: str) -> tuple[str, dict[str, str]]:
    """A migrated database of this name: the owner's address, and those of the services."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    owner_url = postgres.url.rpartition("/")[0] + f"/{name}"
    variables = _variables(owner_url, postgres.data)
    migrate_all(variables)
    return owner_url, {service: variables[f"SURAL_{service.upper()}_DATABASE_URL"] for service in SERVICES}


def _variables(owner_url: str, data: DataFolder) -> dict[str, str]:
    given = {"SURAL_MODE": "sandbox", "SURAL_ALERT_RECIPIENTS": "growth@sural.example"}
    servers = {"SURAL_DATABASE_URL": owner_url, "SURAL_REDIS_URL": "redis://127.0.0.1:1/0"}
    return given | server_variables(given, servers, data)

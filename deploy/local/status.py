"""`./sural status`: which processes run, whether the servers answer, what waits."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import isinf

from rich.console import Console
from rich.table import Table

from deploy.local.environment import SERVICES, server_variables
from deploy.local.folder import DataFolder
from deploy.local.running import Process, Running
from deploy.local.servers import embedded_servers
from services.notify.watchdog.measure import measure_watchdog
from shared.broker import BROKER_ERRORS, check_broker, queue_lengths
from shared.operations import Gauge, check_database, measure_work
from shared.postgres import open_pool


def show(data: DataFolder, system: Running, console: Console) -> bool:
    """Print the state of a running system. True when every process runs and both servers answer."""
    console.print(
        f"Sural runs at {system.url} ({system.mode}, process {system.pid}, data in {data.path})", soft_wrap=True
    )
    console.print(_processes(system.processes))
    urls = {name: server.url for name, server in embedded_servers(data.path, os.environ).items()}
    variables = server_variables(os.environ, urls, data)
    healthy = all(_alive(process.pid) for process in system.processes)
    for name, wrong in (
        ("Database", _database_problem(variables["SURAL_DATABASE_URL"])),
        ("Broker", check_broker(variables["SURAL_REDIS_URL"])),
    ):
        console.print(f"{name}: {wrong or 'answers'}")
        healthy = healthy and wrong is None
    if healthy:
        console.print(_waiting(variables))
    return healthy


def _processes(processes: Sequence[Process]) -> Table:
    table = Table("process", "pid", "state", "up for", "restarts")
    for process in processes:
        state = "runs" if _alive(process.pid) else "is being started again"
        table.add_row(process.name, str(process.pid), state, _age(process.started), str(process.restarts))
    return table


def _waiting(variables: dict[str, str]) -> Table:
    table = Table("what waits", "where", "number")
    try:
        for queue, length in queue_lengths(variables["SURAL_REDIS_URL"]).items():
            table.add_row("messages on the broker", queue, str(length))
    except BROKER_ERRORS:
        table.add_row("messages on the broker", "", "unknown")
    for gauge in _gauges(variables):
        where = " ".join(gauge.labels.values())
        table.add_row(gauge.help.rstrip("."), where, "never" if isinf(gauge.value) else f"{gauge.value:.0f}")
    return table


def _gauges(variables: dict[str, str]) -> Iterator[Gauge]:
    for service in SERVICES:
        pool = open_pool(variables[f"SURAL_{service.upper()}_DATABASE_URL"], schema=service, size=1)
        try:
            yield from measure_work(pool, service)
            if service == "notify":
                yield from measure_watchdog(pool, wanted=os.environ.get("SURAL_WATCHDOG_EVERY_S") not in ("0", "0.0"))
        finally:
            pool.close()


def _database_problem(url: str) -> str | None:
    pool = open_pool(url, schema="public", size=1)
    try:
        return check_database(pool)()
    finally:
        pool.close()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _age(since: str) -> str:
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds())
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"

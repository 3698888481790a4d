"""What an operator asks of every service: is it alive, is it ready, what are its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response

from shared import jobs, outbox
from shared.answered import Answered, DirectAnswer, Fault, Guard, RequestNumbers
from shared.postgres import Pool
from shared.trailing_slash import WithoutTrailingSlash

Check = Callable[[], str | None]
"""None when all is well, else one sentence that says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """One number with its labels, as it is now."""

    name: str
    help: str
    labels: Mapping[str, str]
    value: float


Measure = Callable[[], Iterable[Gauge]]


class Metrics:
    """The numbers of one process, for all services in it: requests when they come, the rest when it is asked for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.measures: list[Measure] = []
        self.requests = RequestNumbers(self.registry)
        self.registry.register(_Measured(self.measures))


def install_operations(
    app: FastAPI,
    *,
    service: str,
    checks: Mapping[str, Check],
    measure: Measure,
    version: str,
    metrics: Metrics | None = None,
    guard: Guard,
    fault: Fault,
) -> None:
    """Add /livez, /readyz and /metrics, request ids and HTTP numbers to a service's app.

    `guard` sees each request first and may answer it; `fault` answers for an error that nothing else caught. So every
    answer is counted and carries its request id.
    Services that share a process share `metrics`. The checks are kept in `app.state.checks` for whoever composes apps;
    in `app.state.direct` a service puts what answers for itself (`answered.Direct`).
    """
    http = metrics or Metrics()
    http.measures.append(measure)
    app.state.checks, app.state.direct = dict(checks), dict[tuple[str, str], DirectAnswer]()

    app.add_middleware(
        Answered, service=service, numbers=http.requests, guard=guard, fault=fault, direct=app.state.direct
    )
    app.add_middleware(WithoutTrailingSlash)  # before the guard

    @app.get("/livez", include_in_schema=False)
    async def livez() -> Response:
        """Answered by the event loop: also while all threads wait for somebody."""
        return JSONResponse({"status": "alive", "service": service, "version": version})

    @app.get("/readyz", include_in_schema=False)
    def readyz() -> Response:
        problems = {name: problem for name, check in checks.items() if (problem := check()) is not None}
        body = {"status": "not ready" if problems else "ready", "service": service, "problems": problems}
        return JSONResponse(body, status_code=503 if problems else 200)

    @app.get("/metrics", include_in_schema=False)
    def metrics_text() -> Response:
        return Response(generate_latest(http.registry), media_type=CONTENT_TYPE_LATEST)


class _Measured:
    """Numbers that live in the database, read when they are asked for, so that they are true after any restart."""

    def __init__(self, measures: Sequence[Measure]) -> None:
        self._measures = measures

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Metric families, one per name."""
        families: dict[str, GaugeMetricFamily] = {}
        for gauge in (gauge for measure in self._measures for gauge in measure()):
            if gauge.name not in families:
                families[gauge.name] = GaugeMetricFamily(gauge.name, gauge.help, labels=list(gauge.labels))
            families[gauge.name].add_metric(list(gauge.labels.values()), gauge.value)
        return families.values()

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing: the names are known only when measured."""
        return ()


def measure_work(pool: Pool, service: str) -> list[Gauge]:
    """Outbox and job numbers that every service with these tables has."""
    with pool.connection() as connection:
        waiting = connection.execute(outbox.QUERIES["measure"]).fetchone()
        rows = connection.execute(jobs.QUERIES["measure"]).fetchall()
    gauges: list[Gauge] = []
    if waiting is not None:
        label = {"service": service}
        gauges += [
            Gauge("sural_outbox_rows", "Messages not yet on the broker.", label, float(waiting["number"])),
            Gauge("sural_outbox_oldest_seconds", "Age of the oldest unsent message.", label, waiting["oldest_s"]),
        ]
    for row in rows:
        labels = {"service": service, "kind": row["kind"], "state": row["state"]}
        gauges += [
            Gauge("sural_jobs", "Jobs that are not done.", labels, float(row["number"])),
            Gauge("sural_jobs_oldest_seconds", "Seconds since the oldest was due.", labels, row["oldest_s"]),
        ]
    return gauges


def check_database(pool: Pool) -> Check:
    """A check that the database answers and keeps what it confirms."""

    def check() -> str | None:
        try:
            with pool.connection(timeout=2) as connection:
                row: dict[str, Any] | None = connection.execute(
                    "SELECT current_setting('synchronous_commit') AS commit, current_setting('fsync') AS fsync"
                ).fetchone()
        except Exception as error:
            return f"The database does not answer ({type(error).__name__}). Start it, or correct the database URL."
        if row and (row["commit"] == "off" or row["fsync"] == "off"):
            return "The database may lose confirmed data. Set synchronous_commit and fsync to on."
        return None

    return check

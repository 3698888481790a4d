"""What `sural bench` does and prints."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson

Json = dict[str, Any]


def alerts(number: int, *, rate: float, as_json: bool) -> None:
    """How soon so many emergencies are told of."""
    from deploy.local.benchmark.alerts import measure_alerts

    measured = measure_alerts(number, per_second=rate)
    print(orjson.dumps(asdict(measured)).decode() if as_json else measured.as_line())


def bench(*, as_json: bool, smoke: bool, large: bool, peers: bool, out: Path | None) -> bool:
    """Measure and print. False when something was lost, done twice, refused or left out."""
    from deploy.local.benchmark.kept import keep, last_kept
    from deploy.local.benchmark.report import as_table

    progress, before = _progress(), last_kept()
    report = _measure(smoke=smoke, large=large, peers=peers, progress=progress)
    print(orjson.dumps(report).decode() if as_json else "\n".join(as_table(report, before)))
    if out is not None:
        for path in keep(report, before, out):
            progress(f"wrote {path}")
    return not (report["lost"] or report["doubled"] or report["refused"])


def _measure(*, smoke: bool, large: bool, peers: bool, progress: Callable[[str], None]) -> Json:
    from deploy.local.benchmark.hostile import measure_hostile
    from deploy.local.benchmark.machine import this_machine
    from deploy.local.benchmark.report import figures_of_whole, report_of
    from deploy.local.benchmark.stage import measure_stages
    from deploy.local.benchmark.stages import SIXTY, pure_stages
    from deploy.local.benchmark.stages_with_servers import server_stages
    from deploy.local.benchmark.system import a_place
    from deploy.local.benchmark.whole_path import FULL, SMOKE, measure_intake, measure_whole

    sizes = SMOKE if smoke else FULL
    machine = this_machine()
    with a_place() as place:
        progress("starting the whole system")
        whole = measure_whole(place, sizes, progress)
        intake = measure_intake(place, sizes, progress)
        progress("stages alone")
        with server_stages(place) as stages:
            costs = measure_stages([*pure_stages(), *stages], blocks=sizes.stage_blocks, seconds=sizes.stage)
    more = {} if smoke else {"malformed": measure_hostile().as_json()}
    machine = replace(machine, postgresql=whole.postgresql)
    return report_of(
        machine,
        "smoke" if smoke else "full",
        **figures_of_whole(whole, intake),
        validation_ms=costs[SIXTY].us.median / 1e3,
        stages={name: cost.as_json() for name, cost in costs.items()},
        **more,
    )


def _progress() -> Callable[[str], None]:
    """Says on standard error what is being done, and since when it runs."""
    began = time.monotonic()

    def progress(line: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {line}", file=sys.stderr, flush=True)

    return progress

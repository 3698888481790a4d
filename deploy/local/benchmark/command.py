"""What `sural bench` does and prints."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from deploy.local.benchmark.system import Place
    from deploy.local.benchmark.whole_path import Sizes

Progress = Callable[[str], None]
Json = dict[str, Any]


def alerts(number: int, *, rate: float, as_json: bool) -> None:
    """How soon so many emergencies are told of."""
    from deploy.local.benchmark.alerts import measure_alerts

    measured = measure_alerts(number, per_second=rate)
    print(orjson.dumps(asdict(measured)).decode() if as_json else measured.as_line())


def bench(*, as_json: bool, smoke: bool, growth: bool, large: bool, peers: bool, out: Path | None) -> bool:
    """Measure and print. False when something was lost, done twice or not accepted; not when a figure was missed."""
    from deploy.local.benchmark.kept import keep, last_kept
    from deploy.local.benchmark.machine import Machine
    from deploy.local.benchmark.report import as_table

    progress, before = _progress(), last_kept()
    report = _measure(smoke=smoke, growth=growth, large=large, peers=peers, progress=progress)
    shown = [str(Machine(**report["machine"])), "", *as_table(report, before)]
    print(orjson.dumps(report).decode() if as_json else "\n".join(shown))
    if out is not None:
        for path in keep(report, before, out):
            progress(f"wrote {path}")
    return not (report["lost"] or report["doubled"] or report["refused"])


def _measure(*, smoke: bool, growth: bool, large: bool, peers: bool, progress: Progress) -> Json:
    """The report. What may find that it cannot be done (no space, nothing to install) comes first."""
    from deploy.local.benchmark.machine import this_machine
    from deploy.local.benchmark.report import figures_of_whole, report_of
    from deploy.local.benchmark.system import a_place
    from deploy.local.benchmark.whole_path import FULL, SMOKE, measure_intake, measure_whole

    sizes = SMOKE if smoke else FULL
    machine = this_machine()
    figures = _peers(progress) if peers else {}
    if growth and not smoke:
        figures |= _growth(large=large, progress=progress)
    if not smoke:
        figures |= _malformed(progress)
    with a_place() as place:
        progress("starting the whole system")
        whole = measure_whole(place, sizes, progress)
        figures |= figures_of_whole(whole, measure_intake(place, sizes, progress))
        progress("stages alone")
        figures |= _stages(place, sizes)
    return report_of(replace(machine, postgresql=whole.postgresql), "smoke" if smoke else "full", **figures)


def _peers(progress: Progress) -> Json:
    """What others take for one of the bodies, and our own intake beside them."""
    from deploy.local.benchmark.bodies import CALM, body_of
    from deploy.local.benchmark.peers import measure_peers

    found = measure_peers(body_of(CALM[0]).marked("peers"), progress)
    return {"peers": {peer.name: peer.units for peer in found}, "peers_measured": [asdict(peer) for peer in found]}


def _growth(*, large: bool, progress: Progress) -> Json:
    """What the same costs with ever more stored."""
    from deploy.local.benchmark.growth import growth_ratio, measure_growth

    growth = measure_growth(large=large, progress=progress)
    return {"growth": [asdict(size) for size in growth], "growth_ratio": growth_ratio(growth)}


def _malformed(progress: Progress) -> Json:
    """What hostile bodies cost."""
    from deploy.local.benchmark.hostile import measure_hostile

    progress("malformed inputs")
    return {"malformed": measure_hostile().as_json()}


def _stages(place: Place, sizes: Sizes) -> Json:
    from deploy.local.benchmark.stage import measure_stages
    from deploy.local.benchmark.stages import SIXTY, pure_stages
    from deploy.local.benchmark.stages_with_servers import server_stages

    with server_stages(place) as stages:
        costs = measure_stages([*pure_stages(), *stages], blocks=sizes.stage_blocks, seconds=sizes.stage)
    return {
        "validation_ms": costs[SIXTY].us.median / 1e3,
        "stages": {name: cost.as_json() for name, cost in costs.items()},
    }


def _progress() -> Progress:
    """Says on standard error what is being done, and since when it runs."""
    began = time.monotonic()

    def progress(line: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {line}", file=sys.stderr, flush=True)

    return progress

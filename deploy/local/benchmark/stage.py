"""One stage of a response alone: its processor time here and on the server that it asks, in interleaved blocks."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.local.benchmark.bodies import unit_s
from deploy.local.benchmark.numbers import Block, Spread, spread, steady_ones


def _nothing() -> Any:
    return None


def _no_server() -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Stage:
    """`work` does the stage for so many `responses`, with what `prepare` gave it; only `work` counts as our own time.

    `server`: seconds of processor time so far of whoever is asked. `settle` waits until they have done their part.
    """

    name: str
    work: Callable[[Any], object]
    responses: int
    prepare: Callable[[], Any] = _nothing
    server: Callable[[], float] = _no_server
    settle: Callable[[], object] = _nothing


@dataclass(frozen=True, slots=True)
class StageCost:
    """Microseconds of processor time for one response: `us` here, `server_us` on the server. `units`: both together."""

    us: Spread
    server_us: Spread
    units: Spread
    dropped: int

    def as_json(self) -> dict[str, float | int]:
        """Plain figures."""
        return {
            "us": self.us.median,
            "low_us": self.us.low,
            "high_us": self.us.high,
            "server_us": self.server_us.median,
            "units": self.units.median,
            "blocks": self.us.blocks,
            "dropped": self.dropped,
        }


@dataclass(frozen=True, slots=True)
class _Measured:
    block: Block
    here: float
    server: float


def measure_stages(stages: Sequence[Stage], *, blocks: int, seconds: float) -> dict[str, StageCost]:
    """Each stage in turn, for `seconds` of processor time here, then all again; a calibration before and after each."""
    done: dict[str, list[_Measured]] = {stage.name: [] for stage in stages}
    for stage in stages:
        stage.work(stage.prepare())
        stage.settle()
    for _ in range(blocks):
        for stage in stages:
            done[stage.name].append(_one(stage, seconds))
    return {name: _cost(measured) for name, measured in done.items()}


def _one(stage: Stage, seconds: float) -> _Measured:
    here, server, times = 0.0, 0.0, 0
    before = unit_s()
    gc.collect()
    gc.disable()  # when it collects is luck
    try:
        while here < seconds:
            given = stage.prepare()
            server -= stage.server()
            began = time.process_time_ns()
            stage.work(given)
            here += (time.process_time_ns() - began) / 1e9
            stage.settle()
            server += stage.server()
            times += 1
    finally:
        gc.enable()
    number = times * stage.responses
    here, server = here / number, server / number
    return _Measured(Block(here + server, before, unit_s()), here, server)


def _cost(measured: Sequence[_Measured]) -> StageCost:
    used = steady_ones(measured, lambda one: one.block)
    return StageCost(
        us=_spread([1e6 * one.here for one in used]),
        server_us=_spread([1e6 * one.server for one in used]),
        units=_spread([one.block.units for one in used]),
        dropped=len(measured) - len(used),
    )


def _spread(values: Sequence[float]) -> Spread:
    found = spread(values)
    assert found is not None
    return found

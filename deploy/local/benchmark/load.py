"""Blocks of a few seconds at full load: what a response costs, and how many are done in a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deploy.local.benchmark.accounting import processor_s, spent
from deploy.local.benchmark.bodies import unit_s
from deploy.local.benchmark.generator import Answered
from deploy.local.benchmark.numbers import Block, Spread, spread, steady_ones
from deploy.local.benchmark.system import System

SETTLE_S = 2.5
"""After the last result, so that what follows in the background (the sealing of the audit, every 2 s) counts too. What
the system takes at rest in this time is not counted: it belongs to no response, and is given by itself."""


@dataclass(frozen=True, slots=True)
class Load:
    """One block. Costs are seconds of processor time for one response, `cost_by_name` by the name of the process.

    `per_second` counts what is finished, `posted_per_s` what was answered while the generator sent. What generator and
    mail server took is not part of the cost.
    """

    block: Block
    number: int
    per_second: float
    posted_per_s: float
    cost_by_name: Mapping[str, float]
    generator: float
    mail_server: float


Finish = Callable[[Answered], float]
"""Waits until all that was posted is finished, and says when the last was, by the machine's clock."""


def measure_load(
    system: System,
    finish: Finish,
    *,
    blocks: int,
    most: int,
    seconds: float,
    connections: int,
    rest_ms_per_s: float,
    progress: Callable[[str], None],
) -> list[Load]:
    """So many blocks with a steady machine, or `most` in all; those that do not count are there too."""
    rest = rest_ms_per_s / 1e3 * SETTLE_S
    done: list[Load] = []
    while sum(load.block.steady for load in done) < blocks and len(done) < most:
        done.append(_one(system, finish, seconds=seconds, connections=connections, rest=rest))
        last = done[-1]
        progress(
            f"full load, block {len(done)}: {last.number} responses, {last.per_second:.0f}/s, "
            f"{1e3 * last.block.cost:.2f} ms each" + ("" if last.block.steady else " (machine not steady)")
        )
    return done


def _one(system: System, finish: Finish, *, seconds: float, connections: int, rest: float) -> Load:
    before_unit, before, mail = unit_s(), system.books(), processor_s(system.mail_server.pid) or 0.0
    answered = system.post(seconds=seconds, connections=connections)
    accepted = [post for post in answered.posts if post.status == 201]
    last = finish(answered)
    time.sleep(SETTLE_S)
    after = system.books()
    mail = (processor_s(system.mail_server.pid) or 0.0) - mail
    number, began = len(accepted), min(post.sent for post in accepted)
    by_name = {name: seconds / number for name, seconds in spent(before, after).items()}
    return Load(
        Block(sum(by_name.values()) - rest / number, before_unit, unit_s()),
        number,
        number / (last - began),
        number / (max(post.answered for post in accepted) - began),
        by_name,
        answered.processor_s / number,
        mail / number,
    )


@dataclass(frozen=True, slots=True)
class FullLoad:
    """All blocks put together. Milliseconds and units for one response."""

    units: Spread
    ms: Spread
    per_second: Spread
    posted_per_s: Spread
    ms_by_name: Mapping[str, float]
    generator_ms: float
    mail_server_ms: float
    responses: int
    dropped: int


def summed_up(blocks: Sequence[Load]) -> FullLoad:
    """The medians of the blocks that count."""
    used = steady_ones(blocks, lambda load: load.block)
    names = dict.fromkeys(name for load in used for name in load.cost_by_name)
    by_name = {name: _median_ms([load.cost_by_name.get(name, 0.0) for load in used]) for name in names}
    return FullLoad(
        units=_spread([load.block.units for load in used]),
        ms=_spread([1e3 * load.block.cost for load in used]),
        per_second=_spread([load.per_second for load in used]),
        posted_per_s=_spread([load.posted_per_s for load in used]),
        ms_by_name=dict(sorted(by_name.items(), key=lambda one: -one[1])),
        generator_ms=_median_ms([load.generator for load in used]),
        mail_server_ms=_median_ms([load.mail_server for load in used]),
        responses=sum(load.number for load in blocks),
        dropped=len(blocks) - len(used),
    )


def _median_ms(seconds: Sequence[float]) -> float:
    return 1e3 * _spread(seconds).median


def _spread(values: Sequence[float]) -> Spread:
    found = spread(values)
    assert found is not None
    return found

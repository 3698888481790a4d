"""A run in words: a line for each fault, then the figures that had to be reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from deploy.local.faults.figures import figures, is_good, missed
from deploy.local.faults.plan import NOT_HERE
from deploy.local.faults.result import Done, Result

SHOWN = 5


def line(done: Done) -> str:
    """One fault."""
    told = "" if done.told_max_s is None else f", emergencies told within {done.told_max_s:.1f} s"
    away = f", {done.away} turned away (longest {done.gap_s:.1f} s)" if done.away else ""
    verdict = "ok" if not done.violations else f"{len(done.violations)} VIOLATIONS"
    came_to = f"{done.posts} posts{away} in {done.seconds:.0f} s, at rest after {done.recovery_s:.1f} s{told}"
    return f"{done.fault:<4} {done.title}: {came_to}: {verdict}"


def details(done: Done) -> Iterator[str]:
    """What was remarked on, and the first violations."""
    yield from (f"       {remark}" for remark in done.remarks)
    yield from (f"       {found.what}: {found.id}" for found in done.violations[:SHOWN])


def ending(result: Result) -> Iterator[str]:
    """What stands below the lines."""
    yield ""
    yield from (f"not here: {fault}: {why}" for fault, why in NOT_HERE.items())
    yield from (f"not run, the time was over: {name}" for name in result.not_run)
    yield from (f"VIOLATION {found.what}: {found.id}" for found in result.final[: 4 * SHOWN])
    yield (
        f"accepted {result.accepted:,} versions of {result.responses:,} responses, {result.messages:,} messages taken, "
        f"{result.acknowledged:,} acknowledged, {result.kills} processes killed, in {result.seconds:.0f} s"
    )
    if result.soak:
        first, last = result.soak[len(result.soak) // 4], result.soak[-1]
        for name in ("memory", "handles", "outbox", "jobs"):
            yield f"soak: {name} {first[name]:.0f} after a quarter, {last[name]:.0f} at the end"
    for figure in figures(result):
        verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
        yield f"  {figure.name:<52} {figure.wanted:>18} {figure.found:>18}  {verdict}"
    yield from missed(result)
    yield f"Seed {result.seed}: ./sural faults{' --long' if result.long else ''} --seed {result.seed} repeats this."


def as_dict(result: Result) -> dict[str, Any]:
    """For programs."""
    return {
        "seed": result.seed,
        "mode": "long" if result.long else "short",
        "seconds": round(result.seconds, 1),
        "unfinished": result.unfinished,
        "accepted": result.accepted,
        "responses": result.responses,
        "compared": result.compared,
        "lost": result.lost,
        "second_current_assessments": result.count("second current", "two current"),
        "alerts_unacknowledged": result.count("urgent", "I4", "I5"),
        "pages_after_acknowledgement": result.count("page after", "I7"),
        "health_data_outside": result.count("health data"),
        "doubled": result.doubled,
        "messages": result.messages,
        "acknowledged": result.acknowledged,
        "kills": result.kills,
        "failpoints": sorted(result.failpoints),
        "soak_seconds": round(result.soak_s, 1),
        "demands": asdict(result.demands) if result.demands else None,
        "violations": [asdict(found) for found in dict.fromkeys(result.violations)],
        "not_run": result.not_run,
        "not_here": dict(NOT_HERE),
        "faults": [asdict(step) for step in result.steps],
        "figures": [asdict(figure) for figure in figures(result)],
        "missed": list(missed(result)),
        "soak": result.soak,
        "good": is_good(result),
    }

"""A run in words: a line for each fault, then the figures that had to be reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from deploy.local.faults.plan import NOT_HERE
from deploy.local.faults.suite import Done, Result

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """What had to be reached, and what was. `met` is None where this run does not say it."""

    name: str
    wanted: str
    found: str
    met: bool | None


def line(done: Done) -> str:
    """One fault."""
    told = "" if done.told_max_s is None else f", emergencies told within {done.told_max_s:.1f} s"
    away = f", {done.away} turned away (longest {done.gap_s:.1f} s)" if done.away else ""
    verdict = "ok" if not done.violations else f"{len(done.violations)} VIOLATIONS"
    came_to = f"{done.posts} posts{away}, at rest after {done.recovery_s:.1f} s{told}"
    return f"{done.fault:<4} {done.title}: {came_to}: {verdict}"


def details(done: Done) -> Iterator[str]:
    """What was remarked on, and the first violations."""
    yield from (f"       {remark}" for remark in done.remarks)
    yield from (f"       {found.what}: {found.id}" for found in done.violations[:SHOWN])


def figures(result: Result) -> list[Figure]:
    """The table of the ledger and of the times."""
    counts = [
        ("accepted and lost", result.lost),
        ("second current RiskAssessment", result.count("second current", "two current")),
        ("urgent alert neither acknowledged nor escalated", result.count("urgent", "I4", "I5")),
        ("page after acknowledgement", result.count("page after", "I7")),
        ("health data outside the database", result.count("health data")),
        ("any other violation", 0),
    ]
    named = sum(number for _, number in counts)
    counts[-1] = ("any other violation", max(len(set(result.violations)) - named, 0))
    table = [Figure(name, "0", str(number), number == 0) for name, number in counts]
    table[0] = Figure("accepted and lost", "0", f"{result.lost} of {result.accepted:,}", result.lost == 0)
    if result.least:
        enough = result.accepted >= result.least
        table.insert(1, Figure("accepted in all", f"at least {result.least:,}", f"{result.accepted:,}", enough))
    table += [
        _longest(result, "emergency told, a worker killed every 10 s", "kill_workers", 15.0, "told_max_s"),
        _longest(result, "emergency told, the broker emptied", "empty_broker", 45.0, "told_max_s"),
        _longest(result, "database restarted: 503 for", "restart_database", 10.0, "gap_s"),
        _longest(result, "database failed over: 503 for", "fail_over", 30.0, "gap_s"),
        _longest(
            result, "killed at every failpoint: at rest after", "traps_by_chance", 15.0, "recovery_s", judged=False
        ),
    ]
    share = result.doubled / result.messages if result.messages else 0.0
    table.append(Figure("messages doubled, under the same id", "reported", f"{result.doubled} ({share:.1%})", None))
    return table


def _longest(result: Result, name: str, action: str, most_s: float, figure: str, *, judged: bool = True) -> Figure:
    found = [value for step in result.steps if step.action == action and (value := getattr(step, figure)) is not None]
    if not found:
        return Figure(name, f"at most {most_s:.0f} s", "not run", None)
    return Figure(name, f"at most {most_s:.0f} s", f"{max(found):.1f} s", max(found) <= most_s if judged else None)


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
    yield f"Seed {result.seed}: ./sural faults{' --long' if result.long else ''} --seed {result.seed} repeats this."


def is_good(result: Result) -> bool:
    """Whether no promise was broken and no figure missed."""
    return not result.violations and all(figure.met is not False for figure in figures(result))


def as_dict(result: Result) -> dict[str, Any]:
    """For programs."""
    return {
        "seed": result.seed,
        "mode": "long" if result.long else "short",
        "seconds": round(result.seconds, 1),
        "accepted": result.accepted,
        "responses": result.responses,
        "lost": result.lost,
        "second_current_assessments": result.count("second current", "two current"),
        "alerts_unacknowledged": result.count("urgent", "I4", "I5"),
        "pages_after_acknowledgement": result.count("page after", "I7"),
        "health_data_outside": result.count("health data"),
        "doubled": result.doubled,
        "messages": result.messages,
        "acknowledged": result.acknowledged,
        "kills": result.kills,
        "violations": [asdict(found) for found in dict.fromkeys(result.violations)],
        "not_run": result.not_run,
        "not_here": dict(NOT_HERE),
        "faults": [asdict(step) for step in result.steps],
        "figures": [asdict(figure) for figure in figures(result)],
        "soak": result.soak,
        "good": is_good(result),
    }

"""What was measured, as one JSON object and as a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from deploy.local.benchmark import growth, peers
from deploy.local.benchmark.accounting import Memory
from deploy.local.benchmark.load import FullLoad
from deploy.local.benchmark.machine import Machine
from deploy.local.benchmark.numbers import short
from deploy.local.benchmark.pace import Times
from deploy.local.benchmark.targets import TARGETS, verdict
from deploy.local.benchmark.whole_path import ALERTS, READABLE, Whole

Json = dict[str, Any]
SERVERS = ("PostgreSQL", "valkey")
"""How the names of processes begin that are not ours."""
MISSING = (
    "whole_path_units",
    "whole_path_ms",
    "intake_units",
    "intake_ms",
    "validation_ms",
    "throughput_per_s",
    "post_p50_ms",
    "post_p99_ms",
    "assessment_p50_ms",
    "assessment_p99_ms",
    "alert_p50_ms",
    "alert_p99_ms",
    "growth_ratio",
    "rest_memory_mb",
    "peers",
)
"""Keys that are always there; null where this run did not measure them."""


def figures_of_whole(whole: Whole, intake: FullLoad) -> Json:
    """The figures of the whole path and of intake alone, with all that lies behind them."""
    posted, alerts = whole.times[READABLE], whole.times[ALERTS]
    return {
        "whole_path_units": whole.load.units.median,
        "whole_path_ms": whole.load.ms.median,
        "intake_units": intake.units.median,
        "intake_ms": intake.ms.median,
        "throughput_per_s": whole.load.per_second.median,
        "post_p50_ms": posted.ms("answer", 50),
        "post_p99_ms": posted.ms("answer", 99),
        "assessment_p50_ms": posted.ms("assessment", 50),
        "assessment_p99_ms": posted.ms("assessment", 99),
        "alert_p50_ms": alerts.ms("mail", 50),
        "alert_p99_ms": alerts.ms("mail", 99),
        "rest_memory_mb": megabytes(whole.at_rest),
        "rest_memory_without_servers_mb": megabytes(whole.at_rest, servers=False),
        "loaded_memory_mb": megabytes(whole.after_load),
        "rest_ms_per_s": whole.rest_ms_per_s,
        "read_after_commit_ms": whole.read_after_ms,
        "accepted": whole.responses - whole.wrong.refused,
        "lost": whole.wrong.lost,
        "doubled": whole.wrong.doubled,
        "refused": whole.wrong.refused,
        "whole_path": asdict(whole.load),
        "intake": asdict(intake),
        "rates": {name: rate_of(times) for name, times in whole.times.items()},
        "memory_at_rest": {name: asdict(memory) for name, memory in whole.at_rest.items()},
        "memory_after_load": {name: asdict(memory) for name, memory in whole.after_load.items()},
    }


def report_of(machine: Machine, mode: str, **figures: Any) -> Json:
    """One object. Every key of `MISSING` is there."""
    return {"mode": mode, "machine": asdict(machine), **dict.fromkeys(MISSING), **figures}


def rate_of(times: Times) -> Json:
    """Percentiles of one rate in milliseconds."""
    percents = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0}
    measured = {
        what: {name: times.ms(what, percent) for name, percent in percents.items()}
        for what in ("answer", "assessment", "mail")
    }
    counts = {"requests": len(times.answer), "mails": len(times.mail), "rounds": times.rounds, "dropped": times.dropped}
    return {**measured, **counts, "generator_late_ms": 1e3 * times.most_late_s}


def megabytes(memory: Mapping[str, Memory], *, servers: bool = True) -> float:
    """The sum of what all hold (PSS), with PostgreSQL and Valkey or without."""
    return sum(each.pss_mb for name, each in memory.items() if servers or not name.startswith(SERVERS))


def as_table(report: Json, before: Json | None = None) -> Iterator[str]:
    """Lines for a terminal. `before`: the run that was kept last, to compare with by ratio."""
    yield f"{'':38}{'figure':>13}{'':11}{'target':>14}" + (f"{'before':>17}" if before else "")
    for target in TARGETS:
        value = report[target.key]
        unit = target.unit if value is not None else ""
        line = f"{target.words:38}{short(value, nothing='not measured'):>13} {unit:10}{target.limit_words:>14}  "
        line += f"{verdict(target, report):7}"
        if before:
            line += f"{ratio(value, before.get(target.key)):>8}"
        yield line.rstrip()
    for part in (_costs, _rates, _stages, _memory, _peers, _growth, _counts):
        lines = list(part(report))
        if lines:
            yield ""
            yield from lines


def ratio(value: float | None, before: float | None) -> str:
    """How often the earlier figure."""
    return f"x {value / before:.2f}" if value is not None and before else ""


def growth_of(size: Json) -> growth.Growth:
    """One size as it was measured."""
    costs = {name: growth.Cost(**cost) for name, cost in size["costs"].items()}
    return growth.Growth(**{**size, "costs": costs})


def _costs(report: Json) -> Iterator[str]:
    for key, words in (("whole_path", "whole path"), ("intake", "intake alone")):
        if not (load := report.get(key)):
            continue
        spread = load["ms"]
        yield (
            f"{words}: {short(spread['median'])} ms of processor a response ({short(spread['low'])} to "
            f"{short(spread['high'])} in {spread['blocks']} blocks, {load['dropped']} dropped), "
            f"{short(load['per_second']['median'])}/s"
        )
        for name, cost in load["ms_by_name"].items():
            if cost >= 0.005:
                yield f"    {name:30}{cost:8.2f}"
        yield f"    beside it: load generator {load['generator_ms']:.2f}, mail server {load['mail_server_ms']:.2f}"


def _rates(report: Json) -> Iterator[str]:
    if not report.get("rates"):
        return
    yield f"{'ms from the moment it was due':34}{'201':>16}{'RiskAssessment':>20}{'SMTP accepted':>20}"
    yield f"{'':34}{'p50':>8}{'p99':>8}{'p50':>12}{'p99':>8}{'p50':>12}{'p99':>8}"
    for name, rate in report["rates"].items():
        row = f"    {name} (n={rate['requests']}, {rate['dropped']} dropped)"
        cells = [rate[what][percent] for what in ("answer", "assessment", "mail") for percent in ("p50", "p99")]
        widths = (8, 8, 12, 8, 12, 8)
        yield f"{row:34}" + "".join(f"{short(cell):>{width}}" for cell, width in zip(cells, widths, strict=True))


def _stages(report: Json) -> Iterator[str]:
    stages: Mapping[str, Json] = report.get("stages") or {}
    if not stages:
        return
    yield f"{'one stage alone, microseconds of processor':50}{'here':>9}{'server':>9}{'units':>8}{'spread':>18}"
    for name, stage in stages.items():
        spread = f"{short(stage['low_us'])} to {short(stage['high_us'])}"
        server = short(stage["server_us"]) if stage["server_us"] else ""
        yield f"    {name:46}{short(stage['us']):>9}{server:>9}{short(stage['units']):>8}{spread:>18}"


def _memory(report: Json) -> Iterator[str]:
    if not (rest := report.get("memory_at_rest")):
        return
    loaded = report["memory_after_load"]
    yield f"{'memory, MB':34}{'at rest PSS':>12}{'RSS':>8}{'after load PSS':>16}{'RSS':>8}"
    for name in dict.fromkeys([*rest, *loaded]):
        cells = [each.get(name, {}).get(kind, 0.0) for each in (rest, loaded) for kind in ("pss_mb", "rss_mb")]
        widths = (12, 8, 16, 8)
        yield f"    {name:30}" + "".join(f"{cell:>{width}.0f}" for cell, width in zip(cells, widths, strict=True))
    yield (
        f"    all: {report['rest_memory_mb']:.0f} at rest ({report['rest_memory_without_servers_mb']:.0f} without "
        f"PostgreSQL and Valkey), {report['loaded_memory_mb']:.0f} after load"
    )
    yield f"    at rest all take {report['rest_ms_per_s']:.0f} ms of processor time a second"


def _peers(report: Json) -> Iterator[str]:
    found: Sequence[Json] = report.get("peers_measured") or []
    if found:
        yield from peers.as_table([peers.Peer(**peer) for peer in found])


def _growth(report: Json) -> Iterator[str]:
    sizes: Sequence[Json] = report.get("growth") or []
    if sizes:
        yield from growth.as_table([growth_of(size) for size in sizes])


def _counts(report: Json) -> Iterator[str]:
    if report.get("accepted") is not None:
        yield (
            f"{report['accepted']} responses accepted: {report['lost']} lost, {report['doubled']} assessed or told "
            f"twice, {report['refused']} not accepted"
        )
        yield f"a client had read a RiskAssessment {report['read_after_commit_ms']:.0f} ms after its commit"
    if hostile := report.get("malformed"):
        yield f"{hostile['inputs']} malformed inputs: slowest {hostile['slowest_ms']:.0f} ms" + (
            f", WRONGLY ANSWERED {', '.join(hostile['wrongly_answered'])}" if hostile["wrongly_answered"] else ""
        )

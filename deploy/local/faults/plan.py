"""What is done to the system, in which order and with which numbers: pure, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

TITLES: Mapping[str, str] = {
    "F1": "kill -9 of every process, at every failpoint and at random",
    "F2": "broker away, killed, emptied, full, frozen",
    "F3": "database restarted, killed, away, read-only, full of connections, locked, failed over",
    "F5": "mail and webhook receivers in every bad manner",
    "F6": "poison: messages and responses that nobody can read",
    "F7": "duplicates, old and reordered messages",
    "F8": "twice as many processes, and a worker that comes back from the dead",
    "F9": "no file handles, no memory, no space for logs",
    "F10": "partitions: flapping, one-way, cut in mid-message",
    "F11": "rolling restart, messages of the version before",
    "F12": "acknowledged at the instant at which the step fires",
    "F13": "restored from a backup",
    "F14": "soak",
}
NOT_HERE: Mapping[str, str] = {
    "F4": "the clock cannot be set for some processes of a machine only; the sandbox runs in the zone Pacific/Chatham",
}
"""Faults of the list that are not among them, and why."""

PROCESSES: Mapping[str, Sequence[str]] = {
    "web": (
        "intake.store.before_commit",
        "intake.store.after_commit",
        "intake.quarantine.before_commit",
        "intake.quarantine.after_commit",
        "notify.acts.before_commit",
        "notify.acts.after_commit",
    ),
    "triage": (
        "jobs.after_claim",
        "jobs.before_finish",
        "triage.store.before_commit",
        "triage.store.after_commit",
        "triage.refused.before_commit",
        "triage.refused.after_commit",
    ),
    "notify-urgent": (
        "jobs.after_claim",
        "jobs.before_finish",
        "notify.raise.before_commit",
        "notify.raise.after_commit",
        "notify.deliver.before_send",
        "notify.deliver.after_send",
        "notify.deliver.after_record",
    ),
    "notify-routine": (
        "notify.raise.before_commit",
        "notify.raise.after_commit",
        "notify.deliver.before_send",
        "notify.deliver.after_send",
    ),
    "background": (
        "outbox.before_publish",
        "outbox.after_publish",
        "outbox.after_mark",
        "catch_up.before_commit",
        "audit.before_seal",
        "notify.escalate.before_commit",
        "notify.escalate.after_commit",
    ),
}
"""The failpoints that each process reaches under the workload."""
ONCE_IN = {"web": 60, "triage": 40, "notify-urgent": 12, "notify-routine": 12, "background": 40}
"""How seldom a failpoint springs where all of a process are set at once: it must kill, and still let work be done."""
MOST_POSTS = 60
ALWAYS = frozenset(
    {
        "traps_by_chance",
        "kill_workers",
        "empty_broker",
        "freeze_broker",
        "restart_database",
        "kill_database",
        "fail_over",
        "hang",
        "repeat_messages",
        "zombie",
        "race",
    }
)
"""Actions of every short run."""
LONG_REST_S = 90.0
OTHERS = 4
"""How many of the others a short run has."""
MANNERS = (
    "hangs up",
    "says later",
    "says never",
    "says too many",
    "redirects",
    "takes, and drops before it says so",
    "answers a byte a second",
    "answers a megabyte",
)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done. `action`: the function that does it, `settings`: its numbers.

    `rate`: submissions a second meanwhile, 0 where it sends its own, and not more than `most` of them, so that a slow
    machine is not buried in the short suite. `rest_s`: the longest time until all is done.
    """

    fault: str
    title: str
    action: str
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    rate: float = 8.0
    rest_s: float = 40.0
    most: int | None = MOST_POSTS

    @property
    def name(self) -> str:
        return f"{self.fault} {self.title}"


def make_plan(
    seed: int, *, long: bool, only: Sequence[str] = (), soak_minutes: float | None = None
) -> tuple[Step, ...]:
    """All steps of a run, in order. `only`: these faults. Raises ValueError for a fault that does not exist."""
    if unknown := [fault for fault in only if fault not in TITLES]:
        raise ValueError(f"There is no fault {', '.join(unknown)}. There are: {', '.join(TITLES)}.")
    chance = random.Random(seed)  # noqa: S311 - a plan has to be made again
    lengths = LONG if long else SHORT
    steps = [
        Step(fault, title, action, chance.randrange(2**31), _drawn(action, settings, chance), *more)
        for fault, title, action, settings, *more in _table(lengths, long=long)
    ]
    if long:
        steps = [replace(step, most=None, rest_s=max(step.rest_s, LONG_REST_S)) for step in steps]
    elif not only:
        steps = _most_telling(steps, seed)
    minutes = soak_minutes if soak_minutes is not None else (30.0 if long else 0.0)
    if minutes:
        settings = {"seconds": minutes * 60.0, "pause_s": 20.0, "among": SOAK}
        title = f"{minutes:g} minutes at {SOAK_RATE:g} a second with random faults"
        steps.append(Step("F14", title, "soak", chance.randrange(2**31), settings, SOAK_RATE, 180.0, None))
    return tuple(step for step in steps if not only or step.fault in only)


def _most_telling(steps: Sequence[Step], seed: int) -> list[Step]:
    """Those that every short run has, and a few others by the seed, so that many runs have all of them."""
    others = [step for step in steps if step.action not in ALWAYS]
    drawn = random.Random(f"others-{seed}").sample(others, OTHERS)  # noqa: S311 - a plan has to be made again
    return [step for step in steps if step.action in ALWAYS] + [step for step in steps if step in drawn]


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long things last, in seconds, and how often they are done."""

    away_s: float
    frozen_s: float
    locked_s: float
    flapping: int
    manner_s: float
    traps_s: float
    kills: int
    pause_s: float
    worker_kills: int
    emptied: int
    races: int
    workers: int


SHORT = Lengths(2.0, 2.5, 2.0, 1, 0.7, 8.0, 4, 1.0, 1, 2, 6, 1)
LONG = Lengths(45.0, 45.0, 10.0, 10, 3.0, 25.0, 150, 0.5, 5, 20, 40, 4)
EXPECTED_RATE = 10.0
"""Responses a second that a large site is expected to send at its busiest."""
SOAK_RATE = 6 * EXPECTED_RATE
"""Five times that is asked for; a sixth makes up for the seconds in which a fault keeps everybody waiting."""
SOAK = ("kill", "empty_broker", "kill_broker", "cut_database", "freeze_worker", "unhelpful_receiver")


def _table(n: Lengths, *, long: bool) -> list[tuple[Any, ...]]:
    """Fault, title, action, settings, and where they differ rate and longest rest."""
    table: list[tuple[Any, ...]] = [
        ("F1", "all failpoints by chance", "traps_by_chance", {"seconds": n.traps_s, "once_in": ONCE_IN}),
        ("F1", f"{n.kills} kills at random", "kill_at_random", {"kills": n.kills, "pause_s": n.pause_s}),
        ("F1", "a worker killed every 10 s", "kill_workers", {"times": n.worker_kills, "every_s": 10.0}, 2.0),
        ("F2", f"emptied {n.emptied} times", "empty_broker", {"times": n.emptied, "pause_s": 1.0}),
        ("F2", f"killed, away for {n.away_s:g} s, back", "kill_broker", {"away_s": n.away_s}),
        ("F2", "full", "fill_broker", {"seconds": n.locked_s}),
        ("F2", f"frozen for {n.frozen_s:g} s", "freeze_broker", {"seconds": n.frozen_s}),
        ("F3", "restart, fast", "restart_database", {}),
        ("F3", f"kill -9, away for {n.away_s:g} s, back", "kill_database", {"away_s": n.away_s}),
        ("F3", "read-only", "read_only_database", {"seconds": n.locked_s}),
        ("F3", "connection slots taken", "take_connections", {"seconds": n.locked_s}),
        ("F3", "job table locked", "lock_jobs", {"seconds": n.locked_s}),
        ("F3", "failover to a synchronous standby", "fail_over", {}),
        ("F5", "mail hangs", "hang", {"channel": "email", "seconds": 3 * n.manner_s}),
        ("F5", "webhook hangs", "hang", {"channel": "webhook", "seconds": 3 * n.manner_s}),
        ("F5", "every other manner", "bad_manners", {"manners": MANNERS, "each_s": n.manner_s}),
        ("F6", "garbage and forged messages", "forge_messages", {"number": 40}),
        ("F6", "responses that cannot be assessed", "poison", {"number": 3}, 0.0),
        (
            "F7",
            "one post 50 times at once, every message five times, old and reordered",
            "repeat_messages",
            {"times": 5},
            3.0,
        ),
        (
            "F8",
            f"two of all loops, {2 * n.workers} more workers",
            "double_processes",
            {"workers": n.workers, "seconds": 4.0},
        ),
        ("F8", "a worker frozen beyond its lease comes back", "zombie", {"seconds": 11.0 if not long else 15.0}),
        ("F9", "no file handles", "take_handles", {"seconds": n.locked_s}),
        ("F9", "no space for logs and temporary files", "fill_logs", {"seconds": n.locked_s}),
        (
            "F10",
            f"database flapping, {n.flapping} times",
            "flap",
            {"way": "postgres", "times": n.flapping, "half_s": 2.0},
        ),
        ("F10", "broker flapping", "flap", {"way": "valkey", "times": n.flapping, "half_s": 2.0}),
        ("F10", "database one-way", "one_way", {"way": "postgres", "seconds": n.locked_s}),
        ("F10", "cut in mid-message", "cut_messages", {"seconds": n.locked_s}),
        ("F11", "rolling restart, messages without a tenant", "upgrade", {}),
        ("F12", f"{n.races} races", "race", {"races": n.races}, 2.0),
    ]
    if long:
        table[:0] = [
            ("F1", f"each failpoint of {process}", "traps_one_by_one", {"process": process, "places": list(places)})
            for process, places in PROCESSES.items()
        ]
        table += [
            ("F3", "disk full", "fill_disk", {"megabytes": 80, "seconds": 12.0}),
            ("F9", "no memory", "take_memory", {"seconds": n.locked_s}),
            ("F13", "restored from a backup", "restore", {}, 0.0),
        ]
    return table


def _drawn(action: str, settings: Mapping[str, Any], chance: random.Random) -> Mapping[str, Any]:
    """The settings, with what is left to chance drawn."""
    match action:
        case "kill_at_random":
            names = list(PROCESSES)
            victims = [(chance.choice(names), chance.random() < 0.4) for _ in range(2 * settings["kills"])]
            return {**settings, "victims": victims}
        case "traps_one_by_one":
            return {**settings, "numbers": [chance.randint(1, 2) for _ in settings["places"]]}
        case "cut_messages":
            return {**settings, "after": [chance.randint(50, 3000) for _ in range(6)]}
        case "race":
            return {**settings, "offsets_ms": [chance.randint(-30, 60) for _ in range(settings["races"])]}
        case _:
            return settings

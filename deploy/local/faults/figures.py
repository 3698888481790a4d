"""The figures that a run had to reach. What a run that must show everything did not run, it has missed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from deploy.local.faults.result import Demands, Result

NOT_RUN = "not run"
BROKER = frozenset({"empty_broker", "kill_broker", "fill_broker", "freeze_broker"})
TIMES = (
    ("emergency told, a worker killed every 10 s", frozenset({"kill_workers"}), 15.0, "told_max_s"),
    ("emergency told, the broker emptied", frozenset({"empty_broker"}), 45.0, "told_max_s"),
    ("emergency told, one channel hangs", frozenset({"hang"}), 15.0, "told_max_s"),
    ("database restarted: 503 for", frozenset({"restart_database"}), 10.0, "gap_s"),
    ("database failed over: 503 for", frozenset({"fail_over"}), 30.0, "gap_s"),
    ("killed at every failpoint: at rest after", frozenset({"traps_by_chance", "kill_at_random"}), 15.0, "recovery_s"),
    ("broker back: at rest after", BROKER, 30.0, "recovery_s"),
)
"""Name, actions of the steps, longest seconds, and the attribute of the step that holds them. How soon all is done is
judged in the long run only: others share the machine of a short one."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What had to be reached, and what was. `met` is None where this run does not say it."""

    name: str
    wanted: str
    found: str
    met: bool | None


def figures(result: Result) -> list[Figure]:
    """The table of the ledger, of what was done, and of the times."""
    share = result.doubled / result.messages if result.messages else 0.0
    doubled = Figure("messages doubled, under the same id", "reported", f"{result.doubled} ({share:.1%})", None)
    done = list(_done(result, result.demands)) if result.demands else []
    return [*_counts(result), *done, *_times(result), doubled]


def missed(result: Result) -> Iterator[str]:
    """Why this run proves less than it should, a sentence each; nothing where all was reached."""
    if result.unfinished:
        yield (
            f"INTERRUPTED during {result.unfinished}: {result.compared:,} of the {result.accepted:,} accepted versions "
            "were compared with the database; the rest, and everything as a whole, was not judged."
        )
    for figure in figures(result):
        if figure.met is False and figure.found == NOT_RUN:
            yield f"MISSED {figure.name}: wanted {figure.wanted}, and this run did not try it."
        elif figure.met is False:
            yield f"MISSED {figure.name}: wanted {figure.wanted}, found {figure.found}."


def is_good(result: Result) -> bool:
    """Whether it came to its end, no promise was broken and no figure missed."""
    return not result.violations and not list(missed(result))


def _counts(result: Result) -> Iterator[Figure]:
    counts = [
        ("accepted and lost", result.lost),
        ("second current RiskAssessment", result.count("second current", "two current")),
        ("urgent alert neither acknowledged nor escalated", result.count("urgent", "I4", "I5")),
        ("page after acknowledgement", result.count("page after", "I7")),
        ("health data outside the database", result.count("health data")),
    ]
    others = max(len(set(result.violations)) - sum(number for _, number in counts), 0)
    for name, number in (*counts, ("any other violation", others)):
        of_all = f" of {result.compared:,}" if name == "accepted and lost" else ""
        yield Figure(name, "0", f"{number}{of_all}", number == 0)


def _done(result: Result, demands: Demands) -> Iterator[Figure]:
    """How much a run that must show everything has done."""
    for name, wanted, found in (
        ("responses accepted", demands.responses, result.responses),
        ("processes killed", demands.kills, result.kills),
        ("failpoints that killed", demands.failpoints, len(result.failpoints)),
        ("soak, seconds", int(demands.soak_s), int(result.soak_s)),
    ):
        yield Figure(name, f"at least {wanted:,}", f"{found:,}", found >= wanted)
    skipped = len(result.not_run)
    yield Figure("faults left out", "0", str(skipped), skipped == 0)


def _times(result: Result) -> Iterator[Figure]:
    for name, actions, most_s, attribute in TIMES:
        values = [getattr(step, attribute) for step in result.steps if step.action in actions]
        found = [value for value in values if value is not None]
        if found:
            met = max(found) <= most_s if result.long or attribute != "recovery_s" else None
            yield Figure(name, f"at most {most_s:.0f} s", f"{max(found):.1f} s", met)
        else:
            yield Figure(name, f"at most {most_s:.0f} s", NOT_RUN, None if result.demands is None else False)

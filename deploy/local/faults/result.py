"""What a run came to, step by step, and what a long run has to show in all."""

from __future__ import annotations

from dataclasses import dataclass, field

from deploy.local.faults.judge import Violation
from deploy.local.faults.plan import Step


@dataclass(frozen=True, slots=True)
class Demands:
    """What must be shown in one run: different responses accepted, processes killed, seconds of soak, failpoints that
    killed."""

    responses: int
    kills: int
    soak_s: float
    failpoints: int


@dataclass(slots=True)
class Done:
    """What one step came to. `recovery_s`: from the end of the fault until nothing was left to do."""

    fault: str
    title: str
    posts: int = 0
    away: int = 0
    gap_s: float = 0.0
    seconds: float = 0.0
    recovery_s: float = 0.0
    told_max_s: float | None = None
    violations: list[Violation] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    action: str = ""


@dataclass(slots=True)
class Result:
    """What a whole run came to, or has come to so far.

    `demands`: None where a run shows what it shows. `compared`: how many of the accepted versions were looked for in
    the database. `unfinished`: what a run that was interrupted was doing; empty when it came to its end.
    """

    seed: int
    long: bool
    demands: Demands | None = None
    steps: list[Done] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    accepted: int = 0
    responses: int = 0
    compared: int = 0
    lost: int = 0
    doubled: int = 0
    messages: int = 0
    acknowledged: int = 0
    kills: int = 0
    failpoints: set[str] = field(default_factory=set)
    seconds: float = 0.0
    final: list[Violation] = field(default_factory=list)
    soak: list[dict[str, float]] = field(default_factory=list)
    unfinished: str = "the start"

    @property
    def violations(self) -> list[Violation]:
        return [found for step in self.steps for found in step.violations] + self.final

    @property
    def soak_s(self) -> float:
        """For how many seconds the soaks of this run lasted."""
        return sum(step.seconds for step in self.steps if step.action == "soak")

    def count(self, *words: str) -> int:
        """How many of the violations say one of these words."""
        return len({found for found in self.violations if any(word in found.what for word in words)})


def begin(step: Step) -> Done:
    """What a step has come to before it is done."""
    return Done(step.fault, step.title, action=step.action)

"""Latency at fixed rates: every request is due at its moment, and its time counts from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deploy.local.benchmark.bodies import unit_s
from deploy.local.benchmark.generator import Post
from deploy.local.benchmark.ledger import Ledger
from deploy.local.benchmark.numbers import is_steady, percentile
from deploy.local.benchmark.system import System

CONNECTIONS = 128


@dataclass(frozen=True, slots=True)
class Pace:
    """So many a second, for so many seconds in each round; every `urgent_every`-th is an emergency."""

    name: str
    per_second: float
    seconds: float
    urgent_every: int = 10


@dataclass(slots=True)
class Times:
    """Seconds of each request of one pace, over the rounds that count: until its answer, RiskAssessment, mail."""

    answer: list[float] = field(default_factory=list)
    assessment: list[float] = field(default_factory=list)
    mail: list[float] = field(default_factory=list)
    rounds: int = 0
    dropped: int = 0
    most_late_s: float = 0.0

    def ms(self, what: str, percent: float) -> float | None:
        """A percentile of `answer`, `assessment` or `mail` in milliseconds; None where nothing was measured."""
        found = percentile(getattr(self, what), percent)
        return None if found is None else 1e3 * found


@dataclass(frozen=True, slots=True)
class _Round:
    posts: Sequence[Post]
    steady: bool
    late_s: float


def measure_paces(
    ledger: Ledger, paces: Sequence[Pace], *, rounds: int, most: int, within_s: float, progress: Callable[[str], None]
) -> dict[str, Times]:
    """All paces in turn, again and again, each until nothing waits; rounds with an unsteady machine do not count.

    They are made up for, in `most` rounds at the most. Where no round of a pace was steady, all of them count, and
    `dropped` is nought.
    """
    done: dict[str, list[_Round]] = {pace.name: [] for pace in paces}
    for number in range(most):
        for pace in paces:
            if sum(one.steady for one in done[pace.name]) < rounds:
                done[pace.name].append(_round(ledger.system, ledger, pace, within_s))
                progress(f"fixed rates, round {number + 1}: {pace.name}")
    return {name: _put_together(ledger, of_pace) for name, of_pace in done.items()}


def _round(system: System, ledger: Ledger, pace: Pace, within_s: float) -> _Round:
    before = unit_s()
    answered = system.post(
        seconds=pace.seconds, per_second=pace.per_second, connections=CONNECTIONS, urgent_every=pace.urgent_every
    )
    ledger.wait(answered.posts, within_s=within_s)
    return _Round(answered.posts, is_steady(before, unit_s()), answered.most_late_s)


def _put_together(ledger: Ledger, rounds: Sequence[_Round]) -> Times:
    used = [one for one in rounds if one.steady] or rounds
    posts = [post for one in used for post in one.posts]
    return Times(
        answer=[post.answered - post.due for post in posts if post.status],
        assessment=ledger.assessment_times(posts),
        mail=ledger.mail_times(posts),
        rounds=len(used),
        dropped=len(rounds) - len(used),
        most_late_s=max((one.late_s for one in used), default=0.0),
    )

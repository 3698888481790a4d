"""Places where a process can be made to die, to fail or to hang: at every commit, every publish and every send.

The fault suite sets SURAL_FAILPOINT to see that nothing is lost there; it is refused outside the sandbox. Where it is
not set, a place costs one look into an empty dictionary.

`SURAL_FAILPOINT=name:act`, several separated by commas. The acts: `exit` kills this process as `kill -9` does, `raise`
raises `Reached`, `hang` never returns, `stop` stops the process until somebody sends SIGCONT, `note` does nothing but
write the log line that all of them write. `name:act@3` acts at the third time only, counted in each process,
`name:act@3%42` at random, once in three times, drawn with the seed 42.
"""

from __future__ import annotations

import logging
import os
import random
import re
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Literal, get_args

Name = Literal[
    "intake.store.before_commit",
    "intake.store.after_commit",
    "intake.quarantine.before_commit",
    "intake.quarantine.after_commit",
    "outbox.before_publish",
    "outbox.after_publish",
    "outbox.after_mark",
    "jobs.after_claim",
    "jobs.before_finish",
    "catch_up.before_commit",
    "audit.before_seal",
    "triage.store.before_commit",
    "triage.store.after_commit",
    "triage.refused.before_commit",
    "triage.refused.after_commit",
    "notify.raise.before_commit",
    "notify.raise.after_commit",
    "notify.deliver.before_send",
    "notify.deliver.after_send",
    "notify.deliver.after_record",
    "notify.escalate.before_commit",
    "notify.escalate.after_commit",
    "notify.acts.before_commit",
    "notify.acts.after_commit",
    "notify.digest.before_send",
    "notify.digest.after_send",
    "subscription.before_send",
    "subscription.after_send",
    "write_back.before_send",
    "write_back.after_send",
]
"""Every place; mypy refuses a call with another name."""
NAMES: Final[frozenset[str]] = frozenset(get_args(Name))
VARIABLE: Final = "SURAL_FAILPOINT"
ACTS: Final = ("exit", "raise", "hang", "stop", "note")
SPEC: Final = re.compile(
    rf"(?P<name>[a-z_.]+):(?P<act>{'|'.join(ACTS)})(@(?P<number>[1-9][0-9]*)(%(?P<seed>[0-9]+))?)?"
)

log = logging.getLogger(__name__)


class Reached(Exception):
    """What the act `raise` raises."""


@dataclass(frozen=True, slots=True)
class Trap:
    """What happens at a place. `number`: at which time (None: each time), or once in how many where `chance` draws."""

    name: str
    act: str
    number: int | None = None
    chance: random.Random | None = None
    times: count[int] = field(default_factory=lambda: count(1))

    def spring(self) -> None:
        """Act, if it is time to."""
        if not self._is_time():
            return
        log.warning("failpoint", extra={"kind": self.name, "state": self.act})
        match self.act:
            case "exit":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "raise":
                raise Reached(self.name)
        while self.act in ("exit", "hang"):
            time.sleep(60)

    def _is_time(self) -> bool:
        time_now = next(self.times)
        if self.number is None:
            return True
        return self.chance.random() * self.number < 1 if self.chance else time_now == self.number


def traps(text: str) -> Mapping[str, Trap]:
    """The traps that this text asks for, by place. Raises ValueError, which says what is wrong with it."""
    found: dict[str, Trap] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        spec = SPEC.fullmatch(part)
        if spec is None:
            message = f"{VARIABLE}: {part[:100]} is not name:act or name:act@number with act one of {', '.join(ACTS)}."
            raise ValueError(message)
        name = spec["name"]
        if name not in NAMES:
            raise ValueError(f"{VARIABLE}: there is no place {name}. There are: {', '.join(sorted(NAMES))}.")
        chance = random.Random(f"{spec['seed']}/{name}") if spec["seed"] else None  # noqa: S311 - a fault, no secret
        found[name] = Trap(name, spec["act"], int(spec["number"]) if spec["number"] else None, chance)
    return found


def _given() -> Mapping[str, Trap]:
    """What the environment asks for. Nothing where it cannot be read: the settings then refuse to start."""
    try:
        return traps(os.environ.get(VARIABLE, ""))
    except ValueError:
        return {}


_set: Mapping[str, Trap] = _given()


def arm(text: str) -> None:
    """Set the traps of this process anew, in place of those of the environment. Raises ValueError."""
    global _set
    _set = traps(text)


def reach(name: Name) -> None:
    """This place was reached: nothing happens, unless a trap is set here."""
    trap = _set.get(name)
    if trap is not None:
        trap.spring()

"""`./sural faults`."""

from __future__ import annotations

import json
import secrets
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from deploy.local.errors import StartError
from deploy.local.faults.duration import whole_s
from deploy.local.faults.figures import is_good
from deploy.local.faults.plan import PROCESSES, Step, make_plan
from deploy.local.faults.report import as_dict, details, ending, line
from deploy.local.faults.result import Demands, Done, Result
from deploy.local.faults.suite import run
from deploy.local.folder import write_whole

LONG_DEMANDS = Demands(
    responses=100_000, kills=200, soak_s=1800.0, failpoints=sum(len(places) for places in PROCESSES.values())
)
SHORT_S = 105.0
"""The short suite begins no further fault after this time, so that it ends within three minutes."""


def run_faults(
    *, long: bool, seed: int | None, only: str | None, soak: float | None, as_json: bool, out: Path | None = None
) -> bool:
    """Make the plan, run it, say what came of it. True when no promise was broken and no figure missed.

    `out`: a file that says after each step, as JSON, what the run has come to so far; what was interrupted says so.
    Raises StartError.
    """
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    faults = [fault.strip().upper() for fault in (only or "").split(",") if fault.strip()]
    try:
        plan = make_plan(seed, long=long, only=faults, soak_minutes=soak)
    except ValueError as error:
        raise StartError(str(error), "Name faults as --only F1,F3.") from None

    result = Result(seed, long, demands=LONG_DEMANDS if long and not faults else None)
    teller = Teller(plan, result, silent=as_json, out=out)
    in_time = SHORT_S if not long and not faults and soak is None else None
    signal.signal(signal.SIGTERM, _end)
    teller.start(in_time)
    try:
        run(plan, result, within_s=in_time, begun=teller.begun, ended=teller.ended, progress=teller.progress)
    except KeyboardInterrupt:
        pass  # what it has come to so far is told below, as such
    finally:
        teller.write()
        if as_json:
            print(json.dumps(as_dict(result)))
        else:
            print("\n".join(ending(result)))
    return is_good(result)


@dataclass(slots=True)
class Teller:
    """Tells whoever waits where a run is, and keeps what it has come to in a file."""

    plan: Sequence[Step]
    result: Result
    silent: bool
    out: Path | None
    _began: float = field(default_factory=time.monotonic)
    _number: int = 0

    def start(self, within_s: float | None) -> None:
        """The first line: what will be done, and how long it takes."""
        minutes = min(whole_s(self.plan), within_s + 60.0 if within_s else float("inf")) / 60
        self._say(
            f"Seed {self.result.seed}: {len(self.plan)} faults, about {minutes:.0f} minutes. "
            "Starting a system of its own ..."
        )
        self.write()

    def begun(self, step: Step) -> None:
        """A step begins."""
        self._number += 1
        if self.result.long:
            self.progress(f"step {self._number} of {len(self.plan)}: {step.name} ...")

    def ended(self, done: Done) -> None:
        """A step has ended."""
        self._say(line(done))
        for detail in details(done):
            self._say(detail)
        self.write()

    def progress(self, words: str) -> None:
        """Something is under way."""
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        self._say(f"{minutes:3}:{seconds:02} {self.result.responses:,} responses, {self.result.kills} kills; {words}")
        self.write()

    def write(self) -> None:
        """Keep what there is, whole, in the place of what there was."""
        if self.out is not None:
            write_whole(self.out, json.dumps(as_dict(self.result)))

    def _say(self, words: str) -> None:
        if not self.silent:
            print(words, flush=True)


def _end(_number: int, _frame: FrameType | None) -> None:
    """Asked to end: leave nothing behind."""
    raise KeyboardInterrupt

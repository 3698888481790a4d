"""`./sural faults`."""

from __future__ import annotations

import json
import secrets
import signal
from types import FrameType

from deploy.local.errors import StartError
from deploy.local.faults.plan import make_plan
from deploy.local.faults.report import as_dict, details, ending, is_good, line
from deploy.local.faults.suite import Done, run

LEAST_LONG = 100_000
"""Versions that the long suite has accepted at its end, whatever the faults took."""
SHORT_S = 105.0
"""The short suite begins no further fault after this time, so that it ends within three minutes."""


def run_faults(*, long: bool, seed: int | None, only: str | None, soak: float | None, as_json: bool) -> bool:
    """Make the plan, run it, say what came of it. True when no promise was broken. Raises StartError."""
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    faults = [fault.strip().upper() for fault in (only or "").split(",") if fault.strip()]
    try:
        plan = make_plan(seed, long=long, only=faults, soak_minutes=soak)
    except ValueError as error:
        raise StartError(str(error), "Name faults as --only F1,F3.") from None

    def say(words: str) -> None:
        if not as_json:
            print(words, flush=True)

    def ended(done: Done) -> None:
        say(line(done))
        for detail in details(done):
            say(detail)

    signal.signal(signal.SIGTERM, _end)
    say(f"Seed {seed}: {len(plan)} faults. Starting a system of its own ...")
    least = LEAST_LONG if long and not faults else 0
    in_time = SHORT_S if not long and not faults and soak is None else None
    result = run(seed, plan, long=long, least=least, within_s=in_time, ended=ended)
    if as_json:
        print(json.dumps(as_dict(result)))
    else:
        print("\n".join(ending(result)))
    return is_good(result)


def _end(_number: int, _frame: FrameType | None) -> None:
    """Asked to end: leave nothing behind."""
    raise KeyboardInterrupt

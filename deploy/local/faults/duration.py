"""How long a run takes, so that whoever waits can be told where it is.

The length of a fault is in the plan; what it takes beside that was measured on two cores.
"""

from __future__ import annotations

from collections.abc import Sequence

from deploy.local.faults.plan import Step

START_S, END_S = 20.0, 120.0
"""`END_S`: for what is missing of the responses, and the verdict on everything."""
REST_S = 6.0
"""From the end of a fault until the next one begins: rest, and the verdict."""
ONE_TRAP_S, ONE_KILL_S = 4.5, 0.25
MEASURED_S = {
    "restart_database": 14.0,
    "kill_database": 12.0,
    "read_only_database": 7.0,
    "take_connections": 7.0,
    "lock_jobs": 7.0,
    "fail_over": 14.0,
    "fill_disk": 24.0,
    "forge_messages": 16.0,
    "repeat_messages": 5.0,
    "poison": 18.0,
    "one_way": 7.0,
    "cut_messages": 6.0,
    "upgrade": 7.0,
    "race": 14.0,
    "restore": 90.0,
}
"""What a fault takes beside the seconds that its step names, and its rest beside `REST_S`: leases end, say."""


def expected_s(step: Step) -> float:
    """How long a step takes, from its beginning to the verdict on it."""
    n = step.settings
    match step.action:
        case "traps_one_by_one":
            fault_s = ONE_TRAP_S * len(n["places"])
        case "kill_at_random":
            fault_s = n["kills"] * (n["pause_s"] + ONE_KILL_S)
        case "kill_workers":
            fault_s = n["times"] * n["every_s"]
        case "empty_broker":
            fault_s = n["times"] * n["pause_s"]
        case "flap":
            fault_s = n["times"] * 2 * n["half_s"]
        case "bad_manners":
            fault_s = n["each_s"] * len(n["manners"])
        case _:
            fault_s = n.get("seconds", 0.0) + n.get("away_s", 0.0)
    return fault_s + MEASURED_S.get(step.action, 0.0) + REST_S


def whole_s(plan: Sequence[Step]) -> float:
    """How long all of them take, with the start of a system and the verdict at the end."""
    return START_S + sum(expected_s(step) for step in plan) + END_S

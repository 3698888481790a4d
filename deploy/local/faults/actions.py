"""Which function does what a step of the plan says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping

from deploy.local.faults import broker_faults, channel_faults, database_faults, kills, message_faults, network_faults
from deploy.local.faults.plan import Step
from deploy.local.faults.races import race
from deploy.local.faults.scene import Scene
from deploy.local.faults.soak import soak
from deploy.local.folder import CHECKOUT


def restore(scene: Scene, step: Step) -> None:
    """The test that dumps, restores into an empty server with an empty broker, and looks at what goes on."""
    tests = sorted((CHECKOUT / "tests").rglob("test_*backup*.py"))
    if not tests:
        scene.remarks.append("there is no test of the backup here")
        return
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, tests)]
    if subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, check=False).returncode:
        scene.complaints.append("the test of backup and restore failed")


ACTIONS: Mapping[str, Callable[[Scene, Step], None]] = {
    "restart_database": database_faults.restart_database,
    "kill_database": database_faults.kill_database,
    "read_only_database": database_faults.read_only_database,
    "take_connections": database_faults.take_connections,
    "lock_jobs": database_faults.lock_jobs,
    "fail_over": database_faults.fail_over,
    "fill_disk": database_faults.fill_disk,
    "empty_broker": broker_faults.empty_broker,
    "kill_broker": broker_faults.kill_broker,
    "fill_broker": broker_faults.fill_broker,
    "freeze_broker": broker_faults.freeze_broker,
    "traps_by_chance": kills.traps_by_chance,
    "traps_one_by_one": kills.traps_one_by_one,
    "kill_at_random": kills.kill_at_random,
    "kill_workers": kills.kill_workers,
    "double_processes": kills.double_processes,
    "zombie": kills.zombie,
    "hang": channel_faults.hang,
    "bad_manners": channel_faults.bad_manners,
    "forge_messages": message_faults.forge_messages,
    "repeat_messages": message_faults.repeat_messages,
    "poison": message_faults.poison,
    "upgrade": message_faults.upgrade,
    "flap": network_faults.flap,
    "one_way": network_faults.one_way,
    "cut_messages": network_faults.cut_messages,
    "take_handles": network_faults.take_handles,
    "take_memory": network_faults.take_memory,
    "fill_logs": network_faults.fill_logs,
    "race": race,
    "restore": restore,
    "soak": soak,
}

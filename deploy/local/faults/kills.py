"""F1 and F8: processes die at every moment, come back from the dead, and are there twice."""

from __future__ import annotations

import signal
import time
from functools import partial

from deploy.local.faults.plan import PROCESSES, Step
from deploy.local.faults.sandbox import CHILDREN, stopped
from deploy.local.faults.scene import Scene
from deploy.local.faults.workload import emergencies
from deploy.local.folder import write_whole
from deploy.local.process import wait_until

ANEW_S = 2.0
BACK_S = 30.0
URGENT_RATE = 1.0


def traps_by_chance(scene: Scene, step: Step) -> None:
    """All failpoints of all processes, each sprung by chance; drawn anew for each start of a process."""
    before = scene.traps_sprung().total()
    end, seed = time.monotonic() + step.settings["seconds"], step.seed
    _set_traps(scene, step, seed)
    for name in CHILDREN:
        scene.kill(name)
    while time.monotonic() < end and not scene.stop.is_set():
        scene.pause(ANEW_S)
        seed += 1
        _set_traps(scene, step, seed)
    scene.sandbox.disarm(*CHILDREN)
    wait_until(scene.sandbox.all_run, timeout_s=BACK_S)
    scene.kills["failpoints"] += scene.traps_sprung().total() - before


def _set_traps(scene: Scene, step: Step, seed: int) -> None:
    for name, places in PROCESSES.items():
        once_in = step.settings["once_in"][name]
        traps = ",".join(f"{place}:exit@{once_in}%{seed + number}" for number, place in enumerate(places))
        write_whole(scene.sandbox.data.state / f"failpoint-{name}", traps)


def traps_one_by_one(scene: Scene, step: Step) -> None:
    """Each failpoint of one process, until it has sprung. What was never reached is remarked on."""
    name = step.settings["process"]
    for place, number in zip(step.settings["places"], step.settings["numbers"], strict=True):
        before = scene.traps_sprung()[place]
        scene.sandbox.arm(name, f"{place}:exit@{number}")
        if not wait_until(partial(_sprang, scene, place, before), timeout_s=BACK_S):
            scene.remarks.append(f"{place} was not reached in {name}")
        scene.kills["failpoints"] += scene.traps_sprung()[place] - before
        scene.sandbox.disarm(name)
        wait_until(scene.sandbox.all_run, timeout_s=BACK_S)


def kill_at_random(scene: Scene, step: Step) -> None:
    """Whichever process was drawn, or those that it forked."""
    for name, pool in step.settings["victims"]:
        scene.kill(name, pool=pool)
        scene.pause(step.settings["pause_s"])


def kill_workers(scene: Scene, step: Step) -> None:
    """Those that assess and tell, at the same moment, every so many seconds, while emergencies come."""
    with scene.load(f"{step.seed}-urgent", rate=URGENT_RATE, line=emergencies(f"{step.seed}-urgent")):
        scene.pause(1.0)
        for time_number in range(step.settings["times"]):
            if time_number:
                scene.pause(step.settings["every_s"])
            for name in ("triage", "notify-urgent"):
                scene.kill(name, pool=time_number % 2 == 1)
        scene.pause(2.0)


def double_processes(scene: Scene, step: Step) -> None:
    """Two relays, schedulers, reconcilers and sweeps, and many workers on the same rows; then the further ones die."""
    sandbox = scene.sandbox
    sandbox.further("deploy.local.background")
    sandbox.further("services.triage", "worker", number=step.settings["workers"])
    sandbox.further("services.notify", "worker", "urgent", number=step.settings["workers"])
    scene.pause(step.settings["seconds"])
    sandbox.end_further()


def zombie(scene: Scene, step: Step) -> None:
    """A worker is frozen in the middle of its work until others have done it, and goes on where it was."""
    scene.send_emergencies(f"{step.seed}-frozen", 2)
    workers = [pid for name in ("triage", "notify-urgent") for pid in scene.sandbox.forked(name)]
    with stopped(workers):
        scene.pause(step.settings["seconds"])


def rolling_restart(scene: Scene, step: Step) -> None:
    """Each process ends in order and is started again, as when a new version is put in its place."""
    for name in CHILDREN:
        before = scene.sandbox.pid(name)
        scene.sandbox.signal(name, signal.SIGTERM)
        wait_until(partial(_is_new, scene, name, before), timeout_s=BACK_S)


def _sprang(scene: Scene, place: str, before: int) -> bool:
    return scene.traps_sprung()[place] > before


def _is_new(scene: Scene, name: str, before: int | None) -> bool:
    return scene.sandbox.pid(name) not in (before, None)

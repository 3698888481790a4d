"""F1 and F8: processes die at every moment, come back from the dead, and are there twice."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from functools import partial

from deploy.local.faults.plan import PROCESSES, Step
from deploy.local.faults.sandbox import CHILDREN, stopped
from deploy.local.faults.scene import Scene
from deploy.local.faults.workload import emergencies
from deploy.local.process import wait_until

ANEW_S = 2.0
BACK_S, EACH_S, LOOK_S = 30.0, 8.0, 0.25
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
        scene.sandbox.set_traps(name, traps)


def traps_one_by_one(scene: Scene, step: Step) -> None:
    """Each failpoint of one process, until all have killed it. What was never reached is remarked on."""
    name = step.settings["process"]
    left = dict(zip(step.settings["places"], step.settings["numbers"], strict=True))
    before = scene.traps_sprung()
    end = time.monotonic() + BACK_S + EACH_S * len(left)
    scene.sandbox.arm(name, _exits(left))
    while left and time.monotonic() < end and not scene.stop.is_set():
        pid = scene.sandbox.pid(name)
        scene.pause(LOOK_S)
        sprung = scene.traps_sprung() - before
        if reached := [place for place in left if sprung[place]]:
            scene.failpoints.update(f"{name}: {place}" for place in reached)
            left = {place: number for place, number in left.items() if place not in reached}
            if left:
                scene.sandbox.set_traps(name, _exits(left))
                if scene.sandbox.pid(name) == pid:  # what it forked has died, and would be forked with the same traps
                    scene.sandbox.restart(name)
    scene.sandbox.disarm(name)
    wait_until(scene.sandbox.all_run, timeout_s=BACK_S)
    scene.remarks += [f"{place} was not reached in {name}" for place in left]
    scene.kills["failpoints"] += (scene.traps_sprung() - before).total()


def _exits(places: Mapping[str, int]) -> str:
    return ",".join(f"{place}:exit@{number}" for place, number in places.items())


def kill_at_random(scene: Scene, step: Step) -> None:
    """Whichever process was drawn, or those that it forked, until so many are dead; who is dead already counts not."""
    before = scene.kills.total()
    for name, pool in step.settings["victims"]:
        if scene.kills.total() - before >= step.settings["kills"]:
            return
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


def _is_new(scene: Scene, name: str, before: int | None) -> bool:
    return scene.sandbox.pid(name) not in (before, None)

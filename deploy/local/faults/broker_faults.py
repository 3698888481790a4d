"""F2: everything that happens to the broker. Intake takes every response, and emergencies go out without it."""

from __future__ import annotations

import os
import signal

import redis

from deploy.local.faults.plan import Step
from deploy.local.faults.sandbox import stopped
from deploy.local.faults.scene import Scene


def empty_broker(scene: Scene, step: Step) -> None:
    """FLUSHALL, again and again: every message that waits is gone."""
    for _ in range(step.settings["times"]):
        scene.pause(step.settings["pause_s"])
        flush(scene)


def flush(scene: Scene) -> None:
    """Empty the broker once."""
    with redis.Redis.from_url(scene.sandbox.broker_url) as broker:
        broker.flushall()


def kill_broker(scene: Scene, step: Step) -> None:
    """`kill -9`, away for a while, and back with what its file holds."""
    os.kill(scene.sandbox.valkey.process.pid, signal.SIGKILL)
    scene.sandbox.valkey.process.wait()
    scene.pause(step.settings["away_s"])
    scene.sandbox.valkey.start()


def fill_broker(scene: Scene, step: Step) -> None:
    """No memory left: it refuses every message."""
    with redis.Redis.from_url(scene.sandbox.broker_url) as broker:
        broker.config_set("maxmemory", "1")
        try:
            scene.pause(step.settings["seconds"])
        finally:
            broker.config_set("maxmemory", "0")


def freeze_broker(scene: Scene, step: Step) -> None:
    """SIGSTOP: connections stand, nothing answers."""
    with stopped([scene.sandbox.valkey.process.pid]):
        scene.pause(step.settings["seconds"])

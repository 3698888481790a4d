"""F14: for a long time five times the expected load, with a random fault every while. Nothing may pile up.

What is sampled: memory (PSS) and file handles of all processes of the services, and the rows that stand for work that
is to be done. The second quarter of the time is compared with the last.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import psycopg

from deploy.local.faults.broker_faults import flush, kill_broker
from deploy.local.faults.database import owner
from deploy.local.faults.plan import PROCESSES, Step
from deploy.local.faults.receivers import Manner
from deploy.local.faults.samples import Sample, grown, usage
from deploy.local.faults.sandbox import stopped
from deploy.local.faults.scene import Scene

SAMPLE_S = 10.0
WAITING = """
SELECT (SELECT count(*) FROM intake.outbox) + (SELECT count(*) FROM triage.outbox)
       + (SELECT count(*) FROM notify.outbox),
       (SELECT count(*) FROM triage.job WHERE state IN ('pending', 'running'))
       + (SELECT count(*) FROM notify.job WHERE state IN ('pending', 'running') AND due_at < now() + interval '5 s')
"""


def soak(scene: Scene, step: Step) -> None:
    """Wait, and do something bad, until the time is over; then look at what grew."""
    chance = random.Random(step.seed)  # noqa: S311 - a run has to be the same again
    began, samples, done = time.monotonic(), list[Sample](), threading.Event()
    sampler = threading.Thread(target=_sample, args=(scene, samples, began, done), daemon=True)
    sampler.start()
    try:
        while (soaked_s := time.monotonic() - began) < step.settings["seconds"] and not scene.stop.is_set():
            scene.pause(min(step.settings["pause_s"], step.settings["seconds"] - soaked_s))
            FAULTS[fault := chance.choice(step.settings["among"])](scene, chance)
            scene.tell(f"soak, {soaked_s / 60:.0f} of {step.settings['seconds'] / 60:g} minutes: {fault}")
    finally:
        done.set()
        sampler.join()
    scene.samples += samples
    scene.complaints += grown(samples)


def _sample(scene: Scene, samples: list[Sample], began: float, done: threading.Event) -> None:
    while not done.wait(SAMPLE_S):
        with suppress(psycopg.Error, OSError), owner(scene.sandbox.postgres) as connection:
            row = connection.execute(WAITING).fetchone()
            memory, handles = usage(list(scene.sandbox.pids().values()))
            if row:
                samples.append(Sample(time.monotonic() - began, memory, handles, row[0], row[1]))


def _kill(scene: Scene, chance: random.Random) -> None:
    scene.kill(chance.choice(list(PROCESSES)), pool=chance.random() < 0.4)


def _empty_broker(scene: Scene, _chance: random.Random) -> None:
    flush(scene)


def _kill_broker(scene: Scene, chance: random.Random) -> None:
    kill_broker(scene, Step("F2", "", "kill_broker", 0, {"away_s": chance.uniform(0.5, 5.0)}))


def _cut_database(scene: Scene, _chance: random.Random) -> None:
    scene.sandbox.to_postgres.cut()


def _freeze_worker(scene: Scene, chance: random.Random) -> None:
    with stopped(scene.sandbox.forked(chance.choice(("triage", "notify-urgent")))):
        scene.pause(chance.uniform(2.0, 12.0))


def _unhelpful_receiver(scene: Scene, chance: random.Random) -> None:
    receiver = chance.choice((scene.mail, scene.webhook))
    receiver.manner = chance.choice([manner for manner in Manner if manner is not Manner.TAKES])
    scene.pause(chance.uniform(2.0, 8.0))
    receiver.manner = Manner.TAKES


FAULTS: Mapping[str, Callable[[Scene, random.Random], None]] = {
    "kill": _kill,
    "empty_broker": _empty_broker,
    "kill_broker": _kill_broker,
    "cut_database": _cut_database,
    "freeze_worker": _freeze_worker,
    "unhelpful_receiver": _unhelpful_receiver,
}

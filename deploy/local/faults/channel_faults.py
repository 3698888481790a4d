"""F5: whoever is to be told is unhelpful. The other channel must not notice."""

from __future__ import annotations

from deploy.local.faults.plan import Step
from deploy.local.faults.receivers import Manner, Receiver
from deploy.local.faults.scene import Scene
from deploy.local.faults.workload import emergencies

URGENT_RATE = 2.0


def hang(scene: Scene, step: Step) -> None:
    """One channel takes the message and says nothing, for as long as one waits."""
    receiver = scene.mail if step.settings["channel"] == "email" else scene.webhook
    with scene.load(f"{step.seed}-urgent", rate=URGENT_RATE, line=emergencies(f"{step.seed}-urgent")):
        _behave(scene, receiver, Manner.HANGS, step.settings["seconds"])


def bad_manners(scene: Scene, step: Step) -> None:
    """Every other manner, first by mail, then by webhook."""
    with scene.load(f"{step.seed}-urgent", rate=URGENT_RATE, line=emergencies(f"{step.seed}-urgent")):
        for manner in step.settings["manners"]:
            for receiver in (scene.mail, scene.webhook):
                _behave(scene, receiver, Manner(manner), step.settings["each_s"] / 2)


def _behave(scene: Scene, receiver: Receiver, manner: Manner, seconds: float) -> None:
    receiver.manner = manner
    try:
        scene.pause(seconds)
    finally:
        receiver.manner = Manner.TAKES

"""F9 and F10: no handles, no memory, no space for files, and ways between the parts that come and go."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.local.faults.plan import Step
from deploy.local.faults.proxies import Passage
from deploy.local.faults.proxy import Behaviour, Direction
from deploy.local.faults.scene import Scene

AWAY = Behaviour(refuse=True)


def flap(scene: Scene, step: Step) -> None:
    """Away and back, again and again."""
    way = _way(scene, step.settings["way"])
    for _ in range(step.settings["times"]):
        with way.being(AWAY, cut=True):
            scene.pause(step.settings["half_s"])
        scene.pause(step.settings["half_s"])


def one_way(scene: Scene, step: Step) -> None:
    """Questions arrive and answers do not, a commit's among them; then the other way round."""
    way, half_s = _way(scene, step.settings["way"]), step.settings["seconds"] / 2
    with way.being(Behaviour(to_client=Direction(drop=True))):
        scene.pause(half_s)
    with way.being(Behaviour(to_server=Direction(drop=True))):
        scene.pause(half_s)


def cut_messages(scene: Scene, step: Step) -> None:
    """Every connection to the database and the broker is cut after so many bytes, in mid-message; also a slow one."""
    each_s = step.settings["seconds"] / len(step.settings["after"])
    for number, after in enumerate(step.settings["after"]):
        cut = Direction(cut_after=after)
        behaviour = Behaviour(to_client=cut) if number % 2 else Behaviour(to_server=cut)
        with scene.sandbox.to_postgres.being(behaviour), scene.sandbox.to_valkey.being(behaviour):
            scene.pause(each_s / 2)
        slow = Behaviour(to_server=Direction(delay_s=0.05), to_client=Direction(delay_s=0.05))
        with scene.sandbox.to_postgres.being(slow):
            scene.pause(each_s / 2)


def take_handles(scene: Scene, step: Step) -> None:
    """No process may open anything for a while."""
    web = scene.sandbox.pid("web")
    pids = [*_workers(scene), *([web] if web else [])]
    with _limited({pid: _highest_handle(pid) + 1 for pid in pids}, resource.RLIMIT_NOFILE):
        scene.pause(step.settings["seconds"])


def take_memory(scene: Scene, step: Step) -> None:
    """The workers get no more memory for a while."""
    with _limited({pid: _memory(pid) + 2_000_000 for pid in _workers(scene)}, resource.RLIMIT_AS):
        scene.pause(step.settings["seconds"])


def fill_logs(scene: Scene, step: Step) -> None:
    """None of our processes may write to any file for a while, as if the disk of logs and temporary files were full."""
    names = scene.sandbox.pids()
    pids = [pid for name in names for pid in (names[name], *scene.sandbox.forked(name))]
    with _limited(dict.fromkeys(pids, 0), resource.RLIMIT_FSIZE):
        scene.pause(step.settings["seconds"])


def _way(scene: Scene, name: str) -> Passage:
    return scene.sandbox.to_postgres if name == "postgres" else scene.sandbox.to_valkey


def _workers(scene: Scene) -> list[int]:
    return [pid for name in ("triage", "notify-urgent") for pid in scene.sandbox.forked(name)]


@contextmanager
def _limited(most: Mapping[int, int], kind: int) -> Iterator[None]:
    """Hold each of these processes to so much of it."""
    before: dict[int, tuple[int, int]] = {}
    for pid, soft in most.items():
        with suppress(OSError):
            before[pid] = resource.prlimit(pid, kind)
            resource.prlimit(pid, kind, (soft, before[pid][1]))
    try:
        yield
    finally:
        for pid, limits in before.items():
            with suppress(OSError):
                resource.prlimit(pid, kind, limits)


def _highest_handle(pid: int) -> int:
    with suppress(OSError):
        return max(int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir())
    return 0  # the process has just ended


def _memory(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    return 0

"""F12: somebody acknowledges at the very instant at which the next step is due, twice, by every way at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx

from deploy.local.faults.database import owner
from deploy.local.faults.ledger import Acknowledged, now
from deploy.local.faults.plan import Step
from deploy.local.faults.receivers import Arrival
from deploy.local.faults.robot import WAYS, acknowledge, browser
from deploy.local.faults.scene import Scene
from deploy.local.process import wait_until

TOLD_S = 30.0
AGAIN_S = 0.2
ATTEMPTS = 100
MOST_OF = """
SELECT alert_id::text, count(*) FROM notify.alert_event
WHERE kind = 'acknowledged' AND alert_id = ANY (%s::uuid[]) GROUP BY alert_id HAVING count(*) <> 1
"""


def race(scene: Scene, step: Step) -> None:
    """Each of some alerts is acknowledged in three ways around the time at which it is told again; once beside a
    database that is restarted. Then its link is pressed again."""
    offsets: Sequence[int] = step.settings["offsets_ms"]
    first, scene.robot.asleep = len(scene.post.arrivals), True
    try:
        scene.send_emergencies(f"{step.seed}-race", len(offsets))
        told = wait_until(lambda: len(_first_of(scene, first)) >= len(offsets), timeout_s=TOLD_S)
    finally:
        scene.robot.asleep = False
    if not told:
        scene.complaints.append("alerts for the races were not told in time")
    arrivals = list(_first_of(scene, first).values())[: len(offsets)]
    due = _due(scene, [arrival.alert for arrival in arrivals])
    runners = [
        threading.Thread(target=_acknowledge, args=(scene, arrival, way, due[arrival.alert] + offset_ms / 1000))
        for arrival, offset_ms in zip(arrivals, offsets, strict=False)
        if arrival.alert in due
        for way in WAYS
    ]
    for runner in runners:
        runner.start()
    if due:
        time.sleep(max(min(due.values()) - time.monotonic(), 0))
        scene.sandbox.postgres.restart()
    for runner in runners:
        runner.join()
    _replay(scene, arrivals)


def _first_of(scene: Scene, first: int) -> dict[str, Arrival]:
    """The first message with a link of each alert that was told since."""
    found: dict[str, Arrival] = {}
    for arrival in scene.post.arrivals[first:]:
        if arrival.link and arrival.alert not in scene.robot.known:
            found.setdefault(arrival.alert, arrival)
    return found


def _due(scene: Scene, alerts: Sequence[str]) -> dict[str, float]:
    """When the next step of each is due, on our monotonic clock."""
    with owner(scene.sandbox.postgres) as connection:
        rows: list[tuple[str, timedelta]] = connection.execute(
            "SELECT id::text, due_at - clock_timestamp() FROM notify.alert "
            "WHERE id = ANY (%s::uuid[]) AND due_at IS NOT NULL",
            (list(alerts),),
        ).fetchall()
    began = time.monotonic()
    return {alert: began + left.total_seconds() for alert, left in rows}


def _acknowledge(scene: Scene, arrival: Arrival, way: str, at: float) -> None:
    """Acknowledge at this moment, and until it is confirmed."""
    with browser(scene.sandbox.url) as client:
        time.sleep(max(at - time.monotonic(), 0))
        for _ in range(ATTEMPTS):
            if _done(client, arrival, way):
                scene.ledger.record(Acknowledged(arrival.alert, way, now()))
                return
            time.sleep(AGAIN_S)
    scene.complaints.append(f"alert {arrival.alert} could not be acknowledged by {way}")


def _done(client: httpx.Client, arrival: Arrival, way: str) -> bool:
    try:
        return acknowledge(client, arrival.alert, way, arrival.link)
    except httpx.HTTPError:
        return False


def _replay(scene: Scene, arrivals: Sequence[Arrival]) -> None:
    """A link that was used does nothing more, and each alert was acknowledged once."""
    with browser(scene.sandbox.url) as client:
        for arrival in arrivals:
            client.post(
                f"/a/{arrival.link}", data={"urgency": "emergency", "assessments": "1", "name": "Somebody Else"}
            )
    alerts: list[Any] = [arrival.alert for arrival in arrivals]
    with owner(scene.sandbox.postgres) as connection:
        for alert, number in connection.execute(MOST_OF, (alerts,)).fetchall():
            scene.complaints.append(f"alert {alert} was acknowledged {number} times")

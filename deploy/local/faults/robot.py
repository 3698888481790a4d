"""A clinician who is told of alerts and acknowledges them, after a while, in each of the ways that there are.

By the link of the message, as a system that updates the Task, or by the button of the worklist. What was confirmed goes
into the ledger: from then on nobody may be told of that alert again.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

import httpx

from deploy.local.faults.ledger import Acknowledged, Ledger, now
from deploy.local.faults.receivers import Arrival

WAYS = ("link", "task", "worklist")
SHORTEST_S, LONGEST_S = 0.1, 2.0
SLOW_SHARE, SLOW_S = 0.15, 8.0
"""How many wait until the alert was told again, and how long."""
AGAIN_S, GIVES_UP_AFTER = 0.5, 240
ANSWER_S = 10.0
NAME = "Robot Clinician"
FIELD = re.compile(r'name="(urgency|assessments)" value="([^"]*)"')


@dataclass(order=True, slots=True)
class Planned:
    """An acknowledgement that is due (on the monotonic clock)."""

    due: float
    number: int
    alert: str = field(compare=False)
    way: str = field(compare=False)
    link: str | None = field(compare=False)
    attempts: int = field(default=0, compare=False)


class Robot:
    """Acknowledges what it is told of; a few threads of its own."""

    def __init__(self, url: str, ledger: Ledger, seed: int, *, hands: int = 4) -> None:
        self._ledger = ledger
        self._chance = random.Random(f"robot-{seed}")  # noqa: S311 - a run has to be the same again
        self._client = browser(url)
        self._lock = threading.Condition()
        self._planned: list[Planned] = []
        self.known: set[str] = set()
        self._busy = 0
        self._stop = False
        self._numbers = itertools.count()
        self.complaints: list[str] = []
        self.asleep = False
        """While true nothing new is planned: the alerts that come stay as they are."""
        self._threads = [threading.Thread(target=self._work, name="robot", daemon=True) for _ in range(hands)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._stop = True
            self._lock.notify_all()
        for thread in self._threads:
            thread.join()
        self._client.close()

    def hear(self, arrival: Arrival) -> None:
        """A message came. The first one of each alert will be answered."""
        with self._lock:
            if arrival.notice or self.asleep or arrival.alert in self.known:
                return
            self.known.add(arrival.alert)
            way = self._chance.choice(WAYS)
            wait_s = SLOW_S if self._chance.random() < SLOW_SHARE else self._chance.uniform(SHORTEST_S, LONGEST_S)
            self._plan(Planned(time.monotonic() + wait_s, next(self._numbers), arrival.alert, way, arrival.link))

    @property
    def idle(self) -> bool:
        """True when every acknowledgement that it meant to give by now was confirmed."""
        with self._lock:
            return not self._busy and not (self._planned and self._planned[0].due <= time.monotonic())

    @property
    def done(self) -> bool:
        """True when it means to give no more."""
        with self._lock:
            return not self._planned and not self._busy

    def _plan(self, one: Planned) -> None:
        with self._lock:
            heapq.heappush(self._planned, one)
            self._lock.notify_all()

    def _work(self) -> None:
        while (one := self._next()) is not None:
            done = False
            try:
                done = acknowledge(self._client, one.alert, one.way, one.link)
            except httpx.HTTPError:
                done = False
            if done:
                self._ledger.record(Acknowledged(one.alert, one.way, now()))
            elif one.attempts >= GIVES_UP_AFTER:
                self.complaints.append(f"alert {one.alert} could not be acknowledged by {one.way}")
            else:
                one.due, one.attempts = time.monotonic() + AGAIN_S, one.attempts + 1
                self._plan(one)
            with self._lock:
                self._busy -= 1

    def _next(self) -> Planned | None:
        with self._lock:
            while not self._stop:
                wait_s = self._planned[0].due - time.monotonic() if self._planned else None
                if wait_s is not None and wait_s <= 0:
                    self._busy += 1
                    return heapq.heappop(self._planned)
                self._lock.wait(wait_s)
        return None


def browser(url: str) -> httpx.Client:
    """A client whose forms come from our own pages, as those of a browser do."""
    return httpx.Client(base_url=url, timeout=ANSWER_S, trust_env=False, headers={"Sec-Fetch-Site": "same-origin"})


def acknowledge(client: httpx.Client, alert: str, way: str, link: str | None) -> bool:
    """Acknowledge once. True when that is confirmed, or the alert needs it no more; raises httpx.HTTPError."""
    if way == "link" and link:
        return _by_page(client, f"/a/{link}")
    if way == "task":
        return _by_task(client, alert)
    return _by_worklist(client, alert)


def _by_page(client: httpx.Client, path: str) -> bool:
    page = client.get(path)
    if page.status_code == 404:
        return True  # closed meanwhile: withdrawn
    fields = dict(FIELD.findall(page.text))
    if page.status_code != 200:
        return False
    if "urgency" not in fields:
        return "acknowledged this on" in page.text
    return client.post(path, data={**fields, "name": NAME}).status_code == 303


def _by_task(client: httpx.Client, alert: str) -> bool:
    read = client.get(f"/fhir/Task/{alert}")
    if read.status_code != 200:
        return False
    task: dict[str, Any] = read.json()
    if task["status"] not in ("requested", "received", "on-hold"):
        return True
    task["status"], task["owner"] = "accepted", {"display": NAME}
    answer = client.put(
        f"/fhir/Task/{alert}",
        content=json.dumps(task),
        headers={"Content-Type": "application/fhir+json", "If-Match": f'W/"{task["meta"]["versionId"]}"'},
    )
    return answer.status_code == 200


def _by_worklist(client: httpx.Client, alert: str) -> bool:
    page = client.get(f"/worklist/alert/{UUID(alert)}")
    if page.status_code != 200:
        return False
    fields = dict(FIELD.findall(page.text))
    if "urgency" not in fields:
        return _by_task(client, alert)
    answer = client.post(f"/worklist/alert/{alert}/acknowledge", data={**fields, "name": NAME})
    return answer.status_code == 303

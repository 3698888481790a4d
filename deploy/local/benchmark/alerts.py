"""How soon an alert is on its way, and whether anybody is told twice: `sural bench --alerts NUMBER`.

A whole sandbox of its own is started. Emergencies, each of another patient, are posted at a steady rate, and a webhook
receiver here counts what comes. Times are those of the database's clock: from the RiskAssessment that raised the flag
to the first channel that took the message. Everything is gone afterwards.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
import orjson
import psycopg

from deploy.local.demo import EXAMPLES, fresh
from deploy.local.folder import CHECKOUT, DataFolder, free_port
from deploy.local.servers import embedded_servers

EXAMPLE = EXAMPLES / "cold-pale-foot.json"
SECRET = "whsec_YmVuY2htYXJrIG9mIHRoaXMgbWFjaGluZQ=="  # noqa: S105 - signs for a receiver of our own
MOST, SENDERS = 20_000, 16
SETTLED_S, START_S = 300.0, 120.0
TIMES = """
SELECT extract(epoch FROM min(sent.sent_at) - assessed.last_updated)::float8 AS told,
       extract(epoch FROM alert.opened_at - assessed.last_updated)::float8 AS opened
FROM notify.alert
JOIN notify.alert_assessment AS raised ON raised.alert_id = alert.id
JOIN triage.resource AS assessed ON assessed.type = 'RiskAssessment' AND assessed.id = raised.assessment_id
     AND assessed.version_id = raised.assessment_version
LEFT JOIN notify.delivery AS sent ON sent.alert_id = alert.id AND sent.state = 'sent'
WHERE NOT alert.synthetic GROUP BY alert.id, assessed.last_updated
"""
Seconds = tuple[float | None, float]
"""From the assessment to the first channel, None when none took it, and to the alert."""


@dataclass(frozen=True, slots=True)
class Alerts:
    """What was measured. Times in milliseconds from the assessment; `opened_p50`: until the alert was there.

    `twice`: deliveries that came more than once, and alerts told twice.
    """

    posted: int
    rate: float
    alerts: int
    opened_p50: float
    p50: float
    p99: float
    longest: float
    untold: int
    twice: int
    load: float

    def as_line(self) -> str:
        """For a terminal."""
        return (
            f"{self.posted} emergencies at {self.rate:.1f} a second: {self.alerts} alerts, from the assessment to the "
            f"first channel p50 {self.p50:.0f} ms, p99 {self.p99:.0f} ms, longest {self.longest:.0f} ms "
            f"(alert open p50 {self.opened_p50:.0f} ms); "
            f"told by no channel {self.untold}, told twice {self.twice} (load of the machine {self.load:.1f})"
        )


class Count:
    """What a receiver got: how often each delivery came, and how many deliveries each alert had."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.deliveries: Counter[str] = Counter()
        self.alerts: Counter[str] = Counter()

    def take(self, body: bytes) -> None:
        """One request."""
        data = orjson.loads(body)["data"]
        with self._lock:
            self.alerts[data["alert"]] += self.deliveries[data["delivery"]] == 0
            self.deliveries[data["delivery"]] += 1

    @property
    def twice(self) -> int:
        """Deliveries that came again, and alerts with more than one."""
        again = sum(number - 1 for number in self.deliveries.values())
        return again + sum(number - 1 for number in self.alerts.values())


def measure_alerts(number: int, *, per_second: float) -> Alerts:
    """Start, post, wait until nothing is on its way, count. Raises SystemExit when the system does not start."""
    number = min(number, MOST)
    folder = Path(tempfile.gettempdir()) / f"sural-bench-{secrets.token_hex(4)}"
    receiver = free_port()
    try:
        with _system(folder, receiver=receiver) as url, _receiving(receiver) as count:
            began = time.monotonic()
            _post_all(url, number, per_second)
            rate, load = number / (time.monotonic() - began), os.getloadavg()[0]
            seconds = _settled(folder, number)
            return _summary(number, rate, seconds, count.twice, load)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _summary(number: int, rate: float, seconds: list[Seconds], twice: int, load: float) -> Alerts:
    told = sorted(1000 * first for first, _ in seconds if first is not None)
    opened = 1000 * median(each for _, each in seconds) if seconds else 0.0
    cuts = quantiles(told, n=100) if len(told) > 1 else [0.0] * 99
    longest = told[-1] if told else 0.0
    untold = len(seconds) - len(told)
    return Alerts(number, rate, len(seconds), opened, cuts[49], cuts[98], longest, untold, twice, load)


def _post_all(url: str, number: int, per_second: float) -> None:
    """At a steady rate, whether or not earlier ones were answered."""
    body, began = EXAMPLE.read_bytes(), time.monotonic()
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client, ThreadPoolExecutor(SENDERS) as senders:

        def post(one: int) -> None:
            answer = client.post(
                "/fhir/QuestionnaireResponse",
                content=fresh(body, f"bench-{one}"),
                headers={"Content-Type": "application/fhir+json"},
            )
            answer.raise_for_status()

        posted = []
        for one in range(number):
            time.sleep(max(began + one / per_second - time.monotonic(), 0))
            posted.append(senders.submit(post, one))
        for each in posted:
            each.result()


def _settled(folder: Path, number: int) -> list[Seconds]:
    """What was measured of each alert, once all are told or nothing more comes."""
    url = next(server.url for name, server in _servers(folder).items() if name == "SURAL_DATABASE_URL")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET sural.across_tenants = 'on'")
        end = time.monotonic() + SETTLED_S
        while True:
            seconds: list[Seconds] = connection.execute(TIMES).fetchall()
            waiting = connection.execute("SELECT count(*) FROM notify.delivery WHERE state = 'pending'").fetchone()
            done = len(seconds) >= number and all(told is not None for told, _ in seconds) and waiting == (0,)
            if done or time.monotonic() > end:
                return seconds
            time.sleep(0.5)


@contextmanager
def _system(folder: Path, *, receiver: int) -> Iterator[str]:
    """A sandbox whose alerts go to this receiver, once each; gives its address."""
    port = free_port()
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SURAL_")}
    environment = ours | {
        "SURAL_WEBHOOK_URL": f"http://127.0.0.1:{receiver}/",
        "SURAL_WEBHOOK_SECRET": SECRET,
        "SURAL_REPEAT_EMERGENCY_S": "86400",
        "PYTHONPATH": str(CHECKOUT),
    }

    def sural(*words: str) -> int:
        command = [sys.executable, "-P", "-m", "deploy.local", *words, "--data", str(folder)]
        done = subprocess.run(command, env=environment, cwd=CHECKOUT, stdout=subprocess.DEVNULL, check=False)
        return done.returncode

    if sural("up", "--detach", "--port", str(port)) != 0:
        raise SystemExit("Sural did not start for the measurement.")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        sural("down")


def _servers(folder: Path) -> dict[str, Any]:
    return dict(embedded_servers(DataFolder(folder).path, {}))


@contextmanager
def _receiving(port: int) -> Iterator[Count]:
    count = Count()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name is the library's
            count.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield count
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

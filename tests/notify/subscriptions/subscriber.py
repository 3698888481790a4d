"""A subscriber as an EHR would be: an HTTP server that takes notifications, reads them, and finds fault with them."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from services.notify.subscriptions.document import BACKPORT
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import check_structure


@dataclass(frozen=True)
class Notification:
    """One Bundle, read with nothing but the text of the Implementation Guide."""

    bundle: dict[str, Any]
    headers: dict[str, str]

    @property
    def status(self) -> dict[str, Any]:
        resource: dict[str, Any] = self.bundle["entry"][0]["resource"]
        return resource

    def value(self, name: str) -> Any:
        """The value of a parameter of the status, or None."""
        for parameter in self.status["parameter"]:
            if parameter["name"] == name:
                return next(value for key, value in parameter.items() if key.startswith("value"))
        return None

    @property
    def kind(self) -> str:
        return str(self.value("type"))

    @property
    def events(self) -> list[dict[str, Any]]:
        """The parts of each notification-event, by name."""
        return [
            {
                part["name"]: next(value for key, value in part.items() if key.startswith("value"))
                for part in each["part"]
            }
            for each in self.status["parameter"]
            if each["name"] == "notification-event"
        ]

    @property
    def numbers(self) -> list[int]:
        return [int(event["event-number"]) for event in self.events]

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The entries after the status."""
        found: list[dict[str, Any]] = self.bundle["entry"][1:]
        return found


def faults(bundle: dict[str, Any]) -> list[str]:
    """What is wrong with a notification: as R4, and by the rules of the backport."""
    found = [problem.message for problem in check_structure(bundle, resource_type="Bundle")]
    found += [problem.message for problem in validate_with_fhir_resources(bundle)]
    if found:
        return found
    first = bundle["entry"][0]
    if bundle["type"] != "history" or first["resource"]["resourceType"] != "Parameters":
        found.append("a notification is a history whose first entry is the status")
    if not all("request" in entry and "response" in entry for entry in bundle["entry"]):
        found.append("bdl-3, bdl-4: an entry has no request or no response")
    if not first["request"]["url"].endswith("/$status"):
        found.append("the first entry's request is not that of $status")
    names = {parameter["name"] for parameter in first["resource"]["parameter"]}
    if not {"subscription", "status", "type"} <= names:
        found.append("the status lacks a parameter")
    if first["resource"]["meta"]["profile"] != [f"{BACKPORT}/StructureDefinition/backport-subscription-status-r4"]:
        found.append("the status claims another profile")
    return found


@dataclass
class Subscriber:
    """Takes notifications and answers `status`; while it `hangs`, only once it is released."""

    url: str = ""
    status: int = 200
    hangs: bool = False
    received: list[Notification] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def of(self, kind: str) -> list[Notification]:
        return [each for each in self.received if each.kind == kind]

    @property
    def handshakes(self) -> list[Notification]:
        return self.of("handshake")

    @property
    def told(self) -> list[Notification]:
        return self.of("event-notification")

    @property
    def numbers(self) -> list[int]:
        """Numbers of all events, in the order in which they came."""
        return [number for each in self.told for number in each.numbers]


@contextmanager
def a_subscriber(context: ssl.SSLContext | None = None) -> Iterator[Subscriber]:
    """On a free loopback port; with TLS where a context is given. Fails at the end if a notification was faulty."""
    subscriber = Subscriber()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bundle = json.loads(body)
            subscriber.faults += faults(bundle)
            headers = {name.lower(): value for name, value in self.headers.items()}
            subscriber.received.append(Notification(bundle, headers))
            if subscriber.hangs:
                subscriber.released.wait(30)
            self.send_response(subscriber.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        scheme = "https" if context else "http"
        subscriber.url = f"{scheme}://127.0.0.1:{server.server_port}/fhir-events"
        yield subscriber
    finally:
        subscriber.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
    assert subscriber.faults == []

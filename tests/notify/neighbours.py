"""The outside world of notify: a triage that serves RiskAssessments, a mail server, a webhook receiver. All real."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from shared.events import Ref
from shared.fhir.codes import CS_METHOD, CS_URGENCY, EXT_DISPOSITION, SID_RESPONSE
from shared.fhir.identity import instant
from shared.ids import uuid7


def an_assessment(
    urgency: str = "emergency",
    *,
    patient: str = "Patient/7391",
    name: str = "Canary Wrenfield",
    assessment_id: str | None = None,
    version: int = 1,
    status: str = "final",
    pathway: str = "posterior-lower-limb",
    response_id: str = "qr-5521",
) -> dict[str, Any]:
    """A RiskAssessment as triage serves it, as far as notify reads it, and clinical words that must not leave."""
    return {
        "resourceType": "RiskAssessment",
        "id": assessment_id or str(uuid7()),
        "meta": {
            "versionId": str(version),
            "lastUpdated": instant(datetime.now(UTC)),
            "tag": [{"system": CS_URGENCY, "code": urgency}],
        },
        "identifier": [{"system": SID_RESPONSE, "value": response_id}],
        "extension": [{"url": EXT_DISPOSITION, "valueCode": urgency}],
        "status": status,
        "method": {"coding": [{"system": CS_METHOD, "code": pathway, "version": "1.0.0"}]},
        "subject": {"reference": patient, "display": name},
        "prediction": [{"outcome": {"text": "canary-thrombosis"}, "probabilityDecimal": 17.5}],
        "mitigation": "canary-advice",
    }


def ref_of(resource: dict[str, Any]) -> Ref:
    return Ref(resource["id"], int(resource["meta"]["versionId"]))


@dataclass
class Triage:
    """A neighbour that answers the FHIR questions that notify asks."""

    url: str = ""
    status: int = 200
    faulty: set[str] = field(default_factory=set)
    """Ids at which this triage stumbles: whatever is asked about them is answered 500."""
    held: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def publish(self, resource: dict[str, Any]) -> Ref:
        self.held[(resource["id"], resource["meta"]["versionId"])] = resource
        return ref_of(resource)

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        if self.status != 200:
            return self.status, {"resourceType": "OperationOutcome"}
        parts, query = urlsplit(path).path.split("/"), parse_qs(urlsplit(path).query)
        if any(identifier in path for identifier in self.faulty):
            return 500, {"resourceType": "OperationOutcome"}
        if "_history" in parts:
            found = self.held.get((parts[3], parts[5]))
            return (200, found) if found else (404, {"resourceType": "OperationOutcome"})
        matches = [resource for resource in self.current() if self.asked_for(resource, query)]
        entries = [{"resource": resource, "search": {"mode": "match"}} for resource in matches]
        return 200, {"resourceType": "Bundle", "type": "searchset", "entry": entries}

    def current(self) -> list[dict[str, Any]]:
        newest: dict[str, dict[str, Any]] = {}
        for (identifier, version), resource in sorted(self.held.items(), key=lambda item: int(item[0][1])):
            assert version
            newest[identifier] = resource
        return sorted(newest.values(), key=lambda resource: str(resource["meta"]["lastUpdated"]))

    @staticmethod
    def asked_for(resource: dict[str, Any], query: dict[str, list[str]]) -> bool:
        ids = query.get("_id", [resource["id"]])[0].split(",")
        since = query.get("_lastUpdated", ["ge"])[0].removeprefix("ge")
        return resource["id"] in ids and resource["meta"]["lastUpdated"] >= since


@contextmanager
def a_triage() -> Iterator[Triage]:
    triage = Triage()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, resource = triage.answer(self.path)
            body = json.dumps(resource).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/fhir+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with serving(Handler) as url:
        triage.url = url
        yield triage


@dataclass
class MailServer:
    """Takes mail, or answers `refusal` to every recipient, or to one of them what `refusals` says."""

    port: int = 0
    refusal: str = ""
    refusals: dict[str, str] = field(default_factory=dict)
    mails: list[Message] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if refusal := self.refusals.get(address, self.refusal):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        self.raw.append(content)
        self.mails.append(message_from_bytes(content))
        return "250 taken"


class AnyPort(Controller):  # type: ignore[misc]
    """A controller that listens on a free port, and knows which before it looks whether it answers."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def a_mail_server() -> Iterator[MailServer]:
    server = MailServer()
    controller = AnyPort(server, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        server.port = controller.port
        yield server
    finally:
        controller.stop()


@dataclass
class Receiver:
    """Takes webhooks, and answers `status`."""

    url: str = ""
    status: int = 204
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def a_receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(receiver.status)
            if receiver.status in (301, 302, 307):
                self.send_header("Location", receiver.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with serving(Handler) as url:
        receiver.url = url + "/hook/canary-path"
        yield receiver


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""`sural demo`: posts the shipped examples to the running system and shows what became of each, end to end.

Speaks FHIR over HTTP only, as an EHR system and a clinician's tool would: post, wait for the RiskAssessment, wait for
the alert's delivery, acknowledge the Task.
"""

from __future__ import annotations

import json
import secrets
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from shared.fhir.codes import EXT_DISPOSITION, EXT_RED_FLAG, SID_ALERT, SID_RESPONSE

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DEADLINE_S = 60.0
"""How long one example may take from post to delivery: long enough for every restart that a fault may cause."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What an example must lead to (examples/expected.toml)."""

    file: str
    title: str
    status: int
    urgency: str | None
    flags: tuple[str, ...]
    alert: bool

    @property
    def name(self) -> str:
        """The file's name in words, for the table."""
        return Path(self.file).stem.replace("-", " ")


@dataclass(slots=True)
class Row:
    """What an example did lead to. `problem` is None when all was as expected."""

    name: str
    status: int = 0
    urgency: str = ""
    flags: str = ""
    assessed_ms: int | None = None
    alerted_ms: int | None = None
    acknowledged: bool = False
    problem: str | None = None


class Unexpected(Exception):
    """An expected outcome is missing."""


def expectations(folder: Path = EXAMPLES) -> list[Expected]:
    """The shipped examples in the order of their file."""
    table = tomllib.loads((folder / "expected.toml").read_text(encoding="utf-8"))
    return [
        Expected(
            file=entry["file"],
            title=entry["title"],
            status=entry["status"],
            urgency=entry.get("urgency"),
            flags=tuple(entry.get("flags", ())),
            alert=entry.get("alert", False),
        )
        for entry in table["example"]
    ]


def run(base_url: str, *, progress: Callable[[str], None]) -> Iterator[Row]:
    """Post every example as a new form of a new test patient, and follow it to its acknowledgement."""
    mark = secrets.token_hex(4)
    with httpx.Client(base_url=base_url, timeout=10, trust_env=False) as client:
        for expected in expectations():
            progress(expected.title)
            row = Row(expected.name)
            try:
                _follow(client, expected, mark, row)
            except Unexpected as error:
                row.problem = str(error)
            yield row


def fresh(body: bytes, mark: str) -> bytes:
    """The example as a form of its own: a new identifier and patient for each run, the answers untouched."""
    response = json.loads(body)
    if "identifier" in response:
        response["identifier"]["value"] += f"-{mark}"
    if "reference" in response.get("subject", {}):
        response["subject"]["reference"] += f"-{mark}"
    return json.dumps(response).encode()


def _follow(client: httpx.Client, expected: Expected, mark: str, row: Row) -> None:
    body = fresh((EXAMPLES / expected.file).read_bytes(), mark)
    answer = _patiently(lambda: _post(client, body), "the response was not accepted or refused")
    row.status = answer.status_code
    if expected.status == 201 and answer.status_code == 200:
        row.status = 201  # the first attempt was stored, its answer was lost; the repeat found it
    if row.status != expected.status:
        raise Unexpected(f"answered {answer.status_code}, expected {expected.status}: {_first_issue(answer)}")
    if row.status != 201:
        return
    response_id = answer.headers["location"].split("/QuestionnaireResponse/")[1].split("/")[0]
    received = datetime.fromisoformat(
        _patiently(lambda: _read(client, f"QuestionnaireResponse/{response_id}"), "the response was lost")["meta"][
            "lastUpdated"
        ]
    )
    by_response = {"identifier": f"{SID_RESPONSE}|{response_id}"}
    assessment = _patiently(lambda: _only(client, "RiskAssessment", by_response), "no RiskAssessment came")
    row.assessed_ms = _since(received, assessment["meta"]["lastUpdated"])
    row.urgency = urgency_of(assessment) or "none yet"
    fired = fired_flags(assessment)
    row.flags = ", ".join(fired)
    if row.urgency != (expected.urgency or "none yet"):
        raise Unexpected(f"urgency {row.urgency}, expected {expected.urgency}")
    if missing := [flag for flag in expected.flags if flag not in fired]:
        raise Unexpected(f"red flags missing: {', '.join(missing)}")
    if expected.alert:
        _follow_alert(client, by_response, received, row)
    elif _only(client, "Task", by_response) is not None:
        raise Unexpected("an alert was raised that nobody needs")


def _follow_alert(client: httpx.Client, by_response: dict[str, str], received: datetime, row: Row) -> None:
    task = _patiently(lambda: _only(client, "Task", by_response), "no alert was raised")
    by_alert = {"identifier": f"{SID_ALERT}|{task['id']}"}

    def delivered() -> dict[str, Any] | None:
        sent = [c for c in _all(client, "Communication", by_alert) if c["status"] == "completed"]
        return min(sent, key=lambda c: str(c["sent"])) if sent else None

    communication = _patiently(delivered, "the alert was not delivered")
    row.alerted_ms = _since(received, communication["sent"])
    _patiently(lambda: _acknowledge(client, task["id"]), "the alert could not be acknowledged")
    row.acknowledged = True


def _acknowledge(client: httpx.Client, task_id: str) -> bool:
    """Accept the Task as a clinician's own system would: read, change status and owner, update with If-Match."""
    task = _read(client, f"Task/{task_id}")
    if task is None:
        return False
    if task["status"] == "accepted":
        return True
    task["status"] = "accepted"
    task["owner"] = {"display": "Demo clinician"}
    answer = client.put(
        f"/fhir/Task/{task_id}",
        content=json.dumps(task),
        headers={"Content-Type": "application/fhir+json", "If-Match": f'W/"{task["meta"]["versionId"]}"'},
    )
    return answer.status_code == 200


def urgency_of(assessment: Mapping[str, Any]) -> str | None:
    """The coded disposition of a RiskAssessment; None when none was given yet."""
    for extension in assessment.get("extension", []):
        if extension["url"] == EXT_DISPOSITION:
            return str(extension["valueCoding"]["code"])
    return None


def fired_flags(assessment: Mapping[str, Any]) -> list[str]:
    """Ids of the red flags that fired, most urgent first."""
    flags = [
        extension["extension"] for extension in assessment.get("extension", []) if extension["url"] == EXT_RED_FLAG
    ]
    codes = [{part["url"]: part.get("valueCode") for part in parts} for parts in flags]
    return [str(flag["flag"]) for flag in codes if flag["result"] == "fired"]


def _post(client: httpx.Client, body: bytes) -> httpx.Response | None:
    answer = client.post("/fhir/QuestionnaireResponse", content=body, headers={"Content-Type": "application/fhir+json"})
    return answer if answer.status_code < 500 else None


def _read(client: httpx.Client, path: str) -> dict[str, Any] | None:
    answer = client.get(f"/fhir/{path}")
    found: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
    return found


def _all(client: httpx.Client, resource_type: str, parameters: dict[str, str]) -> list[dict[str, Any]]:
    answer = client.get(f"/fhir/{resource_type}", params=parameters)
    if answer.status_code != 200:
        return []
    return [entry["resource"] for entry in answer.json().get("entry", [])]


def _only(client: httpx.Client, resource_type: str, parameters: dict[str, str]) -> dict[str, Any] | None:
    found = _all(client, resource_type, parameters)
    if len(found) > 1:
        raise Unexpected(f"{len(found)} {resource_type} resources for one response, expected one")
    return found[0] if found else None


def _patiently(look: Callable[[], Any], otherwise: str) -> Any:
    """The first answer of `look`, through restarts and refusals, until the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            if (found := look()) is not None and found is not False:
                return found
        except httpx.HTTPError:
            pass
        if time.monotonic() > deadline:
            raise Unexpected(f"{otherwise} within {DEADLINE_S:.0f} s")
        time.sleep(0.02)


def _since(start: datetime, end: str) -> int:
    return round((datetime.fromisoformat(end) - start).total_seconds() * 1000)


def _first_issue(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["issue"][0]["details"]["text"])
    except (ValueError, KeyError, IndexError):
        return "no OperationOutcome"

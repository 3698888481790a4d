"""What an EHR system does: post and put responses, and read what it is told."""

from __future__ import annotations

import json
from typing import Any

import httpx

from shared.fhir.structure import check_structure

POST = "/fhir/QuestionnaireResponse"
FHIR = {"Content-Type": "application/fhir+json"}


def post(ehr: httpx.Client, response: dict[str, Any] | bytes, **headers: str) -> httpx.Response:
    return send(ehr, "POST", POST, response, **headers)


def put(ehr: httpx.Client, response: dict[str, Any], **headers: str) -> httpx.Response:
    """To the address of the id that the response carries."""
    return send(ehr, "PUT", f"{POST}/{response['id']}", response, **headers)


def send(ehr: httpx.Client, method: str, path: str, body: dict[str, Any] | bytes, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    extra = {name.replace("_", "-"): value for name, value in headers.items()}
    return ehr.request(method, path, content=content, headers=FHIR | extra)


def all_codes(answer: httpx.Response) -> list[str]:
    """Our reasons in an OperationOutcome, in their order."""
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert check_structure(outcome, resource_type="OperationOutcome") == []
    return [issue["details"]["coding"][0]["code"] for issue in outcome["issue"]]


def codes(answer: httpx.Response) -> list[str]:
    """What is said of the response itself, without the notice that a refused one was kept (test_safety_net.py)."""
    return [code for code in all_codes(answer) if code != "safety-net"]


def errors(answer: httpx.Response) -> list[str]:
    """Our reasons that are errors."""
    found = zip(all_codes(answer), answer.json()["issue"], strict=True)
    return [code for code, issue in found if issue["severity"] in ("error", "fatal")]


def stored(ehr: httpx.Client) -> int:
    """How many responses there are."""
    return len(ehr.get(POST).json().get("entry", []))


def id_of(answer: httpx.Response) -> str:
    """The id in the Location of an answer."""
    return httpx.URL(answer.headers["location"]).path.split("/")[3]

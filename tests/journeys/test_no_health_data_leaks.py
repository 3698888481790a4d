"""Marked patients go through the whole system in good, bad and refused requests; then we look everywhere for the marks.

They may be in the database and in the FHIR answers that are there to hold them, and nowhere else: not in a log, on the
broker, in a message to anybody, in a metric, in the words of a refusal, in a command line or an environment.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from shared.broker import KEY_PREFIX
from tests.builders import a_response, answer_of
from tests.journeys.system import System, everything
from tests.journeys.test_main_line import by_response
from tests.waiting import eventually

MARK = "ZZCANARY"
NOTHING_WAITS = "sural_quarantine_oldest_waiting_seconds 0.0"
"""Refused submissions were all looked at."""
FHIR = {"Content-Type": "application/fhir+json"}


def marked(**more: Any) -> dict[str, Any]:
    """An emergency in which everything that says something of the patient carries the mark."""
    response = a_response({"chest_pain": "Y", "other_concerns": f"{MARK}-answer"}, patient=f"{MARK}-id", **more)
    response["subject"]["display"] = f"{MARK} Name"
    response["subject"]["identifier"] = {"system": f"https://{MARK.lower()}.example.org", "value": f"{MARK}-mrn"}
    response["text"] = {
        "status": "additional",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{MARK}-narrative</div>',
    }
    return response


def refused() -> Iterator[tuple[str, bytes]]:
    """What a sender may get wrong, by a name, each with the mark where the mistake is.

    Names of elements and linkIds are repeated in a refusal, so that the sender finds the place; values never are.
    """
    good = marked(identifier="form-refused")

    def changed(**members: Any) -> bytes:
        return json.dumps({**good, **members}).encode()

    wrong_answer = marked(identifier="form-refused")
    answer_of(wrong_answer, "chest_pain")["answer"] = [{"valueString": f"{MARK}-wrong"}]
    wrong_code = marked(identifier="form-refused")
    answer_of(wrong_code, "chest_pain")["answer"] = [{"valueCoding": {"system": "x", "code": f"{MARK}-code"}}]
    bodies = {
        "no JSON": f'{{"{MARK}-not-json'.encode(),
        "unknown element": changed(otherElement=f"{MARK}-value"),
        "wrong type": changed(status=[f"{MARK}-status"]),
        "wrong status": changed(status=f"{MARK}-status"),
        "wrong date": changed(authored=f"{MARK}-authored"),
        "wrong subject": changed(subject={"reference": f"#{MARK}-contained"}),
        "unknown form": changed(questionnaire=f"https://example.org/{MARK}-form|1"),
        "unknown question": changed(item=[{"linkId": "other", "text": f"{MARK}-text"}]),
        "wrong answer": json.dumps(wrong_answer).encode(),
        "wrong code": json.dumps(wrong_code).encode(),
        "key twice": b'{"resourceType":"QuestionnaireResponse","status":"ZZCANARY-1","status":"ZZCANARY-2"}',
        "other resource": json.dumps({"resourceType": "Patient", "name": [{"family": f"{MARK}-family"}]}).encode(),
        "too deep": json.dumps({"resourceType": "QuestionnaireResponse", "item": deep(MARK)}).encode(),
        "not UTF-8": b'{"a": "ZZCANARY-\xff"}',
    }
    yield from bodies.items()


def deep(mark: str) -> list[Any]:
    item: list[Any] = [{"linkId": f"{mark}-deep"}]
    for _ in range(120):
        item = [{"linkId": f"{mark}-deep", "item": item}]
    return item


def send_everything(client: httpx.Client, system: System) -> list[str]:
    """Good, bad and refused requests with the mark; gives the texts of the answers that must not hold it."""
    told: list[str] = []
    posted = client.post("/fhir/QuestionnaireResponse", json=marked(identifier="form-1"), headers=FHIR)
    assert posted.status_code == 201, posted.text
    told.append(posted.text + str(posted.headers))
    response_id = posted.headers["location"].split("/QuestionnaireResponse/")[1].split("/")[0]
    [task] = eventually(lambda: by_response(client, "Task", response_id), within_s=30)

    again = client.post("/fhir/QuestionnaireResponse", json=marked(identifier="form-1"), headers=FHIR)
    other = {**marked(identifier="form-1"), "authored": "2026-11-23T08:00:00+00:00"}
    conflict = client.post("/fhir/QuestionnaireResponse", json=other, headers=FHIR)
    assert (again.status_code, conflict.status_code) == (200, 409)
    told += [again.text, conflict.text]
    for name, body in refused():
        answer = client.post("/fhir/QuestionnaireResponse", content=body, headers=FHIR)
        assert 400 <= answer.status_code < 500, (name, answer.status_code, answer.text)
        told.append(f"{name}: {answer.text} {answer.headers}")
    wrong = client.post("/fhir/QuestionnaireResponse", content=b"ZZCANARY", headers={"Content-Type": f"text/{MARK}"})
    told.append(str(wrong.headers))
    change = {**task, "status": "accepted", "owner": {"display": "Dr Osei"}, "description": f"{MARK}-changed"}
    told.append(client.put(f"/fhir/Task/{task['id']}", json=change, headers=FHIR).text)
    for query in (f"identifier={MARK}-none", f"{MARK}=1", f"_lastUpdated={MARK}", f"_page={MARK}", f"_sort={MARK}"):
        answer = client.get(f"/fhir/Task?{query}")
        assert answer.status_code < 500, query
        told += [issue(answer)] if answer.status_code != 200 else []
    for path in (f"/fhir/QuestionnaireResponse/{MARK}-none", f"/fhir/{MARK}", f"/{MARK}", f"/worklist/{MARK}"):
        assert client.get(path).status_code in (404, 405)
    for method in ("GET", "POST"):
        client.request(method, "/fhir/QuestionnaireResponse", headers={"X-Request-Id": "request-7", "Accept": MARK})
    client.get("/fhir/Task", headers={"Host": f"{MARK.lower()}.example.org"})
    eventually(lambda: task["id"] in mails(system), within_s=30)
    eventually(lambda: NOTHING_WAITS in client.get("/metrics").text, within_s=30)
    return told


def issue(answer: httpx.Response) -> str:
    """The words of a refusal, without the part of the address that was asked for."""
    return json.dumps([one.get("details", {}).get("text", "") for one in answer.json()["issue"]])


def mails(system: System) -> str:
    return httpx.get(f"{system.inbox_url}/messages", trust_env=False).text


def holding(folder: Path, *, but: str) -> list[str]:
    """Files below a folder that hold the mark, whole or compressed; `but` is what may hold it."""
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.relative_to(folder).parts[0] == but:
            continue
        content = path.read_bytes()
        if path.suffix == ".gz":
            content += gzip.decompress(content)
        if MARK.encode() in content.upper():
            found.append(str(path.relative_to(folder)))
    return found


def what_the_broker_holds(system: System) -> bytes:
    """Every key and value on the broker now. What was there before is in its append-only file, below the folder."""
    client = redis.Redis.from_url(system.redis_url)
    kept = [client.dump(key) or b"" for key in client.scan_iter(f"{KEY_PREFIX}*")]
    keys = list(client.scan_iter("*"))
    client.close()
    return b"".join([*keys, *kept])


def titles_and_environments() -> str:
    """Command lines and environments of all processes that we may look into."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                found.append((process / name).read_bytes().decode(errors="replace"))
            except OSError:
                continue
    return "".join(text for text in found if "journey" in text)


@pytest.mark.requirement("REQ-15")
def test_a_marked_patient_is_found_in_the_database_and_nowhere_else(system: System) -> None:
    with httpx.Client(base_url=system.url, timeout=30, trust_env=False) as client:
        told = send_everything(client, system)
        on_the_broker = what_the_broker_holds(system)
        responses = json.dumps(everything(client, "QuestionnaireResponse"))
        metrics = client.get("/metrics").text
        audit = client.get("/fhir/AuditEvent", params={"_count": "200"}).text

    assert f"{MARK}-answer" in responses, "what was sent is there: the marks are the ones that we look for"
    assert [text for text in told if MARK in text.upper()] == []
    assert MARK not in metrics.upper()
    assert MARK not in mails(system).upper()
    assert MARK.encode() not in on_the_broker.upper()
    assert holding(system.folder, but="postgres") == []
    assert MARK not in titles_and_environments().upper()
    for word in ("answer", "Name", "narrative", "wrong", "code", "text", "value", "family"):
        assert f"{MARK}-{word}" not in audit
        assert f"{MARK} {word}" not in audit

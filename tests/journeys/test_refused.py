"""A submission that is refused (422) holds an emergency: a person is told all the same, and acknowledges it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from shared.fhir.codes import SID_REFUSED
from tests.builders import a_response
from tests.intake.ehr import all_codes, post
from tests.journeys.system import System
from tests.waiting import eventually


@pytest.mark.requirement("REQ-30", "SR-16")
def test_an_emergency_in_a_refused_submission_becomes_an_alert_that_reaches_a_person(system: System) -> None:
    refused = a_response({"chest_pain": "Y"}, patient="p-refused")
    refused["item"].append({"linkId": "nonsense", "answer": [{"valueString": "x"}]})
    with httpx.Client(base_url=system.url, timeout=20, trust_env=False) as client:
        answer = post(client, refused)
        assert (answer.status_code, all_codes(answer)[-1]) == (422, "safety-net")
        [submission] = re.findall(r"submission ([0-9a-f-]{36})", answer.text)

        def tasks() -> list[dict[str, Any]]:
            found = client.get("/fhir/Task", params={"identifier": f"{SID_REFUSED}|{submission}"}).json()
            return [entry["resource"] for entry in found.get("entry", [])]

        [task] = eventually(tasks, within_s=30)
        assert task["priority"] == "stat"
        inbox = f"{system.inbox_url}/messages"
        told = eventually(lambda: mail_about(httpx.get(inbox, trust_env=False).json(), task["id"]), within_s=30)
        assert "refused submission looks urgent" in told

        page = client.get("/worklist").text
        form = re.search(rf'action="[^"]*/worklist/alert/{task["id"]}/acknowledge">(.*?)</form>', page, flags=re.DOTALL)
        assert form
        seen = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', form[1]))
        pressed = client.post(
            f"/worklist/alert/{task['id']}/acknowledge",
            data={"name": "Dr Example", **seen},
            headers={"Origin": system.url},
        )
        assert pressed.status_code in (200, 303)
        [task] = tasks()
        assert (task["status"], task["owner"]["display"]) == ("accepted", "Dr Example")


def mail_about(listed: Any, task_id: str) -> str:
    """The mail that leads to this alert, or nothing yet."""
    messages = listed["messages"] if isinstance(listed, dict) else listed
    return "".join(str(message) for message in messages if task_id in str(message))

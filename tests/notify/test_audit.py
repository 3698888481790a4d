"""What became of an alert is in the audit: who did it, and nothing that identifies the patient but the reference."""

from __future__ import annotations

import base64
import json

from services.notify.app import create_app
from services.notify.settings import NotifySettings
from tests.audit.test_recording import codes, events, references
from tests.notify.conftest import Service
from tests.notify.neighbours import Triage, an_assessment
from tests.serving import client_of


def test_who_looks_at_the_worklist_is_recorded(service: Service, triage: Triage, settings: NotifySettings) -> None:
    service.hears(triage.publish(an_assessment("emergency")))
    with client_of(create_app(settings)) as client:
        client.get("/worklist").raise_for_status()
        [looked] = [event for event in events(client) if event["action"] == "E"]

    assert base64.b64decode(looked["entity"][-1]["query"]).decode() == "Task?worklist"
    assert looked["agent"][0]["who"]["identifier"]["value"] == "sandbox"


def test_an_alert_is_recorded_from_its_opening_to_its_acknowledgement(
    service: Service, triage: Triage, settings: NotifySettings
) -> None:
    service.hears(triage.publish(an_assessment("emergency")))
    service.sends()
    alert_id = str(service.alert()["id"])
    with client_of(create_app(settings)) as client:
        client.post(
            f"/worklist/alert/{alert_id}/acknowledge",
            data={"name": "Dr Osei", "urgency": "emergency", "assessments": "1"},
            headers={"Sec-Fetch-Site": "same-origin"},
        )
        found = [event for event in reversed(events(client)) if event["action"] in ("C", "U")]

    assert [(codes(event)[-1], event["agent"][0]["who"]["identifier"]["value"]) for event in found] == [
        ("opened", "service/notify"),
        ("delivered", "service/notify"),
        ("delivered", "service/notify"),
        ("acknowledged", "sandbox"),
    ]
    assert all("Patient/7391" in references(event) for event in found)
    assert references(found[-1])[1].startswith(f"Task/{alert_id}/_history/")
    told = json.dumps(found)
    assert "Wrenfield" not in told
    assert "Osei" not in told
    assert "canary" not in told

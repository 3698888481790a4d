"""The worklist: what a clinician sees, and that only a deliberate press of the button acknowledges."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from services.notify.app import create_app
from services.notify.hear import RAISE_ROUTINE
from services.notify.settings import NotifySettings
from services.notify.worklist.words import age_words, delivery_words, patient_words
from tests.notify.conftest import Service
from tests.notify.neighbours import Triage, an_assessment
from tests.serving import client_of

FROM_THE_PAGE = {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8123"}


@pytest.fixture
def client(settings: NotifySettings) -> Iterator[httpx.Client]:
    with client_of(create_app(settings)) as opened:
        yield opened


SEEN = {"urgency": "emergency", "assessments": "1"}
"""What the page's form says of an emergency with one assessment."""


def press(client: httpx.Client, alert_id: object, *, name: str = "Dr Osei", **headers: str) -> httpx.Response:
    given = {key.replace("_", "-"): value for key, value in headers.items()} or FROM_THE_PAGE
    return client.post(f"/worklist/alert/{alert_id}/acknowledge", data={"name": name, **SEEN}, headers=given)


def test_an_empty_worklist_says_so(client: httpx.Client) -> None:
    page = client.get("/worklist")

    assert page.status_code == 200
    assert "No alert is waiting" in page.text
    assert "Sandbox: test data only" in page.text
    assert "Updated" in page.text


def test_the_worklist_shows_who_waits_how_urgent_and_what_was_sent(
    client: httpx.Client, service: Service, triage: Triage
) -> None:
    service.hears(triage.publish(an_assessment("same_day", patient="Patient/b", name="Mild Case")), kind=RAISE_ROUTINE)
    service.hears(triage.publish(an_assessment("emergency", patient="Patient/a", name="Severe Case")))
    service.sends()

    text = client.get("/worklist").text

    assert text.index("Severe Case") < text.index("Mild Case")
    assert "Waiting for somebody: 2" in text
    assert "1 by e-mail sent, 1 by webhook sent" in text
    assert "Decision support for clinicians" in text


@pytest.mark.requirement("REQ-09")
def test_an_alert_that_reached_nobody_says_so(client: httpx.Client, service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment()))
    assert "No message about this has reached anybody yet" in client.get("/worklist").text

    service.sends()
    assert "No message about this has reached anybody yet" not in client.get("/worklist").text


@pytest.mark.requirement("REQ-14")
def test_looking_never_acknowledges(client: httpx.Client, service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment()))
    alert_id = service.alert()["id"]

    client.get("/worklist")
    assert client.get(f"/worklist/alert/{alert_id}/acknowledge").status_code == 404

    assert service.alert()["state"] == "requested"


def test_the_button_acknowledges_and_the_page_says_who_did(
    client: httpx.Client, service: Service, triage: Triage
) -> None:
    service.hears(triage.publish(an_assessment()))
    alert_id = service.alert()["id"]

    answer = press(client, alert_id)

    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/worklist#alert-{alert_id}"
    assert service.alert()["acknowledged_by"] == "Dr Osei"
    text = client.get("/worklist").text
    assert "Waiting for somebody: 0" in text
    assert "known to Dr Osei" in text


def test_a_second_press_changes_nothing(client: httpx.Client, service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment()))
    alert_id = service.alert()["id"]

    press(client, alert_id)
    assert press(client, alert_id, name="Dr Late").status_code == 303

    assert service.alert()["acknowledged_by"] == "Dr Osei"
    assert service.events().count("acknowledged") == 1


def test_the_name_is_remembered_for_the_next_alert(client: httpx.Client, service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment(patient="Patient/first")))
    press(client, service.alert()["id"], name="Dr Ösei & Co")
    service.hears(triage.publish(an_assessment(patient="Patient/second")))

    assert 'value="Dr Ösei &amp; Co"' in client.get("/worklist").text


@pytest.mark.requirement("REQ-14")
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec_Fetch_Site": "same-site", "Origin": "http://127.0.0.1:8123"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "same-origin", "Origin": "http://evil.example:8123"},
        {"X_Nothing": "at all"},
    ],
    ids=str,
)
def test_another_site_cannot_acknowledge(
    client: httpx.Client, service: Service, triage: Triage, headers: dict[str, str]
) -> None:
    service.hears(triage.publish(an_assessment()))

    answer = press(client, service.alert()["id"], **headers)

    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")
    assert service.alert()["state"] == "requested"


@pytest.mark.requirement("REQ-14")
@pytest.mark.parametrize("name", ["", "   ", "x" * 121, "a\x07b"])
def test_nobody_acknowledges_without_a_name(client: httpx.Client, service: Service, triage: Triage, name: str) -> None:
    service.hears(triage.publish(an_assessment()))

    answer = press(client, service.alert()["id"], name=name)

    assert answer.status_code == 422
    assert "Give the name" in answer.text
    assert service.alert()["state"] == "requested"


@pytest.mark.parametrize("alert_id", ["0199a0b0-0000-7000-8000-000000000000", "not-an-id"])
def test_an_unknown_alert_is_a_page_that_says_so(client: httpx.Client, alert_id: str) -> None:
    answer = press(client, alert_id)

    assert answer.status_code == 404
    assert "Back to the worklist" in answer.text


def test_what_a_patient_is_called_cannot_become_markup(client: httpx.Client, service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment(name="<script>alert(1)</script>")))

    text = client.get("/worklist").text

    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_the_page_runs_nothing_and_loads_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/worklist")
    style = client.get("/worklist/assets/style.css")

    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"
    assert "style=" not in page.text
    assert style.headers["content-type"].startswith("text/css")
    assert "http" not in style.text


def test_words_for_age_deliveries_and_patients() -> None:
    assert [age_words(timedelta(seconds=s)) for s in (-3, 12, 425, 11_100, 187_300)] == [
        "0 s",
        "12 s",
        "7 min",
        "3 h 5 min",
        "2 d 4 h",
    ]
    assert delivery_words([{"channel": "email", "state": "dead", "number": 2}]) == "2 by e-mail given up"
    assert patient_words({"identifier": {"system": "s", "value": "81-7"}}) == ("81-7", "")
    assert patient_words({"reference": "Patient/7", "display": "A B"}) == ("A B", "Patient/7")
    assert patient_words(None)[0] == "Patient not known"


@pytest.mark.requirement("REQ-14")
@pytest.mark.parametrize("newer", ["emergency", "same_day"])
def test_a_page_from_before_a_further_assessment_cannot_acknowledge_it(
    client: httpx.Client, service: Service, triage: Triage, newer: str
) -> None:
    service.hears(triage.publish(an_assessment("same_day")), kind=RAISE_ROUTINE)
    alert_id = service.alert()["id"]
    seen = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', client.get("/worklist").text))
    service.hears(triage.publish(an_assessment(newer, response_id="qr-77")))

    def acknowledge() -> httpx.Response:
        form = {"name": "Dr Osei", **seen}
        return client.post(f"/worklist/alert/{alert_id}/acknowledge", data=form, headers=FROM_THE_PAGE)

    stale = acknowledge()
    assert stale.status_code == 409
    assert "This alert changed since you looked; look again." in stale.text
    assert service.alert()["state"] == "requested"

    seen = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', client.get("/worklist").text))
    assert seen == {"urgency": newer, "assessments": "2"}
    assert acknowledge().status_code == 303
    assert service.alert()["acknowledged_by"] == "Dr Osei"


@pytest.mark.requirement("REQ-14")
@pytest.mark.parametrize(
    "seen",
    [{}, {"urgency": "emergency"}, {"assessments": "1"}, {"urgency": "dire", "assessments": "1"},
     {"urgency": "emergency", "assessments": "²"}],
    ids=str,
)  # fmt: skip
def test_a_form_that_does_not_say_what_was_seen_acknowledges_nothing(
    client: httpx.Client, service: Service, triage: Triage, seen: dict[str, str]
) -> None:
    service.hears(triage.publish(an_assessment()))
    address = f"/worklist/alert/{service.alert()['id']}/acknowledge"

    answer = client.post(address, data={"name": "Dr Osei", **seen}, headers=FROM_THE_PAGE)

    assert answer.status_code == 409
    assert service.alert()["state"] == "requested"

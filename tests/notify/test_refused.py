"""A refused submission that looks urgent: what people are told, and how its correction finds the same alert."""

from __future__ import annotations

from typing import Any

import pytest

from shared.fhir.codes import EXT_REFUSED, SID_REFUSED, SID_RESPONSE, SID_SUBMISSION
from shared.ids import uuid7
from tests.notify.conftest import Service
from tests.notify.neighbours import MailServer, Triage, an_assessment

UNKNOWN: dict[str, Any] = {"display": "Patient not known (refused submission)"}


def a_refused(subject: dict[str, Any] = UNKNOWN, *, submission: str | None = "form-5") -> dict[str, Any]:
    """A RiskAssessment of a refused submission, as triage serves it."""
    resource = an_assessment("emergency", status="preliminary")
    resource["extension"].append(
        {
            "url": EXT_REFUSED,
            "extension": [
                {"url": "client", "valueString": "st-marys-ehr"},
                {"url": "received", "valueInstant": "2026-11-29T03:17:00.000Z"},
            ],
        }
    )
    resource["identifier"] = [{"system": SID_REFUSED, "value": str(uuid7())}]
    if submission:
        resource["identifier"].append({"system": SID_SUBMISSION, "value": submission})
    return resource | {"subject": subject}


def corrected(patient: str = "Patient/7391", *, submission: str = "form-5") -> dict[str, Any]:
    resource = an_assessment("emergency", patient=patient)
    resource["identifier"].append({"system": SID_SUBMISSION, "value": submission})
    return resource


@pytest.mark.requirement("REQ-30")
def test_mail_and_task_say_that_a_refused_submission_looks_urgent_from_whom_and_when(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    refused = a_refused()
    service.hears(triage.publish(refused))
    service.sends()

    [sent] = mail.mails
    text = sent.get_payload(decode=True).decode()  # type: ignore[union-attr]
    task = service.task(service.alert()["id"])
    assert "refused submission looks urgent" in sent["Subject"]
    for words in (text, task["description"], task["note"][0]["text"]):
        assert "st-marys-ehr" in words
        assert "2026-11-29 03:17 UTC" in words
    assert "Reach the patient now" in text
    assert task["priority"] == "stat"
    assert refused["identifier"][0] in task["identifier"]
    assert task["for"] == UNKNOWN


@pytest.mark.requirement("REQ-30")
def test_its_correction_joins_the_same_alert_names_the_patient_and_tells_nobody_twice(
    service: Service, triage: Triage, mail: MailServer
) -> None:
    service.hears(triage.publish(a_refused()))
    service.sends()
    service.hears(triage.publish(corrected()))
    service.sends()

    alert = service.alert()
    task = service.task(alert["id"])
    assert len(mail.mails) == 1
    assert alert["subject_key"] == "Patient/7391"
    assert task["for"]["reference"] == "Patient/7391"
    assert "description" not in task
    assert {"system": SID_RESPONSE, "value": "qr-5521"} in task["identifier"]

    service.hears(triage.publish(corrected(submission="another form")))
    assert service.alert()["id"] == alert["id"], "from now on it is this patient's alert"


@pytest.mark.requirement("REQ-30")
def test_a_refused_submission_of_a_known_patient_joins_that_patients_alert(service: Service, triage: Triage) -> None:
    service.hears(triage.publish(an_assessment("same_day")))
    service.hears(triage.publish(a_refused({"reference": "Patient/7391"})))

    assert service.alert()["urgency"] == "emergency"


@pytest.mark.requirement("REQ-30")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(a_refused(submission="form-5"), corrected(submission="form-6"), id="another form"),
        pytest.param(a_refused(submission=None), corrected(), id="no identifier"),
        pytest.param(corrected("Patient/1"), a_refused(), id="a known patient's alert, by an identifier used twice"),
        pytest.param(a_refused({"reference": "Patient/1"}), corrected("Patient/2"), id="another patient"),
        pytest.param(a_refused(submission=None), a_refused(submission=None), id="two unknown patients"),
    ],
)
def test_what_may_be_another_patient_never_joins(
    service: Service, triage: Triage, first: dict[str, Any], second: dict[str, Any]
) -> None:
    service.hears(triage.publish(first))
    service.hears(triage.publish(second))

    assert len(service.rows("SELECT 1 FROM alert")) == 2

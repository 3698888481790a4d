"""The words of the page: the story's lines, and the way to the patient's record."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.notify.detail.ledger import ledger_lines
from services.notify.detail.words import listed, patient_link, urgency_word
from services.notify.settings import NotifySettings

AT = datetime(2026, 11, 29, 3, 17, tzinfo=UTC)
LINK = "https://ehr.example/patient/{value}"


def line(kind: str, **more: object) -> str:
    [found] = ledger_lines([{"kind": kind, "at": AT, **more}], [], {"dr-osei": "Dr Osei", "night": "Night team"})
    return f"{found.text} {found.who}".strip()


@pytest.mark.parametrize(
    ("kind", "more", "words"),
    [
        ("opened", {"detail": "emergency"}, "Alert opened: Emergency."),
        ("repeated", {"step": 3}, "Nobody had acknowledged: step 3 began."),
        ("acknowledged", {"person": "Dr Osei", "way": "link"}, "Acknowledged. Dr Osei, by a one-time link"),
        ("acknowledged", {"person": "Dr Osei"}, "Acknowledged. Dr Osei"),
        ("snoozed", {"person": "A", "until": AT}, "Snoozed until 2026-11-29 03:17:00 UTC. A"),
        (
            "handed_over",
            {"person": "A", "target": "night"},
            "Handed over to Night team. The chain began anew. A",
        ),
        (
            "rejected",
            {"person": "A", "detail": "false-alarm", "reason": "answers-wrong"},
            "Closed: False alarm. Reason: Answers wrong. A",
        ),
        (
            "delivered",
            {"channel": "email", "recipient": "a@b.example", "told": "dr-osei", "detail": "email"},
            "E-mail to Dr Osei (a@b.example): sent.",
        ),
        (
            "delivery_given_up",
            {"channel": "webhook", "recipient": "https://x.example", "detail": "http-503"},
            "Webhook to https://x.example: given up (http 503). This message reached nobody.",
        ),
        ("dreamt_of", {"detail": "{0} {x}"}, "Dreamt of ({0} {x})."),
    ],
)
def test_every_kind_of_event_has_words_and_an_unknown_one_is_shown_too(
    kind: str, more: dict[str, object], words: str
) -> None:
    assert line(kind, **more) == words


@pytest.mark.parametrize(
    ("subject", "link"),
    [
        ({"reference": "Patient/7391"}, "https://ehr.example/patient/7391"),
        ({"reference": "https://ehr.example/fhir/Patient/7391/_history/2"}, "https://ehr.example/patient/7391"),
        ({"identifier": {"system": "s", "value": "81-7"}}, "https://ehr.example/patient/81-7"),
        ({"reference": "Patient/1", "identifier": {"value": "81-7"}}, "https://ehr.example/patient/81-7"),
        ({"identifier": {"value": "../admin?x=1#y"}}, "https://ehr.example/patient/..%2Fadmin%3Fx%3D1%23y"),
        ({"display": "Nobody knows"}, ""),
        ({"reference": "#contained"}, ""),
        (None, ""),
    ],
    ids=str,
)
def test_the_record_is_found_by_identifier_or_id_and_by_nothing_else(
    subject: dict[str, object] | None, link: str
) -> None:
    assert patient_link(LINK, subject) == link
    assert patient_link("", subject) == ""


def test_a_link_that_wants_the_system_is_not_made_without_it() -> None:
    template = "https://ehr.example/find?by={system}|{value}"

    assert patient_link(template, {"reference": "Patient/1"}) == ""
    named = {"identifier": {"system": "urn:x", "value": "1"}}
    assert patient_link(template, named) == "https://ehr.example/find?by=urn%3Ax|1"


@pytest.mark.parametrize(
    "link",
    ["javascript:alert({value})", "ehr.example/{value}", "https://ehr.example/patient", "https://{value}.example/"],
)
def test_a_template_that_is_no_address_of_a_record_is_refused_at_the_start(link: str) -> None:
    with pytest.raises(ValueError, match="SURAL_PATIENT_LINK"):
        NotifySettings(notify_database_url="postgresql://x", mode="sandbox", patient_link=link)  # type: ignore[arg-type]


def test_words() -> None:
    assert urgency_word(None) == "Urgency not known"
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]

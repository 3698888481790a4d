"""Nobody is told of more than they can bear, and somebody is always told."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pytest

from services.notify.escalation import EMERGENCY, SAME_DAY, Recipient
from services.notify.fatigue.budget import spared
from services.notify.hear import RAISE_ROUTINE, raise_alerts
from services.notify.settings import NotifySettings
from shared import jobs
from tests.notify.conftest import Service
from tests.notify.neighbours import Triage, an_assessment

OSEI, LIND = Recipient("email", "osei@clinic.example", "osei"), Recipient("email", "lind@clinic.example", "lind")
OSEIS_PHONE = Recipient("push", "osei", "osei")


class Opened(Protocol):
    def __call__(self, settings: NotifySettings) -> AbstractContextManager[Service]: ...


@pytest.fixture
def service(settings: NotifySettings, open_service: Opened) -> Iterator[Service]:
    """Two people by e-mail who get two messages an hour each."""
    wanted = settings.model_copy(
        update={
            "messages_per_hour": 2,
            "webhook_url": None,
            "alert_recipients": "osei@clinic.example, lind@clinic.example",
        }
    )
    with open_service(wanted) as opened:
        yield opened


def alerted(service: Service, triage: Triage, patients: int, urgency: str = "same_day") -> None:
    """So many patients with an alert each, one after the other."""
    for number in range(patients):
        service.hears(triage.publish(an_assessment(urgency, patient=f"Patient/{urgency}-{number}")), kind=RAISE_ROUTINE)


def states(service: Service) -> list[dict[str, Any]]:
    return service.rows("SELECT recipient, state FROM delivery ORDER BY created_at, recipient DESC")


def make_busy(service: Service, address: str) -> None:
    """As if this address alone had had many messages within the hour."""
    service.rows(
        "INSERT INTO delivery (id, tenant_id, alert_id, step, channel, recipient, urgency, state, created_at) "
        "SELECT gen_random_uuid(), tenant_id, id, 100 + n, 'email', %s, 'same_day', 'sent', now() "
        "FROM alert, generate_series(1, 5) AS n",
        address,
    )


def test_who_had_many_messages_is_spared_the_next_and_it_is_recorded(service: Service, triage: Triage) -> None:
    alerted(service, triage, 1)
    make_busy(service, "lind@clinic.example")
    service.rows("DELETE FROM delivery WHERE step = 1")

    alerted(service, triage, 2)

    spared_rows = service.rows("SELECT * FROM delivery WHERE state = 'suppressed'")
    assert {row["recipient"] for row in spared_rows} == {"lind@clinic.example"}
    said = [each for each in service.resources("Communication") if each["status"] == "not-done"]
    assert len(said) == len(spared_rows) == 1
    assert said[0]["statusReason"]["coding"][0]["code"] == "over-budget"
    assert "suppressed" in service.events()
    jobs = service.rows("SELECT ref_id FROM job")
    assert str(spared_rows[0]["id"]) not in {row["ref_id"] for row in jobs}


@pytest.mark.requirement("SR-16", "REQ-38")
def test_where_everybody_would_be_spared_the_first_is_told_all_the_same(service: Service, triage: Triage) -> None:
    alerted(service, triage, 4)

    assert (
        states(service)[4:]
        == [
            {"recipient": "osei@clinic.example", "state": "pending"},
            {"recipient": "lind@clinic.example", "state": "suppressed"},
        ]
        * 2
    )
    service.sends()
    assert len(service.rows("SELECT * FROM alert WHERE state = 'received'")) == 4


@pytest.mark.requirement("SR-16", "REQ-38")
def test_an_emergency_is_never_suppressed_and_never_counted(service: Service, triage: Triage) -> None:
    alerted(service, triage, 5, "emergency")
    alerted(service, triage, 2, "same_day")
    alerted(service, triage, 1, "emergency")

    assert {row["state"] for row in states(service)} == {"pending"}


def test_an_hour_later_everybody_is_told_again(service: Service, triage: Triage) -> None:
    alerted(service, triage, 3)
    service.rows("UPDATE delivery SET created_at = created_at - interval '61 minutes'")

    service.hears(triage.publish(an_assessment("same_day", patient="Patient/later")), kind=RAISE_ROUTINE)

    assert [row["state"] for row in states(service)][-2:] == ["pending", "pending"]


def test_the_devices_of_a_person_are_told_together_or_not_at_all() -> None:
    assert spared([OSEI, OSEIS_PHONE, LIND], urgency=SAME_DAY, lately={"osei": 2}, budget=2) == (OSEI, OSEIS_PHONE)
    assert spared([OSEI, OSEIS_PHONE], urgency=SAME_DAY, lately={"osei": 9}, budget=2) == ()
    assert spared([OSEI, LIND], urgency=EMERGENCY, lately={"osei": 9}, budget=2) == ()


def test_the_red_flags_behind_an_alert_are_noted(service: Service, triage: Triage) -> None:
    assessment = an_assessment("same_day")
    assessment["extension"] += [flag("hot-joint", "fired"), flag("cold-foot", "undecided")]

    service.hears(triage.publish(assessment), kind=RAISE_ROUTINE)

    assert service.rows("SELECT flag FROM alert_flag") == [{"flag": "hot-joint"}]


def flag(name: str, verdict: str) -> dict[str, Any]:
    from shared.fhir.codes import EXT_RED_FLAG

    parts = [{"url": "flag", "valueCode": name}, {"url": "result", "valueCode": verdict}]
    return {"url": EXT_RED_FLAG, "extension": parts}


@pytest.mark.requirement("SR-16")
def test_alerts_that_are_raised_at_the_same_time_do_not_exceed_the_budget_together(
    service: Service, triage: Triage
) -> None:
    refs = [triage.publish(an_assessment("same_day", patient=f"Patient/{number}")) for number in range(8)]
    with service.notify.pool.connection() as connection:
        jobs.add(connection, RAISE_ROUTINE, refs)
        claims = jobs.claim(connection, RAISE_ROUTINE)

    with ThreadPoolExecutor(len(claims)) as workers:
        list(workers.map(lambda claim: raise_alerts(service.notify, [claim]), claims))

    told = service.rows(
        "SELECT recipient, count(*) AS n FROM delivery WHERE state <> 'suppressed' GROUP BY 1 ORDER BY 1"
    )
    assert len(service.rows("SELECT id FROM alert")) == 8
    # Where everybody would be spared the first is told all the same; the second is told of two and no more.
    assert told == [{"recipient": "lind@clinic.example", "n": 2}, {"recipient": "osei@clinic.example", "n": 8}]

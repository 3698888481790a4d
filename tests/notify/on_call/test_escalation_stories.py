"""Who is told of an alert that nobody acknowledges, and when: stories on real rows, with a clock that is moved."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from services.notify import store
from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.escalate import repeat_due, restart
from services.notify.reconcile import reconcile
from shared.ids import DEFAULT_TENANT
from shared.postgres import database_now, tenant_transaction
from tests.notify.neighbours import an_assessment
from tests.notify.on_call.clinic import ALWAYS_FIRST, PEOPLE, POLICY, STANDARD, TEAM, Clinic

SITE = "on-call"
FIRST = Actor("Dr First", None, "page")
"""SURAL_ALERT_RECIPIENTS of these tests: on-call@example.org."""


@pytest.mark.requirement("SR-16", "REQ-09")
def test_an_unacknowledged_emergency_reaches_the_second_doctor_after_five_minutes(clinic: Clinic) -> None:
    clinic.agrees_on(STANDARD)
    clinic.sees()
    assert clinic.told() == ["first"]

    assert clinic.minutes_pass(4.9) == 0
    assert clinic.told() == ["first"]

    assert clinic.minutes_pass(0.1) == 1
    assert clinic.told() == ["first", "second"]


@pytest.mark.requirement("SR-16", "REQ-09")
def test_a_same_day_alert_reaches_the_second_doctor_within_the_hour(clinic: Clinic) -> None:
    clinic.agrees_on(STANDARD)
    clinic.sees("same_day")

    assert clinic.minutes_pass(59) == 0
    assert clinic.minutes_pass(1) == 1
    assert clinic.told() == ["first", "second"]


@pytest.mark.requirement("REQ-09")
def test_an_acknowledgement_ends_the_chain(clinic: Clinic) -> None:
    clinic.agrees_on(STANDARD)
    clinic.sees()
    acknowledge(clinic.service.notify.pool, DEFAULT_TENANT, clinic.service.alert()["id"], by=FIRST)

    assert clinic.minutes_pass(600) == 0
    assert clinic.told() == ["first"]


@pytest.mark.requirement("REQ-09", "REQ-33")
def test_a_chain_that_nobody_ends_comes_to_the_head_and_then_to_the_site_again_and_again(clinic: Clinic) -> None:
    clinic.agrees_on(STANDARD)
    clinic.sees()

    clinic.minutes_pass(5)
    assert clinic.minutes_pass(9.9) == 0
    clinic.minutes_pass(0.1)
    clinic.minutes_pass(5)
    assert clinic.told() == ["first", "second", "first", "second"]
    assert clinic.service.alert()["exhausted_at"] is None

    clinic.minutes_pass(10)
    assert clinic.told()[4:] == ["head"]
    exhausted = clinic.service.alert()["exhausted_at"]
    assert exhausted is not None

    clinic.minutes_pass(5)
    clinic.minutes_pass(5)
    assert sorted(clinic.told()[5:]) == ["head", "head", SITE, SITE]
    assert clinic.service.alert()["exhausted_at"] == exhausted
    assert clinic.service.alert()["due_at"] is not None
    assert clinic.events().count("exhausted") == 1


@pytest.mark.requirement("REQ-09", "REQ-33")
def test_a_step_that_has_nobody_on_call_is_passed_over_at_once_and_loudly(clinic: Clinic) -> None:
    clinic.agrees_on(PEOPLE + ROTA_OF_THE_PAST + TEAM + POLICY.replace("person:first", "rota:doctors"))
    clinic.sees()

    assert clinic.told() == ["second"]
    assert clinic.events() == ["opened", "nobody_on_call"]
    assert clinic.service.alert()["position"] == 1
    assert clinic.service.alert()["exhausted_at"] is None


@pytest.mark.requirement("REQ-09")
def test_where_nobody_at_all_is_on_call_the_head_of_the_clinic_is_told_at_once(clinic: Clinic) -> None:
    nobody = POLICY.replace("person:first", "rota:doctors").replace("person:second", "rota:doctors")
    clinic.agrees_on(PEOPLE + ROTA_OF_THE_PAST + TEAM + nobody)
    clinic.sees()

    assert clinic.told() == ["head"]
    assert clinic.events() == ["opened", "nobody_on_call", "nobody_on_call", "exhausted"]
    clinic.minutes_pass(5)
    assert sorted(clinic.told()) == ["head", "head", SITE]


ROTA_OF_THE_PAST = """
[rotas.doctors]
name = "Doctors"
dated = [{ from = "2020-01-01 08:00", to = "2020-01-02 08:00", people = ["first"] }]
"""


def test_an_override_brings_the_message_to_whoever_took_over(clinic: Clinic) -> None:
    took_over = """
[[rotas.doctors.overrides]]
from = "2020-01-01 00:00"
to = "2099-01-01 00:00"
people = ["nurse"]
instead_of = "first"
"""
    clinic.agrees_on(PEOPLE + ALWAYS_FIRST + took_over + TEAM + POLICY.replace("person:first", "rota:doctors"))
    clinic.sees()

    assert clinic.told() == ["nurse"]


@pytest.mark.requirement("REQ-09")
def test_an_open_alert_keeps_the_steps_it_began_with_and_asks_the_newest_rota_who_is_on_call(clinic: Clinic) -> None:
    by_rota = POLICY.replace("person:second", "rota:doctors")
    clinic.agrees_on(PEOPLE + ALWAYS_FIRST + TEAM + by_rota)
    clinic.sees()
    assert clinic.told() == ["first"]

    other_rota = ALWAYS_FIRST.replace('people = ["first"]', 'people = ["nurse"]')
    clinic.agrees_on(PEOPLE + other_rota + TEAM + by_rota.replace("after_minutes = 5", "after_minutes = 3"))
    assert clinic.minutes_pass(4.9) == 0
    assert clinic.minutes_pass(0.1) == 1

    assert clinic.told() == ["first", "nurse"]
    assert clinic.service.alert()["policy_version"] == 1


def test_somebody_who_left_the_clinic_is_not_told_and_the_chain_goes_on(clinic: Clinic) -> None:
    clinic.agrees_on(STANDARD)
    clinic.sees()
    start, end = PEOPLE.index("[people.second]"), PEOPLE.index("[people.nurse]")
    left = (
        PEOPLE[:start] + PEOPLE[end:] + TEAM.replace(', "second"', "") + POLICY.replace("person:second", "person:first")
    )
    clinic.agrees_on(left)

    clinic.minutes_pass(5)

    assert clinic.told() == ["first", "head"]
    assert "nobody_on_call" in clinic.events()


@pytest.mark.requirement("SR-16")
def test_an_alert_that_becomes_an_emergency_begins_the_chain_of_emergencies_from_its_first_step(clinic: Clinic) -> None:
    clinic.agrees_on(STANDARD)
    clinic.sees("same_day")
    clinic.minutes_pass(60)
    assert clinic.told() == ["first", "second"]

    clinic.sees("emergency")
    assert clinic.told() == ["first", "second", "first"]
    assert clinic.minutes_pass(5) == 1
    assert clinic.told()[3:] == ["second"]


def test_each_step_is_a_request_to_the_people_of_that_step(clinic: Clinic) -> None:
    clinic.agrees_on(STANDARD)
    clinic.sees()
    clinic.minutes_pass(5)

    orders = clinic.service.resources("CommunicationRequest")
    told = [[one["identifier"]["value"] for one in order["recipient"]] for order in orders]
    assert told == [["mailto:first@clinic.example"], ["mailto:second@clinic.example"]]
    task = clinic.service.task(clinic.service.alert()["id"])
    assert task["businessStatus"] == {"text": "step 2"}
    (due,) = clinic.service.rows("SELECT to_char(due_at, 'YYYY-MM-DD\"T\"HH24:MI:SS') AS due FROM alert")
    assert task["restriction"]["period"]["end"].startswith(due["due"])
    people = clinic.service.rows("SELECT person FROM delivery ORDER BY step")
    assert [row["person"] for row in people] == ["first", "second"]


def test_the_pathway_and_the_threshold_pick_the_team(clinic: Clinic) -> None:
    own = """
[teams.knee]
name = "Knee"
members = ["nurse"]
policy = "knee"
pathways = ["posterior-lower-limb"]
threshold = "emergency"

[policies.knee]
name = "Nurse"
[[policies.knee.emergency]]
after_minutes = 0
tell = ["team:knee"]
"""
    clinic.agrees_on(STANDARD + own)

    clinic.sees("emergency", patient="Patient/1")
    clinic.sees("same_day", patient="Patient/2")
    clinic.sees("emergency", patient="Patient/3", pathway="shoulder")

    assert clinic.told() == ["nurse", "first", "first"]
    teams = clinic.service.rows("SELECT team FROM alert ORDER BY subject_key")
    assert [row["team"] for row in teams] == ["knee", "vascular", "vascular"]


@pytest.mark.requirement("REQ-09")
def test_an_alert_that_no_team_takes_goes_to_the_fallback_at_once(clinic: Clinic) -> None:
    clinic.agrees_on(PEOPLE + TEAM + 'threshold = "emergency"\n' + POLICY)
    clinic.sees("same_day")

    assert clinic.told() == ["head"]
    clinic.minutes_pass(60)
    assert sorted(clinic.told()) == ["head", "head", SITE]


QUIET = STANDARD.replace(
    'address = "second@clinic.example" }]',
    'address = "second@clinic.example" }]\nquiet = [{ from = "00:00", to = "24:00", days = [%s] }]',
).replace('after_minutes = 0\ntell = ["person:first"]', 'after_minutes = 0\ntell = ["person:first", "person:second"]')


def quiet_today(clinic: Clinic, *, days: int = 1) -> str:
    """Dr Second has quiet hours all day, on this day of the database's calendar (in London) and, for more, the next."""
    rows = clinic.service.rows(
        "SELECT lower(to_char(now() AT TIME ZONE 'Europe/London' + later * interval '1 day', 'dy')) AS day "
        "FROM generate_series(0, %s) AS later",
        days - 1,
    )
    return QUIET % ", ".join(f'"{row["day"]}"' for row in rows)


@pytest.mark.requirement("SR-16")
def test_quiet_hours_hold_a_same_day_message_while_somebody_else_is_told(clinic: Clinic) -> None:
    clinic.agrees_on(quiet_today(clinic))
    clinic.sees("same_day")

    assert clinic.told() == ["first"]
    assert clinic.events() == ["opened", "held"]

    clinic.service.rows("UPDATE alert SET due_at = due_at + interval '2 days'")
    clinic.minutes_pass(24 * 60)
    assert clinic.told() == ["first", "second"]


def test_what_was_held_is_not_sent_once_somebody_acknowledged(clinic: Clinic) -> None:
    clinic.agrees_on(quiet_today(clinic))
    clinic.sees("same_day")
    acknowledge(clinic.service.notify.pool, DEFAULT_TENANT, clinic.service.alert()["id"], by=FIRST)

    clinic.minutes_pass(24 * 60)

    assert clinic.told() == ["first"]
    assert clinic.events()[-1] == "withdrawn"


@pytest.mark.requirement("SR-16", "REQ-38")
def test_quiet_hours_never_hold_an_emergency(clinic: Clinic) -> None:
    clinic.agrees_on(quiet_today(clinic))
    clinic.sees("emergency")

    assert sorted(clinic.told()) == ["first", "second"]


@pytest.mark.requirement("SR-16")
def test_quiet_hours_hold_nothing_when_nobody_else_would_be_told(clinic: Clinic) -> None:
    clinic.agrees_on(quiet_today(clinic))
    clinic.sees("same_day")
    clinic.minutes_pass(60)

    assert clinic.told() == ["first", "second"]
    assert clinic.events().count("held") == 1


def test_a_message_that_waits_is_not_held_a_second_time(clinic: Clinic) -> None:
    again = quiet_today(clinic, days=2).replace('tell = ["person:second"]', 'tell = ["person:first", "person:second"]')
    clinic.agrees_on(again)
    clinic.sees("same_day")
    clinic.minutes_pass(60)

    assert clinic.told() == ["first", "first"]
    assert clinic.events().count("held") == 1


def test_whoever_it_was_handed_to_is_told_first_and_then_the_chain_begins(clinic: Clinic) -> None:
    clinic.agrees_on(STANDARD)
    clinic.sees()
    hand_over(clinic, "nurse")
    clinic.service.sends()
    assert clinic.told() == ["first", "nurse"]

    assert clinic.minutes_pass(4.9) == 0
    clinic.minutes_pass(0.1)
    clinic.minutes_pass(5)
    assert clinic.told()[2:] == ["first", "second"]


def test_a_team_that_it_was_handed_to_is_told_by_its_own_policy(clinic: Clinic) -> None:
    ward = """
[teams.ward]
name = "Ward"
members = ["nurse"]
policy = "ward"
threshold = "emergency"
pathways = ["another"]

[policies.ward]
name = "Nurse"
[[policies.ward.emergency]]
after_minutes = 0
tell = ["team:ward"]
"""
    clinic.agrees_on(STANDARD + ward)
    clinic.sees()
    hand_over(clinic, "ward")
    clinic.service.sends()

    assert clinic.told() == ["first", "nurse"]
    assert clinic.service.alert()["team"] == "ward"


def hand_over(clinic: Clinic, owner: str) -> None:
    pool, plan = clinic.service.notify.pool, clinic.service.notify.plan
    with tenant_transaction(pool, DEFAULT_TENANT) as connection:
        alert = store.lock_alert(connection, DEFAULT_TENANT, clinic.service.alert()["id"])
        assert alert is not None
        content = store.read_task(connection, alert)
        alert = replace(alert, owner=owner, task_version=alert.task_version + 1)
        restart(connection, plan, alert, content, database_now(connection))


def test_without_a_document_everybody_of_the_settings_is_told_again_and_again(clinic: Clinic) -> None:
    clinic.sees()
    clinic.minutes_pass(5)
    clinic.minutes_pass(5)

    assert clinic.told() == [SITE] * 3
    assert clinic.service.alert()["policy_version"] is None


@pytest.mark.requirement("REQ-09")
def test_two_ticks_at_once_tell_the_second_doctor_once(clinic: Clinic) -> None:
    clinic.agrees_on(STANDARD)
    for number in range(6):
        clinic.sees(patient=f"Patient/{number}")
    clinic.service.alerts_due()
    notify = clinic.service.notify
    barrier = threading.Barrier(4)

    def tick() -> None:
        barrier.wait(timeout=20)
        repeat_due(notify.pool, notify.plan)

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clinic.service.sends()

    assert clinic.told() == ["first"] * 6 + ["second"] * 6


@pytest.mark.requirement("REQ-09")
def test_no_second_doctor_is_told_once_the_first_has_acknowledged_however_the_two_race(clinic: Clinic) -> None:
    clinic.agrees_on(STANDARD)
    notify = clinic.service.notify
    for number in range(10):
        clinic.service.hears(clinic.triage.publish(an_assessment(patient=f"Patient/{number}")))
        (alert,) = clinic.service.rows("SELECT id FROM alert WHERE state IN ('requested', 'received')")
        clinic.service.alerts_due()
        barrier = threading.Barrier(2)

        def fire(barrier: threading.Barrier = barrier) -> None:
            barrier.wait(timeout=20)
            repeat_due(notify.pool, notify.plan)

        thread = threading.Thread(target=fire)
        thread.start()
        barrier.wait(timeout=20)
        acknowledge(notify.pool, DEFAULT_TENANT, alert["id"], by=FIRST)
        thread.join()

    late = clinic.service.rows(
        "SELECT * FROM alert_event AS told JOIN alert_event AS known ON known.alert_id = told.alert_id "
        "WHERE told.kind = 'repeated' AND known.kind = 'acknowledged' AND told.id > known.id"
    )
    assert late == []
    assert clinic.service.rows("SELECT * FROM alert WHERE due_at IS NOT NULL") == []


@pytest.mark.requirement("REQ-09")
def test_a_policy_that_cannot_be_found_any_more_leaves_the_fallback_never_silence(clinic: Clinic) -> None:
    clinic.agrees_on(STANDARD)
    clinic.sees()
    clinic.service.rows("UPDATE alert SET policy = 'gone', policy_version = 77")

    clinic.minutes_pass(5)
    clinic.minutes_pass(5)

    assert sorted(clinic.told()[1:]) == ["head", "head", SITE, SITE]


@pytest.mark.requirement("REQ-08")
def test_the_auditor_finds_nothing_while_the_chain_goes_as_it_should(clinic: Clinic) -> None:
    clinic.agrees_on(quiet_today(clinic))
    clinic.sees("same_day")
    clinic.sees("emergency", patient="Patient/2")
    for minutes in (5, 10, 5, 10, 5):
        assert set(reconcile(clinic.service.notify.pool, clinic.service.notify.plan).values()) == {0}
        clinic.minutes_pass(minutes)
    assert set(reconcile(clinic.service.notify.pool, clinic.service.notify.plan).values()) == {0}

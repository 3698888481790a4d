"""Rotas age: a hole that comes near is seen in /metrics and told to the fallback once a day."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.notify.escalation import Plan
from services.notify.on_call.save import save_document
from services.notify.on_call.watch import gauges, look_ahead
from services.notify.settings import NotifySettings
from shared.ids import DEFAULT_TENANT
from tests.notify.conftest import Service
from tests.notify.on_call.clinic import ALWAYS_FIRST, PEOPLE, POLICY, TEAM, Clinic

WITH_ROTA = PEOPLE + TEAM + POLICY.replace("person:first", "rota:doctors")
ENDS_SOON = ALWAYS_FIRST.replace("slots", "dated").replace('"00:00"', '"2020-01-01 00:00"').replace('"24:00"', '"%s"')


def metric(clinic: Clinic, name: str) -> float:
    return sum(gauge.value for gauge in gauges(clinic.service.notify.pool) if gauge.name == name)


def ending(clinic: Clinic, days: float) -> str:
    (row,) = clinic.service.rows(
        "SELECT to_char((now() + make_interval(secs => %s)) AT TIME ZONE 'Europe/London', 'YYYY-MM-DD HH24:MI') AS end",
        days * 24 * 3600,
    )
    return WITH_ROTA + ENDS_SOON % row["end"]


@pytest.mark.requirement("REQ-09")
def test_a_rota_that_ends_in_ten_days_is_told_to_the_fallback_once_a_day(clinic: Clinic) -> None:
    clinic.agrees_on(ending(clinic, 10))

    assert look_ahead(clinic.service.notify, {"email"}) == 1
    assert look_ahead(clinic.service.notify, {"email"}) == 1
    assert clinic.told() == ["head"]
    assert clinic.mail.mails[0]["Subject"] == "Sural: the on-call document has a gap within the next 30 days"
    assert "http://127.0.0.1:8123/worklist/on-call" in clinic.mail.mails[0].get_payload()
    assert metric(clinic, "sural_on_call_gap_hours") == pytest.approx(20 * 24, abs=0.1)

    clinic.service.rows("UPDATE on_call_watch SET told_at = told_at - interval '24 hours'")
    look_ahead(clinic.service.notify, {"email"})
    assert clinic.told() == ["head", "head"]


def test_a_rota_without_a_hole_for_thirty_days_is_no_news(clinic: Clinic) -> None:
    clinic.agrees_on(ending(clinic, 31))

    assert look_ahead(clinic.service.notify, {"email"}) == 0
    assert clinic.told() == []
    assert metric(clinic, "sural_on_call_gap_hours") == 0
    assert metric(clinic, "sural_on_call_flaws") == 0


@pytest.mark.requirement("REQ-09")
def test_somebody_who_is_told_by_push_only_and_has_no_device_is_told_of_until_there_is_one(clinic: Clinic) -> None:
    email = 'contacts = [{ channel = "email", address = "first@clinic.example" }]'
    clinic.agrees_on(ending(clinic, 31).replace(email, 'contacts = [{ channel = "push", address = "first" }]'))

    assert look_ahead(clinic.service.notify, {"email", "push"}) == 1
    assert clinic.told() == ["head"]

    clinic.service.rows(
        "INSERT INTO push_subscription (id, tenant_id, person, name, endpoint, public_key, secret) "
        "VALUES (gen_random_uuid(), %s, 'first', 'A phone', 'https://push.example/1', 'key', 'secret')",
        DEFAULT_TENANT,
    )
    assert look_ahead(clinic.service.notify, {"email", "push"}) == 0


def test_a_hole_that_was_closed_and_opens_again_is_told_again(clinic: Clinic) -> None:
    for days in (10, 31, 10):
        clinic.agrees_on(ending(clinic, days))
        look_ahead(clinic.service.notify, {"email"})

    assert clinic.told() == ["head", "head"]


def test_a_hole_is_closed_in_the_metrics_at_once_when_somebody_saves(clinic: Clinic) -> None:
    clinic.agrees_on(ending(clinic, 10))
    look_ahead(clinic.service.notify, {"email"})
    assert metric(clinic, "sural_on_call_gap_hours") > 0

    save_document(clinic.service.notify.pool, DEFAULT_TENANT, ending(clinic, 31), edited=1, by="Dr Lead")

    assert metric(clinic, "sural_on_call_gap_hours") == 0


def test_a_mail_that_was_not_taken_is_sent_again_at_the_next_look(clinic: Clinic) -> None:
    clinic.agrees_on(ending(clinic, 10))
    clinic.mail.refusal = "451 try later"
    look_ahead(clinic.service.notify, {"email"})
    clinic.mail.refusal = ""

    look_ahead(clinic.service.notify, {"email"})

    assert clinic.told() == ["head"]


def test_a_document_that_cannot_be_read_any_more_is_told_to_the_addresses_of_the_settings(clinic: Clinic) -> None:
    clinic.agrees_on("this is no document")

    look_ahead(clinic.service.notify, {"email"})

    assert clinic.told() == ["on-call"]
    assert metric(clinic, "sural_on_call_gap_hours") == 720


@pytest.mark.requirement("REQ-09")
def test_alerts_go_to_the_addresses_of_the_settings_while_the_document_cannot_be_read(clinic: Clinic) -> None:
    clinic.agrees_on("this is no document")
    clinic.sees()
    clinic.minutes_pass(5)

    assert clinic.told() == ["on-call", "on-call"]


def test_an_alert_whose_chain_has_ended_is_counted_until_somebody_acknowledges(clinic: Clinic) -> None:
    clinic.agrees_on(
        PEOPLE + POLICY + TEAM.replace('policy = "standard"', 'policy = "standard"\nthreshold = "emergency"')
    )
    clinic.sees("same_day")

    assert metric(clinic, "sural_alerts_exhausted") == 1


def test_the_sandbox_without_a_document_and_without_addresses_says_nothing(
    settings: NotifySettings, service: Service
) -> None:
    nobody = replace(
        service.notify, plan=Plan((), service.notify.plan.repeat_emergency, service.notify.plan.repeat_same_day)
    )

    assert look_ahead(nobody, {"email"}) == 0
    assert {gauge.name: gauge.value for gauge in gauges(service.notify.pool)}["sural_on_call_gap_hours"] == 0

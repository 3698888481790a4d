"""How it goes with alerts, for leads: how soon they are acknowledged, and how often the urgency is not followed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.acts.outcomes import Outcome, OverrideReason
from services.notify.acts.resolve import resolve
from services.notify.app import create_app, measure
from services.notify.fatigue.measures import minutes, share
from services.notify.settings import NotifySettings
from services.notify.sign_in.visitor import Role
from shared.ids import DEFAULT_TENANT
from tests.browser import OpenPage, no_axe_violations, scrolls_sideways
from tests.notify.conftest import Service
from tests.notify.fatigue.test_budget import flag
from tests.notify.neighbours import Triage, an_assessment
from tests.notify.signed_in import Rows, somebody
from tests.serving import client_of, served

OSEI = Actor("Dr Osei", None, "page")


@pytest.fixture
def client(settings: NotifySettings) -> Iterator[httpx.Client]:
    with client_of(create_app(settings)) as opened:
        yield opened


def an_alert(service: Service, triage: Triage, patient: str, red_flag: str, *, after_s: int) -> Any:
    """An alert with this red flag, acknowledged so many seconds after it was opened."""
    assessment = an_assessment(patient=f"Patient/{patient}")
    assessment["extension"].append(flag(red_flag, "fired"))
    service.hears(triage.publish(assessment))
    [row] = service.rows("SELECT id FROM alert WHERE state = 'requested'")
    acknowledge(service.notify.pool, DEFAULT_TENANT, row["id"], by=OSEI)
    service.rows(
        "UPDATE alert SET opened_at = acknowledged_at - make_interval(secs => %s) WHERE id = %s", after_s, row["id"]
    )
    return row["id"]


def said(service: Service, verdict: str, *, person: str) -> None:
    """Somebody says what they think of one assessment."""
    service.rows(
        "INSERT INTO feedback (tenant_id, alert_id, assessment_id, assessment_version, person, verdict, flags) "
        "SELECT tenant_id, alert_id, assessment_id, assessment_version, %s, %s, '{cold-foot}' "
        "FROM alert_assessment ORDER BY assessment_id LIMIT 1",
        person,
        verdict,
    )


def overridden(service: Service, alert_id: Any) -> None:
    resolve(
        service.notify.pool,
        DEFAULT_TENANT,
        alert_id,
        by=OSEI,
        outcome=Outcome.NO_ACTION,
        override_reason=OverrideReason.KNOWN,
    )


def test_a_lead_sees_how_soon_each_red_flag_is_acknowledged_and_how_often_it_is_not_followed(
    service: Service, triage: Triage, client: httpx.Client
) -> None:
    overridden(service, an_alert(service, triage, "1", "cold-foot", after_s=60))
    an_alert(service, triage, "2", "cold-foot", after_s=7200)
    service.rows("UPDATE delivery SET urgency = 'same_day', state = 'suppressed' WHERE channel = 'email'")
    said(service, "agree", person="Dr Osei")
    said(service, "too-urgent", person="Dr Lind")

    page = " ".join(client.get("/worklist/measures").text.split())

    assert (
        '<th scope="row">cold-foot</th> <td>2</td> <td>60 min</td> <td>1.8 h</td> '
        "<td>100 % (1 of 1)</td> <td>50 % (1 of 2)</td>" in page
    )
    assert '<th scope="row">none</th> <td>2</td>' in page
    assert "100 % (2 of 2)" in page
    assert "Canary" not in page


def test_what_is_older_than_a_month_and_what_the_watchdog_made_does_not_count(
    service: Service, triage: Triage, client: httpx.Client
) -> None:
    old = an_alert(service, triage, "1", "cold-foot", after_s=60)
    made = an_alert(service, triage, "2", "hot-joint", after_s=60)
    service.rows("UPDATE alert SET opened_at = now() - interval '31 days' WHERE id = %s", old)
    service.rows("UPDATE alert SET synthetic = true WHERE id = %s", made)

    page = client.get("/worklist/measures").text

    assert "cold-foot" not in page
    assert "hot-joint" not in page


def test_the_metrics_say_the_same_without_any_patient(service: Service, triage: Triage) -> None:
    an_alert(service, triage, "1", "cold-foot", after_s=60)

    found = {
        (gauge.name, gauge.labels.get("name"), gauge.labels.get("quantile")): gauge.value
        for gauge in measure(service.notify.pool)
    }

    assert found[("sural_alerts_30_days", "cold-foot", None)] == 1
    assert found[("sural_alert_acknowledge_seconds", "cold-foot", "0.5")] == pytest.approx(60)
    assert found[("sural_alerts_30_days", "none", None)] == 1
    assert not any("Patient" in str(key) for key in found)


def test_the_page_is_for_leads_alone(settings: NotifySettings, rows: Rows) -> None:
    with client_of(create_app(settings.model_copy(update={"sandbox_sign_in": True}))) as client:
        answers = {role: somebody(rows, role).uses(client).get("/worklist/measures").status_code for role in Role}

    assert answers == {role: 200 if role is Role.LEAD else 403 for role in Role}


def test_the_page_can_be_read_by_everybody_and_on_a_phone(
    service: Service, triage: Triage, settings: NotifySettings, open_page: OpenPage
) -> None:
    overridden(service, an_alert(service, triage, "1", "foot_cold_pale_blue_with_sudden_pain", after_s=60))
    with served(create_app(settings)) as url:
        page = open_page(viewport={"width": 360, "height": 740})
        page.goto(f"{url}/worklist/measures")

        no_axe_violations(page)
        assert not scrolls_sideways(page)


@pytest.mark.parametrize(("seconds", "words"), [(None, "–"), (45, "45 s"), (600, "10 min"), (7200, "2.0 h")])
def test_times_are_read_at_a_glance(seconds: float | None, words: str) -> None:
    assert minutes(seconds) == words


def test_a_share_is_shown_with_its_numbers() -> None:
    assert share(1, 4) == "25 % (1 of 4)"
    assert share(0, 0) == "–"

"""The auditor of stuck escalations: each thing that it looks for is planted, found, put right and counted.

That it finds nothing in a healthy chain is in test_escalation_stories.py.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.notify import store
from services.notify.reconcile import KINDS, reconcile
from shared.ids import DEFAULT_TENANT
from shared.postgres import DatabaseError
from tests.notify.on_call.clinic import STANDARD, Clinic

PLANTED: dict[str, tuple[str, ...]] = {
    "alert_without_due": ("UPDATE alert SET due_at = NULL",),
    "alert_without_delivery": (
        "DELETE FROM job WHERE kind LIKE 'deliver.%%'",
        "DELETE FROM delivery",
    ),
    "alert_overdue": ("UPDATE alert SET due_at = now() - interval '61 seconds'",),
    "alert_due_too_late": ("UPDATE alert SET due_at = now() + interval '11 minutes'",),
    "alert_past_its_policy": ("UPDATE alert SET position = 7",),
    "job_due_too_late": (
        "UPDATE delivery SET state = 'pending'",
        "UPDATE job SET state = 'pending', error = 'x', due_at = now() + interval '6 minutes' "
        "WHERE kind LIKE 'deliver.%%'",
    ),
    "lease_too_long": (
        "UPDATE delivery SET state = 'pending'",
        "UPDATE job SET state = 'running', lease_until = now() + interval '1 minute' WHERE kind LIKE 'deliver.%%'",
    ),
    "snooze_too_long": (
        "UPDATE alert SET state = 'on-hold', snoozed_until = due_at + interval '1 hour', "
        "due_at = due_at + interval '1 hour'",
    ),
    "delivery_without_job": ("UPDATE delivery SET state = 'pending'", "DELETE FROM job WHERE kind LIKE 'deliver.%%'"),
}


def audit(clinic: Clinic) -> dict[str, int]:
    return reconcile(clinic.service.notify.pool, clinic.service.notify.plan)


def test_everything_that_the_auditor_looks_for_is_planted_here() -> None:
    assert set(PLANTED) == set(KINDS)


@pytest.mark.requirement("REQ-08", "REQ-09")
@pytest.mark.parametrize("kind", KINDS)
def test_a_stuck_escalation_is_found_counted_and_told_on(clinic: Clinic, kind: str) -> None:
    clinic.agrees_on(STANDARD)
    clinic.sees()
    assert clinic.told() == ["first"]
    for statement in PLANTED[kind]:
        clinic.service.rows(statement)

    found = audit(clinic)

    assert {name: number for name, number in found.items() if number} == {kind: 1}
    assert clinic.service.rows("SELECT kind, number FROM repair") == [{"kind": kind, "number": 1}]
    clinic.service.sends()
    if kind == "lease_too_long":
        clinic.service.rows("UPDATE job SET lease_until = lease_until - interval '10 seconds' WHERE state = 'running'")
    clinic.minutes_pass(10.1 if kind == "alert_due_too_late" else 0)
    assert len(clinic.told()) > 1
    assert set(audit(clinic).values()) == {0}


@pytest.mark.requirement("REQ-09")
def test_an_alert_of_a_policy_that_is_gone_is_told_to_the_fallback_now(clinic: Clinic) -> None:
    clinic.agrees_on(STANDARD)
    clinic.sees()
    clinic.service.rows("UPDATE alert SET policy = 'gone'")

    assert audit(clinic)["alert_past_its_policy"] == 1
    clinic.minutes_pass(0)

    assert sorted(clinic.told()) == ["first", "head", "on-call"]


@pytest.mark.requirement("REQ-09")
def test_a_repair_that_fails_keeps_no_overdue_step_from_being_done(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic.agrees_on(STANDARD)
    clinic.sees()
    clinic.service.rows("UPDATE alert SET due_at = now() - interval '61 seconds'")
    monkeypatch.setitem(store.QUERIES, "orphaned", "SELECT 1 / 0")

    with pytest.raises(DatabaseError):
        audit(clinic)
    clinic.service.sends()

    assert len(clinic.told()) > 1


def test_an_alert_whose_chain_has_ended_is_not_past_its_policy(clinic: Clinic) -> None:
    clinic.agrees_on(STANDARD)
    clinic.sees()
    for minutes in (5, 10, 5, 10, 5):
        clinic.minutes_pass(minutes)
    assert clinic.service.alert()["exhausted_at"] is not None

    assert set(audit(clinic).values()) == {0}


VALUES = {
    "tenant_id": f"'{DEFAULT_TENANT}'::uuid",
    "longest": "interval '10 minutes'",
    "urgency": "'emergency'",
    "policy": "'standard'",
    "policy_version": "1",
    "steps": "2",
}
A_YEAR = f"""
INSERT INTO alert (id, tenant_id, subject_key, pathway, state, urgency, first_step, step, task_version, opened_at,
                   acknowledged_at, policy, policy_version, position)
SELECT gen_random_uuid(), '{DEFAULT_TENANT}', 'Patient/' || n, 'posterior-lower-limb', 'completed', 'emergency', 1, 1,
       1, now() - n * interval '1 minute', now(), 'standard', 1, 0 FROM generate_series(1, 20000) AS n;
INSERT INTO delivery (id, tenant_id, alert_id, step, channel, recipient, urgency, state, created_at)
SELECT gen_random_uuid(), tenant_id, id, 1, 'email', 'a@clinic.example', urgency, 'sent', opened_at FROM alert;
INSERT INTO job (tenant_id, kind, ref_id, ref_version, state, finished_at)
SELECT tenant_id, 'deliver.urgent', id::text, step, 'done', created_at FROM delivery;
INSERT INTO delivery (id, tenant_id, alert_id, step, channel, recipient, urgency, state, created_at)
SELECT gen_random_uuid(), tenant_id, id, 2, 'email', 'a@clinic.example', urgency, 'pending', now() FROM alert LIMIT 100;
ANALYZE alert; ANALYZE delivery; ANALYZE job;
"""


def test_no_question_of_the_auditor_reads_all_alerts_of_a_year(rows: Callable[..., list[dict[str, str]]]) -> None:
    for statement in A_YEAR.split(";\n"):
        rows(statement)
    for query in (
        "overdue",
        "due_too_late",
        "snoozed_too_long",
        "without_due",
        "untold",
        "chains",
        "past_policy",
        "orphaned",
    ):
        asked = store.QUERIES[query].replace("%%", "%")
        for name, value in VALUES.items():
            asked = asked.replace(f"%({name})s", value)
        plan = "\n".join(row["QUERY PLAN"] for row in rows(f"EXPLAIN {asked}"))

        assert "Seq Scan on alert" not in plan, (query, plan)
        assert "Seq Scan on delivery" not in plan, (query, plan)
        assert "Seq Scan on job" not in plan, (query, plan)
        assert "job_pkey" not in plan, ("jobs that are done are read too", query, plan)

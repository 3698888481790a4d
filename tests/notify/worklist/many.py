"""As many alerts as a bad day has, written as rows: each with an assessment and messages that went out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared.ids import DEFAULT_TENANT

ALERTS = """
INSERT INTO alert (id, tenant_id, subject_key, pathway, subject, state, urgency, first_step, step, task_version,
                   opened_at, due_at, acknowledged_at, acknowledged_by, closed_at)
SELECT gen_random_uuid(), %(tenant)s, 'Patient/' || n, 'posterior-lower-limb',
       jsonb_build_object('reference', 'Patient/' || n, 'display', %(name)s || ' ' || n,
                          'identifier', jsonb_build_object('system', 'urn:example:mrn', 'value', 'MRN-' || n)),
       %(state)s, CASE WHEN n %% 10 = 0 THEN 'emergency' ELSE 'same_day' END, 1, 1, 1,
       now() - n * interval '1 minute', CASE WHEN %(open)s THEN now() + interval '5 minutes' END,
       CASE WHEN NOT %(open)s THEN now() - n * interval '30 seconds' END, CASE WHEN NOT %(open)s THEN 'Dr Osei' END,
       CASE WHEN %(closed)s THEN now() - n * interval '10 seconds' END
FROM generate_series(1, %(number)s) AS n
"""
ASSESSMENTS = """
INSERT INTO alert_assessment (tenant_id, assessment_id, assessment_version, alert_id, urgency, joined_at)
SELECT tenant_id, gen_random_uuid()::text, 1, id, urgency, opened_at FROM alert
WHERE NOT EXISTS (SELECT FROM alert_assessment AS a WHERE a.alert_id = alert.id)
"""
DELIVERIES = """
INSERT INTO delivery (id, tenant_id, alert_id, step, channel, recipient, urgency, state, attempts, created_at, sent_at)
SELECT gen_random_uuid(), tenant_id, id, 1, channel, 'on-call@example.org', urgency, 'sent', 1, opened_at, opened_at
FROM alert CROSS JOIN (VALUES ('email'), ('webhook')) AS c (channel)
ON CONFLICT DO NOTHING
"""
EVENTS = """
INSERT INTO alert_event (tenant_id, alert_id, at, kind, step)
SELECT tenant_id, id, opened_at, 'opened', 1 FROM alert
"""

Rows = Callable[..., list[dict[str, Any]]]


def fill(rows: Rows, number: int, *, state: str = "received", name: str = "Patient") -> None:
    """Open so many alerts in this state, one in ten an emergency."""
    is_open, closed = state in ("requested", "received"), state in ("completed", "cancelled", "rejected")
    values = {"tenant": DEFAULT_TENANT, "number": number, "state": state, "name": name, "open": is_open,
              "closed": closed}  # fmt: skip
    statement = ALERTS
    for key, value in values.items():
        statement = statement.replace(f"%({key})s", literal(value))
    rows(statement.replace("%%", "%"))
    for statement in (ASSESSMENTS, DELIVERIES, EVENTS, "ANALYZE"):
        rows(statement)


def literal(value: object) -> str:
    """A value of a test in a statement."""
    return str(value) if isinstance(value, int) else f"'{value}'"

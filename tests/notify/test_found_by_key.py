"""What an alert and a message meet is found by whole keys, whatever was planned while there was little."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.ids import DEFAULT_TENANT
from shared.postgres import DictConnection, connect
from tests.conftest import Database

ALERT, DELIVERY, TOKEN = (
    f"00000000-0000-4000-8000-{number}" for number in ("a" * 8 + "0007", "d" * 8 + "0007", "e" * 12)
)
FILL = f"""
SELECT set_config('sural.tenant', '{DEFAULT_TENANT}', true);
INSERT INTO alert (id, tenant_id, subject_key, pathway, state, urgency, first_step, step, task_version,
                   opened_at, due_at, refused_at)
SELECT ('00000000-0000-4000-8000-aaaaaaaa' || lpad(n::text, 4, '0'))::uuid, '{DEFAULT_TENANT}',
       CASE WHEN n % 2 = 0 THEN 'RiskAssessment/' ELSE 'Patient/' END || n, 'leg', 'requested', 'emergency', 1, 1, 1,
       now(), now(), CASE WHEN n % 2 = 0 THEN now() END
FROM generate_series(1, 3000) AS n;
INSERT INTO alert_assessment (tenant_id, assessment_id, assessment_version, alert_id, urgency, joined_at, submission)
SELECT '{DEFAULT_TENANT}', 'assessment-' || n, 1, ('00000000-0000-4000-8000-aaaaaaaa' || lpad(n::text, 4, '0'))::uuid,
       'emergency', now(), 'form-' || n
FROM generate_series(1, 3000) AS n;
INSERT INTO withdrawn_assessment (tenant_id, assessment_id, assessment_version)
SELECT '{DEFAULT_TENANT}', 'assessment-' || n, 1 FROM generate_series(1, 3000) AS n;
INSERT INTO on_call_document (tenant_id, version, text, sha256, saved_by)
SELECT '{DEFAULT_TENANT}', n, 'x', 'x', 'x' FROM generate_series(1, 3000) AS n;
INSERT INTO delivery (id, tenant_id, alert_id, step, channel, recipient, urgency, created_at)
SELECT ('00000000-0000-4000-8000-dddddddd' || lpad(n::text, 4, '0'))::uuid, '{DEFAULT_TENANT}',
       ('00000000-0000-4000-8000-aaaaaaaa' || lpad(n::text, 4, '0'))::uuid, 1, 'email', 'a', 'emergency', now()
FROM generate_series(1, 3000) AS n;
INSERT INTO notice (tenant_id, alert_id, step, kind, assessment_id, assessment_version, still_open, given_at)
SELECT '{DEFAULT_TENANT}', ('00000000-0000-4000-8000-aaaaaaaa' || lpad(n::text, 4, '0'))::uuid, 2, 'changed', 'x',
       1, true, now()
FROM generate_series(1, 3000) AS n;
INSERT INTO job (tenant_id, kind, ref_id, ref_version, state, lease_token, lease_until)
SELECT '{DEFAULT_TENANT}', 'deliver.email.urgent/x', '00000000-0000-4000-8000-dddddddd' || lpad(n::text, 4, '0'), 1,
       'running', '{TOKEN}', now() + interval '1 minute'
FROM generate_series(1, 3000) AS n;
INSERT INTO job (tenant_id, kind, ref_id, ref_version, state, lease_token, lease_until)
SELECT '{DEFAULT_TENANT}', 'raise.urgent', 'assessment-' || n, 1, 'running', '{TOKEN}', now() + interval '1 minute'
FROM generate_series(1, 3000) AS n;
INSERT INTO job (tenant_id, kind, ref_id, ref_version)
SELECT '{DEFAULT_TENANT}', 'deliver.email.urgent/' || n, '00000000-0000-4000-8000-dddddddd' || lpad(n::text, 4, '0'), 1
FROM generate_series(1, 3000) AS n;
INSERT INTO resource (tenant_id, type, id, version_id, last_updated, body, sha256)
SELECT '{DEFAULT_TENANT}', kind, '00000000-0000-4000-8000-' || part || lpad(n::text, 4, '0'), 1, now(), '{{}}', 'x'
FROM generate_series(1, 3000) AS n,
     (VALUES ('Task', 'aaaaaaaa'), ('CommunicationRequest', 'cccccccc'), ('Communication', 'dddddddd'))
     AS ours (kind, part);
"""
READ = """
SELECT indexrelname AS name, pg_stat_get_xact_numscans(indexrelid) AS scans,
       pg_stat_get_xact_tuples_returned(indexrelid) AS entries
FROM pg_stat_user_indexes WHERE schemaname = 'notify' AND pg_stat_get_xact_numscans(indexrelid) > 0
"""
ASSESSMENT = "SELECT * FROM meet_assessment(%s, %s, 1, 'raise.urgent', %s, %s, 'leg', %s)"
OUTCOME = "SELECT * FROM meet_outcome(%s, %s, %s, %s, 'deliver.email.urgent/x', 1, %s)"


@pytest.fixture
def connection(database: Database) -> Iterator[DictConnection]:
    with connect(database.notify_url, schema="notify") as connection:
        connection.execute("SELECT set_config('sural.tenant', %s, false)", [str(DEFAULT_TENANT)])
        yield connection


def asked(connection: DictConnection, question: str, *given: object) -> list[dict[str, Any]]:
    return connection.execute(question.encode(), [DEFAULT_TENANT, *given]).fetchall()


def entries(connection: DictConnection) -> dict[str, float]:
    """How many entries of each index were read in this transaction, for each time that it was asked."""
    return {row["name"]: row["entries"] / row["scans"] for row in connection.execute(READ).fetchall()}


MESSAGE = """
SELECT held FROM (SELECT %s::uuid) AS tenant, take_message('deliver.email.urgent/9', 0, 10, 'link', interval '1 hour')
"""
WRITTEN = "SELECT write_alert(%s, %s, %s::jsonb, NULL, NULL, NULL) AS held"
TOLD = f'{{"received": 2, "outcomes": [{{"id": "{DELIVERY}", "state": "sent", "attempts": 1}}]}}'
OPENED = (
    '{"opened": {"subject_key": "Patient/new", "pathway": "leg", "state": "requested", "urgency": "emergency", '
    '"first_step": 1, "step": 1, "task_version": 1, "opened_at": "2026-01-01T00:00:00Z", '
    '"due_at": "2026-01-01T00:00:00Z", '
    '"position": 0, "round": 0, "synthetic": false, "assessment_id": "assessment-new", "assessment_version": 1, '
    '"flags": ["a", "b"]}, '
    '"messages": [{"id": "00000000-0000-4000-8000-dddddddd9999", "step": 1, "channel": "email", "recipient": "a", '
    '"urgency": "emergency", "created_at": "2026-01-01T00:00:00Z", "job": "deliver.email.urgent/new", "delay_s": 0}], '
    '"events": [{"kind": "opened", "step": 1}]}'
)
QUESTIONS = {
    "the open alert of a patient": (ASSESSMENT, "assessment-7", TOKEN, "Patient/7", "form-7"),
    "the alert of a refused submission": (ASSESSMENT, "assessment-8", TOKEN, "Patient/8", "form-8"),
    "the outcome of a message": (OUTCOME, DELIVERY, ALERT, "00000000-0000-4000-8000-cccccccc0007", TOKEN),
    "the next message to somebody": (MESSAGE,),
    "what became of a message": (WRITTEN, ALERT, TOLD),
    "a new alert": (WRITTEN, "00000000-0000-4000-8000-aaaaaaaa9999", OPENED),
}


@pytest.mark.parametrize("what", QUESTIONS)
def test_it_is_found_by_its_key_although_the_plan_was_made_before_there_was_anything(
    connection: DictConnection, what: str
) -> None:
    question = QUESTIONS[what]
    for _ in range(8):  # until the connection keeps its plans
        with connection.transaction(force_rollback=True):
            asked(connection, *question)
    with connection.transaction():
        connection.execute(FILL.encode())
    connection.execute("SELECT pg_stat_force_next_flush()")  # what was counted up to here is not counted again

    with connection.transaction():
        [met] = asked(connection, *question)
        read = entries(connection)

    assert met["held"] is not None

    assert max(read.values()) <= 2, read

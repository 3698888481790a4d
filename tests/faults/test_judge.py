"""A judge that cannot find what is wrong is worse than none: everything that it looks for is planted and found."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from deploy.local.faults import judge
from deploy.local.faults.figures import figures, is_good
from deploy.local.faults.judge import Violation
from deploy.local.faults.ledger import Accepted, Acknowledged
from deploy.local.faults.quiet import unfinished
from deploy.local.faults.receivers import Arrival
from deploy.local.faults.result import Done, Result
from deploy.local.faults.suite import LOST
from shared.fhir.resources import packed
from shared.ids import DEFAULT_TENANT
from tests.conftest import Database

BODY = b'{"resourceType":"QuestionnaireResponse"}'
DIGEST = hashlib.sha256(BODY)
ENTRY = Accepted("r-1", 1, DIGEST.hexdigest(), "emergency", True, 100.0, 99.0)
ALERT = str(uuid4())
KNOWN = Acknowledged(ALERT, "link", 110.0)
PAGE = Arrival("email", ALERT, "d-1", "token", False, 105.0)

GOOD_WORLD = """
INSERT INTO intake.resource (tenant_id, type, id, version_id, last_updated, body, sha256)
VALUES (%(tenant)s, 'QuestionnaireResponse', 'r-1', 1, now(), %(body)s, %(digest)s);
INSERT INTO triage.assessment (tenant_id, id, response_id, response_version, pack, pack_version, pack_sha256,
                               version_id, urgency, assessed_at)
VALUES (%(tenant)s, 'a-1', 'r-1', 1, 'p', '1', 'x', 1, 'emergency', now());
INSERT INTO triage.resource (tenant_id, type, id, version_id, last_updated, body, sha256)
VALUES (%(tenant)s, 'RiskAssessment', 'a-1', 1, now(), 'basis QuestionnaireResponse/r-1/_history/1 ', 'x');
INSERT INTO notify.alert (id, tenant_id, subject_key, pathway, state, urgency, first_step, step, task_version,
                          opened_at, acknowledged_at, acknowledged_by)
VALUES (%(alert)s, %(tenant)s, 'p', 'p', 'accepted', 'emergency', 1, 1, 1, now(), now(), 'N');
INSERT INTO notify.alert_assessment (tenant_id, assessment_id, assessment_version, alert_id, urgency, joined_at)
VALUES (%(tenant)s, 'a-1', 1, %(alert)s, 'emergency', now());
INSERT INTO notify.delivery (id, tenant_id, alert_id, step, channel, recipient, urgency, state, created_at, sent_at)
VALUES (gen_random_uuid(), %(tenant)s, %(alert)s, 1, 'email', 'r', 'emergency', 'sent', now(), now());
INSERT INTO notify.alert_event (tenant_id, alert_id, kind) VALUES (%(tenant)s, %(alert)s, 'opened');
INSERT INTO notify.alert_event (tenant_id, alert_id, kind) VALUES (%(tenant)s, %(alert)s, 'acknowledged');
"""

Connection = psycopg.Connection[Any]


@pytest.fixture
def world(database: Database) -> Iterator[Connection]:
    """A database in which one emergency was accepted, assessed, told and acknowledged; undone afterwards."""
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("SELECT set_config('sural.across_tenants', 'on', true)")
        parameters = {"tenant": DEFAULT_TENANT, "body": BODY, "digest": DIGEST.digest(), "alert": ALERT}
        for statement in GOOD_WORLD.split(";\n"):
            if statement.strip():
                connection.execute(statement, parameters)
        yield connection
        connection.rollback()


def verdict(world: Connection, *entries: Accepted) -> list[str]:
    """What the judge says of these entries, in words."""
    found = judge.check_ledger(world, entries or (ENTRY,)) + judge.check_acknowledgements(world, [KNOWN])
    return [one.what for one in found]


@pytest.mark.requirement("REQ-43")
def test_a_system_that_kept_its_promises_is_found_to_have(world: Connection) -> None:
    assert verdict(world) == []
    assert judge.check_arrivals([PAGE], [KNOWN], on_its_way_s=5) == []
    assert unfinished(world, [ENTRY], robot_idle=True) == ""


@pytest.mark.requirement("REQ-43")
def test_a_response_that_was_deleted_is_found(world: Connection) -> None:
    world.execute("DELETE FROM intake.resource WHERE id = 'r-1'")
    assert verdict(world) == ["accepted, and not there"]


def test_a_response_that_was_stored_otherwise_is_found(world: Connection) -> None:
    world.execute("UPDATE intake.resource SET sha256 = 'other' WHERE id = 'r-1'")
    assert verdict(world) == ["accepted, and not as it was sent"]


@pytest.mark.requirement("REQ-43")
def test_a_response_that_nobody_assessed_is_found(world: Connection) -> None:
    world.execute("DELETE FROM triage.assessment")
    assert verdict(world) == ["accepted and not assessed", "urgent and without an alert"]
    assert unfinished(world, [ENTRY], robot_idle=True) == "unassessed 1"


def test_a_second_current_assessment_is_found(world: Connection) -> None:
    world.execute(
        "INSERT INTO triage.assessment SELECT tenant_id, 'a-2', response_id, response_version, 'other', pack_version, "
        "pack_sha256, version_id, urgency, assessed_at FROM triage.assessment"
    )
    world.execute(
        "INSERT INTO triage.resource (tenant_id, type, id, version_id, last_updated, body, sha256) "
        "SELECT tenant_id, type, 'a-2', version_id, last_updated, body, sha256 FROM triage.resource WHERE id = 'a-1'"
    )
    assert verdict(world) == ["second current RiskAssessment"]


def test_an_assessment_of_an_older_version_is_found(world: Connection) -> None:
    world.execute("UPDATE intake.resource SET version_id = 2 WHERE id = 'r-1'")
    found = verdict(world, replace(ENTRY, version=2))
    assert found == ["assessed by an older version", "assessed on another version"]


def test_an_assessment_that_does_not_say_what_it_stands_on_is_found(world: Connection) -> None:
    for body in (b"basis r-1", packed("RiskAssessment", b"basis QuestionnaireResponse/r-1/_history/2")):
        world.execute("UPDATE triage.resource SET body = %s WHERE id = 'a-1'", (body,))
        assert verdict(world) == ["assessed on another version"]
    body = packed("RiskAssessment", b"basis QuestionnaireResponse/r-1/_history/1")
    world.execute("UPDATE triage.resource SET body = %s WHERE id = 'a-1'", (body,))
    assert verdict(world) == [], "stored shorter, it says the same"


def test_an_emergency_that_was_assessed_as_less_is_found(world: Connection) -> None:
    world.execute("UPDATE triage.assessment SET urgency = 'routine'")
    assert verdict(world) == ["assessed as less urgent than its answers"]


@pytest.mark.requirement("REQ-43")
def test_an_emergency_without_an_alert_is_found_and_the_system_not_at_rest(world: Connection) -> None:
    world.execute("DELETE FROM notify.alert_assessment")
    assert verdict(world) == ["urgent and without an alert"]
    assert unfinished(world, [ENTRY], robot_idle=True) == "urgent and untold 1"


def test_an_alert_that_nobody_was_told_of_is_found(world: Connection) -> None:
    world.execute("UPDATE notify.delivery SET state = 'failed'")
    assert verdict(world) == [], "whoever acknowledged was told, although the sender died before it noted that"
    world.execute("UPDATE notify.alert SET state = 'received', acknowledged_at = NULL, due_at = now()")
    assert verdict(world) == ["urgent and told to nobody", "acknowledgement lost"]


@pytest.mark.requirement("REQ-43")
def test_an_open_alert_that_waits_for_nothing_is_found(world: Connection) -> None:
    world.execute("UPDATE notify.alert SET state = 'received', acknowledged_at = NULL, due_at = NULL")
    assert verdict(world) == ["urgent alert neither acknowledged nor escalated", "acknowledgement lost"]


def test_what_was_withdrawn_needs_no_alert(world: Connection) -> None:
    world.execute("DELETE FROM notify.alert_assessment")
    withdrawn = replace(ENTRY, version=2, urgency=None)
    assert "urgent and without an alert" not in verdict(world, ENTRY, withdrawn)


@pytest.mark.requirement("REQ-43")
def test_a_step_after_the_acknowledgement_is_found(world: Connection) -> None:
    world.execute(
        "INSERT INTO notify.alert_event (tenant_id, alert_id, kind) VALUES (%s, %s, 'repeated')",
        (DEFAULT_TENANT, ALERT),
    )
    assert verdict(world) == ["page after acknowledgement"]


def test_a_step_after_the_alert_was_handed_over_is_none(world: Connection) -> None:
    for kind in ("handed_over", "repeated"):
        world.execute(
            "INSERT INTO notify.alert_event (tenant_id, alert_id, kind) VALUES (%s, %s, %s)",
            (DEFAULT_TENANT, ALERT, kind),
        )
    assert verdict(world) == []


def test_a_message_long_after_the_acknowledgement_is_found() -> None:
    late = replace(PAGE, at=120.0)
    assert judge.check_arrivals([PAGE, late], [KNOWN], on_its_way_s=5) == [
        Violation("page after acknowledgement", ALERT)
    ]
    notice = replace(late, notice=True)
    assert judge.check_arrivals([notice], [KNOWN], on_its_way_s=5) == []


def test_a_doubled_message_is_counted_once_for_each_time_too_many() -> None:
    assert judge.doubles([PAGE, replace(PAGE, at=106.0), replace(PAGE, channel="webhook")]) == 1


def test_a_name_in_a_log_or_a_message_is_found(tmp_path: Path) -> None:
    for folder in ("logs", "postgres"):
        (tmp_path / folder).mkdir()
    (tmp_path / "logs" / "web.log").write_bytes(b"x" * 999_996 + b"zzcanary p-1 was here")
    (tmp_path / "postgres" / "heap").write_text("ZZCANARY belongs here")
    found = judge.check_leaks(tmp_path, [b"fine", b"Dear ZZCANARY"], "sural_patient{name='zzcanary'} 1")
    assert [one.id for one in found] == [str(tmp_path / "logs" / "web.log"), "message 2", "/metrics"]
    assert all(one.what.startswith("health data") for one in found)


@pytest.mark.requirement("REQ-43")
@pytest.mark.parametrize(
    ("what", "figure"),
    [
        ("accepted, and not there", "accepted and lost"),
        ("accepted and not assessed", "accepted and lost"),
        ("second current RiskAssessment", "second current RiskAssessment"),
        ("urgent and told to nobody", "urgent alert neither acknowledged nor escalated"),
        ("I7: a step began after the acknowledgement", "page after acknowledgement"),
        ("health data: holds the canary", "health data outside the database"),
        ("not at rest after 60 s", "any other violation"),
    ],
)
def test_each_kind_of_violation_misses_its_own_figure_and_fails_the_run(what: str, figure: str) -> None:
    result = Result(1, long=False, steps=[Done("F1", "x", violations=[Violation(what, "r-1")])], unfinished="")
    result.lost = result.count(*LOST)
    missed = [one.name for one in figures(result) if one.met is False]
    assert missed == [figure]
    assert not is_good(result)

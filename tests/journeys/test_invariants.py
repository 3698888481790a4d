"""The invariants find what is planted, and find nothing in a system that was busy and is well.

Everything is planted in a real database that a running system filled: each violation in a transaction that is undone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from deploy.local import running, verify
from deploy.local.environment import server_variables
from deploy.local.servers import EmbeddedPostgres
from deploy.local.verify.canaries import leaked
from deploy.local.verify.checking import NOT_CHECKED, QUERIES, connect_as_owner, look
from deploy.local.verify.command import INVARIANTS
from shared.fhir.resources import unpacked
from shared.ids import DEFAULT_TENANT
from shared.postgres import DictConnection, connect
from tests.builders import a_response
from tests.intake.ehr import post, put
from tests.journeys.system import System, a_system, settled

QUIET_S = 3600.0
"""The system is stopped: what was due by its own clock meanwhile is no violation."""
LONG_AGO = "interval '3 hours'"
OTHER = uuid4()
WAITING = "INSERT INTO intake.outbox (tenant_id, queue, ref_id, ref_version) VALUES (%s, 'triage', 'r', 1)"


@pytest.fixture(scope="module")
def busy() -> Iterator[System]:
    """A system with all that there is: alerts acknowledged and open, an amended and a refused submission."""
    with a_system() as system:
        assert [row.problem for row in system.demo() if row.problem] == []
        with httpx.Client(base_url=system.url, timeout=20, trust_env=False) as client:
            first = a_response({"chest_pain": "Y"}, patient="p-open", identifier="open")
            location = post(client, first).headers["location"].split("/")[-3]
            amended = {**first, "status": "amended", "id": location}
            assert put(client, amended, If_Match='W/"1"').status_code == 200
            broken = {**a_response({"chest_pain": "Y"}, patient="p-refused"), "status": "nonsense"}
            assert post(client, broken).status_code == 400
        settled(system)
        yield system


@pytest.fixture(scope="module")
def clean(busy: System) -> str:
    """What `./sural verify` says while that system runs."""
    done = busy.command("verify", "--all", "--quiet", "30")
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def database(busy: System, clean: str) -> Iterator[str]:
    """The owner's address of the database of that system, which is stopped: nothing repairs what is planted."""
    assert clean
    running.stop(busy.data)
    with EmbeddedPostgres(busy.folder) as postgres:
        yield postgres.url


@pytest.fixture
def owner(database: str) -> Iterator[DictConnection]:
    """The owner, acting for the default tenant, in a transaction that is undone."""
    with connect_as_owner(database) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT set_config('sural.tenant', %s, true)", (str(DEFAULT_TENANT),))
        yield connection
        connection.execute("ROLLBACK")


def found(owner: DictConnection, **options: Any) -> set[tuple[str, str]]:
    """Invariant and sentence of each violation."""
    seen = look(owner, **{"quiet_s": QUIET_S} | options)
    return {(one.invariant, one.what) for one in seen}


def freely(owner: DictConnection, *tables: str) -> None:
    """Let the owner do what triggers of ours refuse, in this transaction."""
    for table in tables:
        owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())


@pytest.mark.requirement("REQ-41")
def test_a_busy_system_that_is_well_breaks_none(clean: str) -> None:
    assert re.findall(r"FAIL.*|     .*", clean) == []
    assert [line.split()[1] for line in clean.splitlines() if line.startswith("ok")] == list(INVARIANTS)


def test_nor_does_it_when_it_is_stopped(owner: DictConnection) -> None:
    assert found(owner, recompute=1000) == set()


def test_every_query_gives_what_is_wrong_and_says_what_it_reads() -> None:
    text = (Path(verify.__file__).parents[1] / "invariants.sql").read_text(encoding="utf-8")
    for name in [name for name in QUERIES if "." in name]:
        comment = text.split(f"-- name: {name}\n")[1].split("\nSELECT")[0].split("\nWITH")[0]
        assert re.search(r"Walks|Reads", comment), name


PLANTED = {
    "a text is changed": (
        "UPDATE intake.resource SET body = set_byte(body, length(body) / 2, 255 - get_byte(body, length(body) / 2)) "
        "WHERE type = 'QuestionnaireResponse' AND is_current",
        ("I1", "the text of a version differs from its digest"),
    ),
    "an older version is deleted": (
        "DELETE FROM intake.resource WHERE type = 'QuestionnaireResponse' AND NOT is_current",
        ("I1", "a version is missing, or not the newest one is current"),
    ),
    "a response is deleted": (
        "DELETE FROM intake.resource WHERE type = 'QuestionnaireResponse'",
        ("I1", "assessed, and gone from intake"),
    ),
    "an assessment is lost": (
        "DELETE FROM triage.assessment; "
        "UPDATE intake.resource SET last_updated = now() - {long_ago} WHERE type = 'QuestionnaireResponse'",
        ("I2", "not assessed"),
    ),
    "an assessment is of an older version": (
        "UPDATE triage.assessment SET response_version = 1 WHERE response_version = 2; "
        "UPDATE intake.resource SET last_updated = now() - {long_ago} WHERE type = 'QuestionnaireResponse'",
        ("I2", "not assessed"),
    ),
    "a second assessment of the same version": (
        "ALTER TABLE triage.assessment DROP CONSTRAINT assessment_tenant_id_response_id_pack_key; "
        "INSERT INTO triage.resource (tenant_id, type, id, version_id, is_current, last_updated, tag, body, sha256) "
        "SELECT tenant_id, type, id || '-2', version_id, true, last_updated, tag, body, sha256 "
        "FROM triage.resource WHERE type = 'RiskAssessment' AND is_current; "
        "INSERT INTO triage.assessment (tenant_id, id, response_id, response_version, pack, pack_version, pack_sha256, "
        "version_id, urgency, assessed_at) SELECT tenant_id, id || '-2', response_id, response_version, pack, "
        "pack_version, pack_sha256, version_id, urgency, assessed_at FROM triage.assessment; "
        "UPDATE intake.resource SET last_updated = now() - {long_ago} WHERE type = 'QuestionnaireResponse'",
        ("I2", "assessed more than once"),
    ),
    "two versions of an assessment are current": (
        "DROP INDEX triage.resource_current; "
        "UPDATE triage.resource SET is_current = true WHERE type = 'RiskAssessment'",
        ("I2", "not the version that is current, or more than one is"),
    ),
    "a refused submission is not looked at": (
        "UPDATE intake.quarantine SET state = 'waiting', body = 'x', received_at = now() - {long_ago}",
        ("I2", "refused, kept, and not looked at"),
    ),
    "an urgent refused submission is not told of": (
        "UPDATE intake.quarantine SET examined_at = now() - {long_ago}; "
        "DELETE FROM triage.assessment AS a USING intake.quarantine AS q WHERE a.response_id = q.id",
        ("I2", "refused, urgent, and without an assessment that says so"),
    ),
    "an assessment names another version": (
        "UPDATE triage.search_value SET system = '9' WHERE type = 'RiskAssessment' AND param = 'basis'",
        ("I3", "does not say which version of the response, or which knowledge, it stands on"),
    ),
    "an assessment has lost its knowledge": (
        "UPDATE triage.assessment SET pack_sha256 = '' WHERE pack <> 'none'",
        ("I3", "does not say which version of the response, or which knowledge, it stands on"),
    ),
    "an emergency without an alert": (
        "DELETE FROM notify.alert_assessment; UPDATE triage.resource SET last_updated = now() - {long_ago}",
        ("I4", "urgent, and without an alert"),
    ),
    "an emergency behind a same-day alert": (
        "UPDATE notify.alert SET urgency = 'same_day'; UPDATE triage.resource SET last_updated = now() - {long_ago}",
        ("I4", "an emergency behind an alert that is less urgent"),
    ),
    "an open alert is never told again": (
        "UPDATE notify.alert SET due_at = NULL, opened_at = now() - {long_ago} "
        "WHERE state IN ('requested', 'received')",
        ("I4", "open, and never told again"),
    ),
    "an open alert should have been told again": (
        "UPDATE notify.alert SET due_at = now() - {long_ago}, opened_at = now() - {long_ago} "
        "WHERE state IN ('requested', 'received')",
        ("I4", "open, and should have been told again"),
    ),
    "an alert is closed by nobody": (
        "ALTER TABLE notify.alert DROP CONSTRAINT alert_due_while_open; "
        "UPDATE notify.alert SET state = 'completed', due_at = NULL, acknowledged_at = NULL",
        ("I4", "out of the way, and nobody acknowledged it"),
    ),
    "no message of an open alert went out": (
        "UPDATE notify.delivery SET state = 'dead'; UPDATE notify.alert SET opened_at = now() - {long_ago} "
        "WHERE state IN ('requested', 'received')",
        ("I5", "open, and nobody was told"),
    ),
    "a message goes to a person of another tenant": (
        "UPDATE notify.delivery SET person = 'dr-elsewhere'",
        ("I6", "sent to somebody whom no on-call document of the tenant names"),
    ),
    "an alert stands for an assessment of nobody": (
        "DELETE FROM triage.resource WHERE type = 'RiskAssessment'",
        ("I6", "stands for an assessment that the tenant does not have"),
    ),
    "an acknowledged alert is told again": (
        "INSERT INTO notify.alert_event (tenant_id, alert_id, kind, step) "
        "SELECT tenant_id, id, 'repeated', step FROM notify.alert WHERE state = 'accepted'",
        ("I7", "told again after it was acknowledged"),
    ),
    "a message of an acknowledged alert goes out": (
        "INSERT INTO notify.alert_event (tenant_id, alert_id, kind, step, at) "
        "SELECT tenant_id, id, 'delivered', step, now() + interval '5 minutes' FROM notify.alert "
        "WHERE state = 'accepted'",
        ("I7", "a message went out after it was acknowledged"),
    ),
    "a response is not in the audit": (
        "DELETE FROM intake.audit_event WHERE type = 'QuestionnaireResponse' AND interaction IN ('create', 'update')",
        ("I8", "not in the audit"),
    ),
    "an assessment is not in the audit": (
        "DELETE FROM triage.audit_event WHERE type = 'RiskAssessment' AND interaction IN ('create', 'update')",
        ("I8", "not in the audit"),
    ),
    "an acknowledgement is not in the audit": (
        "DELETE FROM notify.audit_event WHERE word = 'acknowledged'",
        ("I8", "the line acknowledged of an alert is not in the audit"),
    ),
    "an event of the audit is changed": (
        "UPDATE notify.audit_event SET agent = 'somebody else'",
        ("I8", "was changed in the audit"),
    ),
    "an event of the audit is removed": (
        "DELETE FROM notify.audit_event",
        ("I8", "was removed from the audit"),
    ),
    "a seal is removed": (
        "UPDATE notify.audit_seal SET position = position + 1 "
        "WHERE position = (SELECT max(position) FROM notify.audit_seal)",
        ("I8", "the seal before it is missing"),
    ),
    "a seal is made anew": (
        "UPDATE notify.audit_seal SET hash = sha256('anew') "
        "WHERE position = (SELECT max(position) - 1 FROM notify.audit_seal)",
        ("I8", "does not follow from the seal before"),
    ),
    "the first seal is removed": (
        "DELETE FROM notify.audit_seal WHERE position = 1",
        ("I8", "does not begin the chain"),
    ),
    "an event is never sealed": (
        "INSERT INTO triage.audit_unsealed (tenant_id, recorded, number) "
        "SELECT tenant_id, now() - {long_ago}, number FROM triage.audit_event "
        "WHERE tenant_id = '{tenant}' LIMIT 1",
        ("I8", "not sealed"),
    ),
    "a row of the outbox waits": (
        "INSERT INTO intake.outbox (tenant_id, queue, ref_id, ref_version, created_at) "
        "VALUES ('{tenant}', 'triage', 'r', 1, now() - {long_ago})",
        ("I10", "waits to be told"),
    ),
    "a lease is over": (
        "UPDATE triage.job SET state = 'running', lease_until = now() - {long_ago}",
        ("I10", "its lease is over"),
    ),
    "work is due and not done": (
        "UPDATE notify.job SET state = 'pending', due_at = now() - {long_ago}",
        ("I10", "due, and not done"),
    ),
}


@pytest.mark.requirement("REQ-41")
@pytest.mark.parametrize(("statements", "expected"), PLANTED.values(), ids=PLANTED)
def test_what_is_planted_is_found(owner: DictConnection, statements: str, expected: tuple[str, str]) -> None:
    freely(owner, "intake.audit_event", "triage.audit_event", "notify.audit_event", "notify.audit_seal")
    for statement in statements.format(long_ago=LONG_AGO, tenant=DEFAULT_TENANT).split("; "):
        assert owner.execute(statement.encode()).rowcount, f"planted nothing: {statement}"

    assert expected in found(owner)


@pytest.mark.requirement("REQ-41")
def test_every_invariant_that_sql_can_see_has_something_planted() -> None:
    assert {expected[0] for _, expected in PLANTED.values()} == set(INVARIANTS)


def test_what_happened_before_the_time_asked_for_is_not_looked_at(owner: DictConnection) -> None:
    owner.execute("UPDATE intake.resource SET body = body || ' ' WHERE type = 'QuestionnaireResponse' AND is_current")

    assert found(owner, since=datetime.now(UTC) + timedelta(hours=1)) == set()


BIG = (
    "resource",
    "assessment",
    "assessment_run",
    "alert",
    "alert_assessment",
    "alert_event",
    "delivery",
    "audit_event",
    "job",
)


@pytest.mark.parametrize(
    "name", [name for name in QUERIES if "." in name or name in ("tenants", "texts", "stored", "sample")]
)
def test_every_query_has_an_index_to_walk(owner: DictConnection, name: str) -> None:
    owner.execute("SET LOCAL enable_seqscan = off")
    parameters = {"tenant": DEFAULT_TENANT, "since": datetime.now(UTC), "quiet": 60.0, "most": 50, "number": 5}
    plan = owner.execute(f"EXPLAIN {QUERIES[name]}".encode(), parameters | {"ids": ["a"], "versions": [1]}).fetchall()
    read_whole = re.findall(r"Seq Scan on (\w+)", "\n".join(line["QUERY PLAN"] for line in plan))

    assert [table for table in read_whole if table in BIG] == []


def test_what_is_on_its_way_is_no_violation(owner: DictConnection) -> None:
    owner.execute(WAITING, (DEFAULT_TENANT,))

    assert found(owner) == set()
    assert ("I10", "waits to be told") in found(owner, quiet_s=-1)


def test_rows_of_a_tenant_that_has_nothing_else_are_looked_at(owner: DictConnection) -> None:
    owner.execute("SELECT set_config('sural.tenant', %s, true)", (str(OTHER),))
    owner.execute(
        "INSERT INTO intake.resource (tenant_id, type, id, version_id, last_updated, body, sha256) "
        f"VALUES (%s, 'QuestionnaireResponse', 'alone', 1, now() - {LONG_AGO}, 'x', sha256('x'))".encode(),
        (OTHER,),
    )

    assert {("I2", "not assessed"), ("I8", "not in the audit")} <= found(owner)


@pytest.mark.requirement("REQ-41")
def test_an_assessment_that_another_engine_made_is_found_when_it_is_made_again(owner: DictConnection) -> None:
    for row in owner.execute(
        "SELECT id, version_id, body FROM triage.resource WHERE type = 'RiskAssessment' AND is_current"
    ).fetchall():
        changed = orjson.dumps({**orjson.loads(unpacked(row["body"])), "mitigation": "Wait and see."})
        owner.execute(
            "UPDATE triage.resource SET body = %s WHERE type = 'RiskAssessment' AND id = %s AND version_id = %s",
            (changed, row["id"], row["version_id"]),
        )

    assert found(owner, recompute=5) == {("I3", "says something else when it is made again")}
    assert found(owner, recompute=0) == set()


def test_an_assessment_by_knowledge_that_is_not_here_is_found(owner: DictConnection) -> None:
    owner.execute("UPDATE triage.assessment SET pack_sha256 = 'another' WHERE pack <> 'none'")

    assert ("I3", "the knowledge that it names is not at hand in that version, or was changed") in found(
        owner, recompute=5
    )


@pytest.mark.requirement("REQ-41")
def test_a_ledger_of_what_was_answered_201_is_compared_to_the_byte(owner: DictConnection) -> None:
    stored = [
        verify.Accepted(row["id"], row["version_id"], bytes(row["sha256"]).hex())
        for row in owner.execute(
            "SELECT id, version_id, sha256 FROM intake.resource WHERE type = 'QuestionnaireResponse'"
        ).fetchall()
    ]
    assert len(stored) >= 13
    assert found(owner, ledger=stored) == set()

    forged = [verify.Accepted(stored[0].id, stored[0].version, hashlib.sha256(b"another text").hexdigest())]
    assert found(owner, ledger=forged) == {("I1", "accepted, and not as it was sent")}
    lost = [verify.Accepted(stored[0].id, 99, stored[0].sha256)]
    assert found(owner, ledger=lost) == {("I1", "accepted, and not there")}
    elsewhere = [verify.Accepted(stored[0].id, stored[0].version, stored[0].sha256, OTHER)]
    assert found(owner, ledger=elsewhere) == {("I1", "accepted, and not there")}


@pytest.mark.requirement("REQ-41")
def test_whoever_does_not_see_all_rows_is_refused(busy: System, database: str) -> None:
    url = server_variables({}, {"SURAL_DATABASE_URL": database, "SURAL_REDIS_URL": ""}, busy.data)
    with (
        connect(url["SURAL_INTAKE_DATABASE_URL"], schema="intake") as connection,
        pytest.raises(verify.NotTheOwner, match="would find nothing"),
    ):
        verify.check(connection)


@pytest.mark.requirement("REQ-41")
def test_checking_cannot_change_anything(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(QUERIES, "I1.kept", "DELETE FROM intake.outbox RETURNING '' AS what, '' AS id")  # type: ignore[arg-type]
    with connect_as_owner(database) as connection, pytest.raises(Exception, match="read-only"):
        verify.check(connection)


@pytest.mark.requirement("REQ-41")
def test_a_query_that_takes_too_long_says_so_instead_of_saying_that_all_is_well(
    owner: DictConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off = "SELECT pg_cancel_backend(pg_backend_pid())::text || pg_sleep(20)::text AS what, '' AS id"
    monkeypatch.setitem(QUERIES, "I4.waiting", cut_off)  # type: ignore[arg-type]

    assert found(owner) == {("I4", NOT_CHECKED)}


@pytest.mark.requirement("REQ-41")
def test_each_query_has_half_a_minute(owner: DictConnection) -> None:
    found(owner)

    assert owner.execute("SHOW statement_timeout").fetchone() == {"statement_timeout": "30s"}


def test_the_command_says_what_is_wrong_and_exits_with_1(
    busy: System, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SURAL_DATABASE_URL", database)
    with connect_as_owner(database) as connection:
        connection.execute(WAITING, (DEFAULT_TENANT,))
        try:
            done = busy.command("verify", "--json", "--quiet", "0")
        finally:
            connection.execute("DELETE FROM intake.outbox")

    assert done.returncode == 1, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert not said["well"]
    assert {"invariant": "I10", "what": "waits to be told", "id": "intake/outbox/triage/r"} in said["violations"]


def test_a_canary_is_found_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "web.log").write_bytes(b"x" * ((1 << 20) - 4) + b"ZZCANARY-7" + b"x")
    (tmp_path / "logs" / "triage.log").write_text("nothing to see")

    places = [
        one.id for one in leaked(["ZZCANARY-7"], files=[tmp_path], texts={"broker": b"a ZZCANARY-7", "mail": b"b"})
    ]

    assert places == [str(tmp_path / "logs" / "web.log"), "broker"]


def test_what_cannot_be_searched_is_a_violation(tmp_path: Path) -> None:
    assert [one.what for one in leaked(["ZZCANARY-7"], files=[tmp_path / "gone.log"])] == ["cannot be read"]

"""The watchdog: a synthetic emergency goes through the whole line, and touches nobody real."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from deploy.local.folder import CHECKOUT
from services.intake import store as intake_store
from services.intake.client_command import parser, run
from services.notify.on_call import store as on_call
from services.notify.watchdog import store as rounds
from services.notify.watchdog.emergency import SID_ROUND, emergency_of
from services.notify.watchdog.measure import AGE, measure_watchdog
from services.notify.watchdog.rounds import Watchdog, begin, tell
from services.triage import store as triage_store
from shared.access.service_token import ServiceToken
from shared.fhir.client import FhirClient, NeighbourUnavailable
from shared.fhir.search_index import Rows as SearchRows
from shared.ids import WATCHDOG_TENANT, uuid7
from shared.outbound import Outbound
from shared.postgres import connect, open_pool, tenant_transaction
from shared.problems import ProblemError
from shared.watchdog import KEPT, forget_rounds
from tests.conftest import Database
from tests.intake.test_token import Intake
from tests.tenants.conftest import SCOPES, SERVICE_TOKEN, System, an_emergency

MINUTE = timedelta(minutes=1)
Rows = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def watchdog(system: System) -> Iterator[Watchdog]:
    token = ServiceToken(SERVICE_TOKEN.encode(), "notify")
    with FhirClient(system.intake_url, token=token) as intake:
        yield Watchdog(system.notify.pool, intake, MINUTE)


@pytest.fixture
def rows(database: Database) -> Iterator[Rows]:
    """Run a statement as the owner, who sees the watchdog's tenant too."""
    with psycopg.connect(database.owner_url, autocommit=True, row_factory=dict_row) as connection:
        connection.execute("SELECT set_config('sural.tenant', %s, false)", (str(WATCHDOG_TENANT),))

        def run(statement: str, *values: object) -> list[dict[str, Any]]:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

        yield run


@contextmanager
def an_outside(status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """A service outside that notes who asks it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/ping/4711", asked
    finally:
        server.shutdown()
        server.server_close()


def age_s(system: System) -> float:
    """The metric."""
    return next(gauge.value for gauge in measure_watchdog(system.notify.pool, wanted=True) if gauge.name == AGE)


@pytest.mark.requirement("REQ-39")
def test_a_round_goes_through_the_whole_line_and_is_acknowledged_by_the_watchdog(
    system: System, watchdog: Watchdog, rows: Rows
) -> None:
    before = age_s(system)

    begin(watchdog)
    system.works()

    [alert] = rows("SELECT * FROM notify.alert")
    assert (alert["synthetic"], alert["urgency"], alert["state"]) == (True, "emergency", "accepted")
    assert alert["acknowledged_by"] == "Watchdog"
    [ledger] = rows("SELECT * FROM notify.alert_event WHERE kind = 'acknowledged'")
    assert ledger["way"] == "watchdog"
    assert before == math.inf
    assert 0 <= age_s(system) < 60


def test_a_round_that_is_not_acknowledged_does_not_count(system: System, watchdog: Watchdog, rows: Rows) -> None:
    begin(watchdog)
    system.works()
    rows("UPDATE notify.watchdog_round SET began_at = began_at - interval '2 minutes'")

    begin(watchdog)  # goes in, and nobody works

    assert age_s(system) > 120


@pytest.mark.requirement("REQ-39")
def test_nobody_is_told_of_it_and_nobody_sees_it(system: System, watchdog: Watchdog, rows: Rows) -> None:
    begin(watchdog)

    system.works()

    assert system.mail.mails == []
    for tenant in (system.a, system.b):
        assert tenant.all("Task") == []
        assert tenant.all("QuestionnaireResponse") == []
    assert rows("SELECT DISTINCT channel FROM notify.delivery") == [{"channel": "watchdog"}]
    for service in ("intake", "triage", "notify"):
        assert rows(f"SELECT * FROM {service}.audit_event") == []
    with system.notify.pool.connection() as connection:
        assert connection.execute("SELECT * FROM deliveries_of_a_day()").fetchall() == []


def test_not_even_an_on_call_document_brings_it_to_people(system: System, watchdog: Watchdog, rows: Rows) -> None:
    with tenant_transaction(system.notify.pool, WATCHDOG_TENANT) as connection:
        on_call.save(connection, WATCHDOG_TENANT, DOCUMENT, edited=0, by="somebody")

    begin(watchdog)
    system.works()

    assert system.mail.mails == []
    assert [row["acknowledged_by"] for row in rows("SELECT acknowledged_by FROM notify.alert")] == ["Watchdog"]


@pytest.mark.requirement("SR-16", "REQ-39")
def test_the_very_same_answers_from_a_client_reach_people(system: System, watchdog: Watchdog) -> None:
    begin(watchdog)
    copy = emergency_of(uuid7(), datetime.now(UTC))
    copy["subject"]["identifier"]["system"] = SID_ROUND
    system.a.post(copy)

    system.works()

    [task] = system.a.all("Task")
    assert task["status"] == "received"  # told to people, acknowledged by nobody
    assert len(system.mail.mails) == 1


@pytest.mark.requirement("SR-16")
def test_a_real_alert_of_the_same_patient_is_neither_joined_nor_acknowledged_by_a_round(
    system: System, watchdog: Watchdog, rows: Rows
) -> None:
    begin(watchdog)
    [round_id] = [row["id"] for row in rows("SELECT id FROM notify.watchdog_round")]
    system.a.post(emergency_of(round_id, datetime.now(UTC)))  # the watchdog's own patient

    system.works()

    [task] = system.a.all("Task")
    assert task["status"] == "received"
    assert len(rows("SELECT * FROM notify.alert")) == 1


@pytest.mark.requirement("SR-16", "REQ-39")
def test_no_client_speaks_for_the_tenant_of_the_watchdog(system: System, database: Database) -> None:
    door = Intake(system.a.services["QuestionnaireResponse"], database)
    token = door.token(door.register(scopes=SCOPES, tenant=WATCHDOG_TENANT), SCOPES)

    answer = system.a.services["QuestionnaireResponse"].post(
        "/fhir/QuestionnaireResponse", json=an_emergency("ZZ"), headers={"Authorization": f"Bearer {token}"}
    )

    assert answer.status_code == 401
    assert "watchdog" in answer.text


def test_no_client_is_registered_for_the_tenant_of_the_watchdog(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        "add",
        "Ward",
        "--scope",
        SCOPES,
        "--tenant",
        str(WATCHDOG_TENANT),
        "--jwks-url",
        "https://ehr.example/keys",
    ]

    with connect(database.intake_url, schema="intake") as connection:
        status = run(parser().parse_args(asked), connection, outbound=Outbound())

    assert status == 1
    assert "watchdog" in capsys.readouterr().out


@pytest.mark.requirement("SR-16")
def test_what_a_form_would_store_for_the_watchdog_is_refused_out_loud(system: System, database: Database) -> None:
    new = intake_store.NewResponse("1", b"{}", "", SearchRows([], []), client="form")
    with (
        open_pool(database.intake_url, schema="intake") as pool,
        tenant_transaction(pool, WATCHDOG_TENANT) as connection,
        pytest.raises(ProblemError, match="reserved"),
    ):
        intake_store.store_response(connection, WATCHDOG_TENANT, new)


@pytest.mark.requirement("SR-16")
def test_an_alert_is_synthetic_by_its_tenant_whatever_is_written(system: System, rows: Rows) -> None:
    system.a.post(an_emergency("ZZ"))
    system.works()
    rows("SELECT set_config('sural.tenant', %s, false)", str(system.a.id))

    [copy] = rows(
        "INSERT INTO notify.alert (id, tenant_id, subject_key, pathway, state, urgency, first_step, step, "
        "task_version, opened_at, synthetic) SELECT gen_random_uuid(), tenant_id, 'another', pathway, state, urgency, "
        "first_step, step, task_version, opened_at, true FROM notify.alert RETURNING synthetic"
    )

    assert copy["synthetic"] is False


def test_rounds_come_once_in_a_minute_however_many_processes_look(
    system: System, watchdog: Watchdog, rows: Rows
) -> None:
    begun = [begin(watchdog) for _ in range(3)]
    rows("UPDATE notify.watchdog_round SET began_at = began_at - interval '61 seconds'")
    begun.append(begin(watchdog))

    assert begun == [True, False, False, True]


def test_a_round_that_intake_did_not_take_is_begun_again_at_once(system: System, watchdog: Watchdog) -> None:
    away = Watchdog(watchdog.pool, FhirClient("http://127.0.0.1:9"), MINUTE)
    with pytest.raises(NeighbourUnavailable):
        begin(away)

    assert begin(watchdog)


def test_each_full_round_is_told_outside_once(system: System, watchdog: Watchdog) -> None:
    with an_outside() as (url, asked):
        telling = Watchdog(watchdog.pool, watchdog.intake, MINUTE, url, sandbox=True)
        begin(watchdog)
        silent = tell(telling)
        system.works()
        told = [tell(telling), tell(telling)]

    assert silent is False
    assert told == [True, False]
    assert asked == ["/ping/4711"]


def test_an_outside_that_did_not_hear_is_told_again(system: System, watchdog: Watchdog) -> None:
    begin(watchdog)
    system.works()
    with an_outside(status=503) as (url, asked):
        failing = Watchdog(watchdog.pool, watchdog.intake, MINUTE, url, sandbox=True)
        told = [tell(failing), tell(failing)]

    assert told == [False, False]
    assert len(asked) == 2


def test_what_rounds_leave_behind_is_forgotten_and_nothing_else_is(
    system: System, watchdog: Watchdog, database: Database, rows: Rows
) -> None:
    system.a.post(an_emergency("ZZ"))
    begin(watchdog)
    system.works()
    newest = age_s(system)
    everything = rows(TABLES)
    left = {place: count(rows, place) for place in everything_of(everything)}
    assert sum(left.values()) > 20

    make_old(rows)
    with (
        open_pool(database.intake_url, schema="intake") as intake,
        open_pool(database.triage_url, schema="triage") as triage,
    ):
        forget_rounds(intake, "intake", intake_store.forget_rounds)
        forget_rounds(triage, "triage", triage_store.forget_rounds)
        forget_rounds(system.notify.pool, "notify", rounds.forget)

    # answers without an identifier are recognised for ten minutes, and forgotten by intake's own loop
    left = {place: number for place in left if (number := count(rows, place)) and place != "intake.recent_content"}
    assert left == {}
    assert len(system.a.all("Task")) == len(system.a.all("RiskAssessment")) == 1
    assert age_s(system) > newest


def test_what_a_reader_keeps_it_keeps_longer_than_whom_it_reads_from() -> None:
    assert KEPT["intake"] < KEPT["triage"] < KEPT["notify"]


TABLES = """
SELECT c.relnamespace::regnamespace::text || '.' || c.relname AS place FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
WHERE c.relnamespace::regnamespace::text IN ('intake', 'triage', 'notify') AND c.relkind = 'r'
"""


def everything_of(found: list[dict[str, Any]]) -> list[str]:
    return [row["place"] for row in found]


def count(rows: Rows, place: str) -> int:
    return int(rows(f"SELECT count(*) AS number FROM {place} WHERE tenant_id = %s", WATCHDOG_TENANT)[0]["number"])


def make_old(rows: Rows) -> None:
    """Move the clock by four hours, for the watchdog's tenant."""
    for place, column in (
        ("intake.resource", "last_updated"),
        ("intake.outbox", "created_at"),
        ("triage.resource", "last_updated"),
        ("triage.job", "created_at"),
        ("triage.outbox", "created_at"),
        ("triage.assessment", "assessed_at"),
        ("triage.assessment_run", "ran_at"),
        ("notify.resource", "last_updated"),
        ("notify.job", "created_at"),
        ("notify.alert", "opened_at"),
    ):
        rows(f"UPDATE {place} SET {column} = {column} - interval '4 hours' WHERE tenant_id = %s", WATCHDOG_TENANT)
    rows("UPDATE notify.watchdog_round SET began_at = began_at - interval '4 hours'")


DOCUMENT = (CHECKOUT / "examples" / "on-call.toml").read_text()

"""Rows made to measure growth are read by the services' own code, and no work reads more when there are more."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import orjson
import psycopg
import pytest
from psycopg.rows import dict_row

from deploy.local.benchmark import growth, growth_work
from deploy.local.benchmark.growth import Cost, Growth, growth_ratio
from deploy.local.benchmark.growth_disk import plan_sizes
from deploy.local.benchmark.growth_ground import Ground, ground
from deploy.local.benchmark.growth_rows import QUERIES, WHOLE, Filling, Part, fill, indexes_made_after
from deploy.local.benchmark.growth_rows import whole_second as this_second
from deploy.local.benchmark.growth_work import FIVE, FURTHER, Work
from deploy.local.servers import EmbeddedPostgres
from services.notify.assessment import read_assessment
from services.notify.worklist import store as worklist
from services.notify.worklist.filters import Filters, Section
from services.triage import store as assessments
from shared.events import Ref
from shared.fhir import resources
from shared.fhir.codes import Urgency
from shared.fhir.identity import as_received, instant
from shared.fhir.parse import parse_resource
from shared.fhir.search import searched
from shared.ids import DEFAULT_TENANT
from shared.postgres import tenant_transaction

FEW, MANY = 1_000, 8_000
PACE = timedelta(days=1) / 500
"""Two days, and sixteen: the last day is the same."""
WITHIN_A_MONTH = {"figures, notify"}
"""Works that look at the alerts of thirty days, of which the small database has two."""
TYPE = "QuestionnaireResponse"


@pytest.fixture(scope="module")
def grounds() -> Iterator[Sequence[Ground]]:
    """Two filled databases in one server."""
    folder = Path(tempfile.gettempdir()) / f"sural-test-growth-{secrets.token_hex(4)}"
    try:
        with EmbeddedPostgres(folder) as postgres, ExitStack() as stack:
            made = []
            for count in (FEW, MANY):
                owner, services = growth._database(postgres, f"growth_{count}")
                filling = Filling(count, this_second(), pace=PACE)
                fill(owner, filling, progress=lambda _line: None)
                made.append(stack.enter_context(ground(filling, owner, services)))
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_generated_response_is_read_by_its_id_and_is_sound_r4(grounds: Sequence[Ground]) -> None:
    few = grounds[0]
    wanted = few.filling.response_id(77)
    with tenant_transaction(few.pools["intake"], DEFAULT_TENANT) as connection:
        stored = resources.read(connection, DEFAULT_TENANT, TYPE, wanted)
    assert stored is not None
    read = parse_resource(as_received(stored), resource_type=TYPE).resource
    assert read["id"] == wanted
    assert read["subject"]["reference"] == few.filling.patient(77)


def test_a_generated_response_is_found_by_its_patient_and_its_identifier(grounds: Sequence[Ground]) -> None:
    few = grounds[0]
    patient = few.filling.patient(77)
    with tenant_transaction(few.pools["intake"], DEFAULT_TENANT) as connection:
        found = resources.find(connection, DEFAULT_TENANT, searched(TYPE, [("patient", patient)])).found
        assert few.filling.response_id(77) in {stored.id for stored in found}
        assert len(found) == 4
        form = orjson.loads(found[0].body)["identifier"]["value"]
        same = resources.find(connection, DEFAULT_TENANT, searched(TYPE, [("identifier", f"|{form}")])).found
        other = resources.find(connection, DEFAULT_TENANT, searched(TYPE, [("identifier", form)])).found
    assert {orjson.loads(stored.body)["subject"]["reference"] for stored in found} == {patient}
    assert [stored.id for stored in other] == [found[0].id]
    assert same == [], "the identifier of the form has a system"


def test_catch_up_finds_what_changed_since_and_nothing_before(grounds: Sequence[Ground]) -> None:
    few = grounds[0]
    since = few.filling.until - 9.5 * few.filling.pace
    with tenant_transaction(few.pools["intake"], DEFAULT_TENANT) as connection:
        search = searched(TYPE, [("_lastUpdated", f"ge{instant(since)}")])
        found = [stored.id for stored in resources.find(connection, DEFAULT_TENANT, search).found]
    assert found == [few.filling.response_id(number) for number in range(FEW - 9, FEW + 1)]


def test_the_worklist_shows_the_generated_alerts_by_section(grounds: Sequence[Ground]) -> None:
    looker = worklist.Looker(None, "Dr Test")
    with tenant_transaction(grounds[0].pools["notify"], DEFAULT_TENANT) as connection:
        parts = worklist.page(connection, DEFAULT_TENANT, Filters(), looker)
        counts = worklist.counts(connection, DEFAULT_TENANT, Filters(), looker)
    number = {section: sum(count.number for count in counts if count.section is section) for section in Section}
    assert (number[Section.WAITING], number[Section.HELD]) == (20, 80)
    assert [row["urgency"] for row in parts[Section.WAITING].rows] == ["emergency"] * 10 + ["same_day"] * 10
    assert all(row["assessments"] == 1 and row["deliveries"] for row in parts[Section.WAITING].rows)


def test_a_generated_assessment_is_one_that_notify_can_read(grounds: Sequence[Ground]) -> None:
    few = grounds[0]
    with tenant_transaction(few.pools["triage"], DEFAULT_TENANT) as connection:
        wanted = ("basis", f"QuestionnaireResponse/{few.filling.response_id(80)}")
        (stored,) = resources.find(connection, DEFAULT_TENANT, searched("RiskAssessment", [wanted])).found
    ref = Ref(stored.id, 1, DEFAULT_TENANT)
    read = read_assessment(orjson.loads(stored.body), ref, otherwise=Urgency.EMERGENCY)
    assert (read.response_id, read.subject_key) == (few.filling.response_id(80), few.filling.patient(80))


def test_a_generated_emergency_of_today_is_an_earlier_urgency_of_its_patient(grounds: Sequence[Ground]) -> None:
    few = grounds[0]
    patient = few.filling.patient(FEW - 20)
    same = assessments.SamePatient(Ref("another", 1, DEFAULT_TENANT), patient, "posterior-lower-limb")
    with tenant_transaction(few.pools["triage"], DEFAULT_TENANT) as connection:
        assert assessments.earlier_urgency(connection, same) is Urgency.EMERGENCY


def test_at_eight_times_as_many_responses_no_work_reads_more_of_the_database(grounds: Sequence[Ground]) -> None:
    """Pages, which are the same on every machine. A small table is read whole, a larger one by its index, so some more
    are fine, once; a table of eight times the rows is not."""
    few, many = ({work.name: _pages(ground, work) for work in (*FIVE, *FURTHER)} for ground in grounds)
    grown = {
        name: (few[name], many[name])
        for name in few
        if name not in WITHIN_A_MONTH and many[name] > 1.7 * few[name] + 60
    }
    assert grown == {}
    assert {work.name for work in FIVE} == {"create", "relay", "read", "search", "worklist"}


def _pages(ground: Ground, work: Work) -> float:
    """Pages of one work, once the driver has prepared its statements (after five times) and the server has made plans
    of them for any value (after five more)."""
    ground.spend(work.service, lambda: work.do(ground), 12)
    return ground.spend(work.service, lambda: work.do(ground), 3)[0].pages


def test_which_tenants_changed_is_answered_without_reading_what_changed(grounds: Sequence[Ground]) -> None:
    """What came since the planner looked last is more than it expects: a join would read all of it."""
    many = grounds[-1]
    for _ in range(300):
        growth_work.create(many)

    def ask() -> int:
        with many.pools["intake"].connection() as connection:
            assert resources.tenants_changed(connection, TYPE, many.filling.until) == [DEFAULT_TENANT]
        return 1

    many.spend("intake", ask, 2)
    assert many.spend("intake", ask, 3)[0].pages < 40


def test_what_a_work_took_is_counted_for_each_thing_that_it_did(grounds: Sequence[Ground]) -> None:
    few = grounds[0]
    read = next(work for work in FIVE if work.name == "read")
    spent = few.spend("intake", lambda: 2 * read.do(few), 3)
    assert len(spent) == 3
    assert all(each.processor_ms > 0 and each.wall_ms > 0 for each in spent)
    assert spent[0].pages == pytest.approx(few.spend("intake", lambda: read.do(few), 3)[0].pages / 2, rel=0.5)


def test_indexes_that_are_made_after_the_rows_are_those_that_were_there(grounds: Sequence[Ground]) -> None:
    options = "-c search_path=intake"
    info = grounds[0].owner.info
    with psycopg.connect(info.dsn, password=info.password, options=options, row_factory=dict_row) as owner:
        before = owner.execute(QUERIES["indexes"], {"table": "resource"}).fetchall()
        with indexes_made_after(owner, ["resource"]):
            assert owner.execute(QUERIES["indexes"], {"table": "resource"}).fetchall() == []
        after = owner.execute(QUERIES["indexes"], {"table": "resource"}).fetchall()
        owner.rollback()
    assert len(before) >= 4
    assert after == before


def test_the_ratio_is_that_of_the_dearest_of_the_five_from_smallest_to_largest() -> None:
    def measured(responses: int, **ms: float) -> Growth:
        costs = {work.name: Cost(1.0, 1.0, 10.0) for work in FIVE} | {
            name: Cost(each, 1.0, 1.0) for name, each in ms.items()
        }
        return Growth(responses, 0, (), costs)

    sizes = [measured(10_000), measured(1_000_000, search=9.0), measured(10_000_000, read=1.4, search=1.5, prune=8.0)]
    assert growth_ratio(sizes) == pytest.approx(1.5)
    assert "1.50" in "\n".join(growth.as_table(sizes))


def test_what_does_not_fit_on_the_disk_is_left_out_and_named() -> None:
    roomy = plan_sizes((10_000, 10_000_000), free_bytes=10**12)
    tight = plan_sizes((10_000, 10_000_000), free_bytes=70 * 10**9)
    assert roomy[0].parts == tight[0].parts == WHOLE
    assert roomy[1].left_out == ("assessments",)
    assert tight[1].parts < roomy[1].parts
    assert Part.RESPONSES in tight[1].parts
    assert all(name in tight[1].as_line() for name in tight[1].left_out)
    assert sum(plan.needed_bytes for plan in tight) < 70 * 10**9


def test_too_small_a_disk_is_refused_before_anything_is_made() -> None:
    with pytest.raises(SystemExit, match=r"needs at least .* GB of free disk"):
        plan_sizes((10_000, 10_000_000), free_bytes=20 * 10**9)

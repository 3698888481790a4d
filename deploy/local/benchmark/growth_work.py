"""What is measured at each size: the works of the services themselves, without HTTP.

The five of the target come first; the others are what grows unseen: work of the background, figures for operators.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import orjson

from deploy.local.benchmark.growth_ground import Ground
from deploy.local.benchmark.growth_rows import SYSTEM
from deploy.local.benchmark.growth_templates import FORM, INSTANT, PATIENT, response
from services.intake import app as intake
from services.intake import store as responses
from services.intake.store import NewResponse
from services.notify import app as notify
from services.notify import store as alerts
from services.notify.worklist import store as worklist
from services.notify.worklist.filters import Filters
from services.notify.worklist.store import Looker
from services.triage import app as triage
from services.triage import store as assessments
from shared import jobs, outbox
from shared.audit import query
from shared.events import Ref
from shared.fhir import resources
from shared.fhir.identity import instant
from shared.fhir.search import searched
from shared.fhir.search_index import rows
from shared.ids import DEFAULT_TENANT, uuid7
from shared.postgres import tenant_transaction

TYPE = "QuestionnaireResponse"
KIND = "growth"
BATCH = 50
BODY = orjson.dumps(response()).decode()
LOOKER = Looker("person-3", "Dr Growth")


@dataclass(frozen=True, slots=True)
class Work:
    """Something that a service does, and how often in a block. `do` says how many things it did."""

    name: str
    service: str
    times: int
    do: Callable[[Ground], int]


def create(ground: Ground) -> int:
    """Store a response of one of the patients, with search rows, outbox row and audit row."""
    ground.created += 1
    now, patient = ground.filling.until, ground.filling.patient(ground.some())
    form, new_id = secrets.token_hex(7), str(uuid7())
    text = BODY.replace(FORM, form).replace(PATIENT, patient).replace(INSTANT, instant(now))
    new = NewResponse(
        new_id, text.encode(), patient, rows(orjson.loads(text)), identifier=(SYSTEM, form), client="growth"
    )
    with tenant_transaction(ground.pools["intake"], DEFAULT_TENANT) as connection:
        stored = responses.store_response(connection, DEFAULT_TENANT, new)
    assert stored.outcome == "created", stored.outcome
    return 1


def relay(ground: Ground) -> int:
    """Take messages out of the outbox, for a broker that takes them at once."""
    with ground.pools["intake"].connection() as connection:
        return outbox.relay(connection, lambda _queue, _refs: None, limit=BATCH)


def read(ground: Ground) -> int:
    """The current version of some response."""
    with tenant_transaction(ground.pools["intake"], DEFAULT_TENANT) as connection:
        found = resources.read(connection, DEFAULT_TENANT, TYPE, ground.filling.response_id(ground.some()))
    assert found is not None
    return 1


def search(ground: Ground) -> int:
    """All responses of some patient."""
    return _find(ground, [("patient", ground.filling.patient(ground.some()))])


def search_newest(ground: Ground) -> int:
    """The newest response of some patient."""
    return _find(
        ground, [("patient", ground.filling.patient(ground.some())), ("_sort", "-_lastUpdated"), ("_count", "1")]
    )


def search_status(ground: Ground) -> int:
    """The newest completed responses: what nearly all are."""
    return _find(ground, [("status", "completed"), ("_sort", "-_lastUpdated"), ("_count", "20")])


def catch_up(ground: Ground) -> int:
    """Which tenants changed lately, and a page of what did: what triage asks every two seconds."""
    since = ground.filling.until - timedelta(minutes=5)
    with ground.pools["intake"].connection() as connection:
        resources.tenants_changed(connection, TYPE, since)
    return _find(ground, [("_lastUpdated", f"ge{instant(since)}"), ("_elements", "id,meta"), ("_count", "20")])


def show_worklist(ground: Ground) -> int:
    """The worklist as it opens: its first page and its counts."""
    return _worklist(ground, Filters())


def show_mine(ground: Ground) -> int:
    """The worklist of one person: what this person has or was told of."""
    return _worklist(ground, Filters(mine=True))


def claim(ground: Ground) -> int:
    """Note work, take it, end it: triage's jobs, without the work."""
    refs = [Ref(str(uuid7()), 1, DEFAULT_TENANT) for _ in range(BATCH)]
    with ground.pools["triage"].connection() as connection:
        jobs.add(connection, KIND, refs)
        taken = jobs.claim(connection, KIND)
        for each in taken:
            jobs.finish(connection, each)
    return len(taken)


def earlier(ground: Ground) -> int:
    """How urgent this patient was within the last day."""
    number = ground.some()
    ref = Ref(ground.filling.response_id(number), 1, DEFAULT_TENANT)
    same = assessments.SamePatient(ref, ground.filling.patient(number), "posterior-lower-limb")
    with tenant_transaction(ground.pools["triage"], DEFAULT_TENANT) as connection:
        assessments.earlier_urgency(connection, same)
    return 1


def due(ground: Ground) -> int:
    """Which alerts must be told again, whose messages nobody works on, which tenants wait."""
    with ground.pools["notify"].connection() as connection:
        connection.execute(alerts.QUERIES["due_alerts"], {"most": BATCH}).fetchall()
        connection.execute(alerts.QUERIES["tenants_waiting"]).fetchall()
    with tenant_transaction(ground.pools["notify"], DEFAULT_TENANT) as connection:
        connection.execute(alerts.QUERIES["orphaned"]).fetchall()
        connection.execute(alerts.QUERIES["untold"])
    return 1


def audit_of_patient(ground: Ground) -> int:
    """Who looked at a patient's responses."""
    asked = query.parse_query([("patient", ground.filling.patient(ground.some())), ("_count", "20")], strict=True)
    with tenant_transaction(ground.pools["intake"], DEFAULT_TENANT) as connection:
        query.find(connection, DEFAULT_TENANT, "intake", asked)
    return 1


def seal(ground: Ground) -> int:
    """Chain what was recorded since the last time."""
    with ground.pools["intake"].connection() as connection:
        tenants = connection.execute("SELECT tenants_unsealed() AS tenant").fetchall()
        row = connection.execute("SELECT seal_audit(%s, 500) AS number", (DEFAULT_TENANT,)).fetchone()
    assert row is not None
    return int(row["number"]) if tenants else 0


def prune(ground: Ground) -> int:
    """Look for work that was done more than seven days ago."""
    with ground.pools["triage"].connection() as connection:
        connection.execute(jobs.QUERIES["prune"])
    return 1


def figures_of_intake(ground: Ground) -> int:
    """What /metrics asks intake's database."""
    return len(list(intake.measure(ground.pools["intake"])))


def figures_of_triage(ground: Ground) -> int:
    """What /metrics asks triage's database."""
    return int(bool(list(triage.measure(ground.pools["triage"]))))


def figures_of_notify(ground: Ground) -> int:
    """What /metrics asks notify's database."""
    return int(bool(list(notify.measure(ground.pools["notify"]))))


FIVE = (
    Work("create", "intake", 100, create),
    Work("relay", "intake", 2, relay),
    Work("read", "intake", 200, read),
    Work("search", "intake", 100, search),
    Work("worklist", "notify", 10, show_worklist),
)
FURTHER = (
    Work("seal", "intake", 1, seal),
    Work("newest of a patient", "intake", 50, search_newest),
    Work("newest completed", "intake", 20, search_status),
    Work("audit of a patient", "intake", 20, audit_of_patient),
    Work("catch-up", "intake", 20, catch_up),
    Work("claim", "triage", 1, claim),
    Work("earlier urgency", "triage", 50, earlier),
    Work("prune", "triage", 5, prune),
    Work("due alerts", "notify", 10, due),
    Work("worklist, mine", "notify", 5, show_mine),
    Work("figures, intake", "intake", 3, figures_of_intake),
    Work("figures, triage", "triage", 3, figures_of_triage),
    Work("figures, notify", "notify", 3, figures_of_notify),
)


def _find(ground: Ground, asked: Sequence[tuple[str, str]]) -> int:
    with tenant_transaction(ground.pools["intake"], DEFAULT_TENANT) as connection:
        page = resources.find(connection, DEFAULT_TENANT, searched(TYPE, list(asked)))
    assert page.found, asked
    return 1


def _worklist(ground: Ground, filters: Filters) -> int:
    with tenant_transaction(ground.pools["notify"], DEFAULT_TENANT) as connection:
        parts = worklist.page(connection, DEFAULT_TENANT, filters, LOOKER)
        worklist.counts(connection, DEFAULT_TENANT, filters, LOOKER)
    assert any(part.rows for part in parts.values())
    return 1

"""What generated rows look like: resources as our own code makes them, with marks where each row has its own value.

A response and an assessment are cut to about 2 KB (real ones have 25 and 60); the rows by which they are found are all
there, as `shared.fhir.search_index` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from deploy.local.demo import EXAMPLES
from deploy.local.triage import shipped_form
from services.notify.alert import State
from services.notify.assessment import read_assessment
from services.notify.task import new_task, stamped, with_period, with_state, with_step
from services.triage.basis import Basis, Run
from services.triage.engine.assess import evaluate
from services.triage.findings import FactReader
from services.triage.knowledge.loader import load_packs
from services.triage.risk_assessment import build_resources
from shared.events import Ref
from shared.fhir.codes import Urgency
from shared.fhir.search_index import rows
from shared.ids import DEFAULT_TENANT

EXAMPLE = EXAMPLES / "dvt-after-surgery.json"
LONG = 2048
"""Bytes of a body, about."""
MARKS = (
    "00000000-0000-7000-8000-000000000001",
    "Patient/00000000-0000-4000-8000-000000000002",
    "00000000-0000-4000-8000-000000000003",
    "00000000-0000-4000-8000-000000000004",
    "00000000-0000-4000-8000-000000000005",
    "2000-01-01T00:00:00.000Z",
)
"""They stand for the values of growth_rows.sql, in its order."""
RESPONSE, PATIENT, FORM, ASSESSMENT, ALERT, INSTANT = MARKS
MOMENT = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Template:
    """One resource for each response, or (`of_alerts`) for each that alerted. Texts are patterns of format().

    `values` are (parameter, system, value), `ranges` (parameter, low, high) in milliseconds from the response's time.
    """

    type: str
    id: str
    body: str
    values: Sequence[tuple[str, str, str]]
    ranges: Sequence[tuple[str, float, float]]
    of_alerts: bool = False
    tagged: bool = False


def response() -> dict[str, Any]:
    """A finished response of about 2 KB: what an example begins with."""
    whole = orjson.loads(EXAMPLE.read_bytes())
    whole["identifier"]["value"], whole["subject"], whole["authored"] = FORM, {"reference": PATIENT}, INSTANT
    return _cut(whole, "item")


def response_template() -> Template:
    """As intake stores it: without id, which is no part of the bytes."""
    return _template(response(), resource_id=RESPONSE)


def assessment_template() -> Template:
    """The RiskAssessment, without most of its explanation."""
    return _template(_assessment(), resource_id=ASSESSMENT, tagged=True)


def task_templates() -> list[Template]:
    """The three versions of the Task of an alert, the current one last: told, acknowledged, closed."""
    ref = Ref(ASSESSMENT, 1, DEFAULT_TENANT)
    task = new_task(UUID(ALERT), read_assessment(_assessment(), ref, otherwise=Urgency.EMERGENCY), MOMENT)
    told = with_step(task, step=1, due_at=MOMENT)
    held = with_period(with_state(told, State.ACCEPTED), start=MOMENT, end=None)
    closed = with_period(with_state(held, State.COMPLETED), start=MOMENT, end=MOMENT)
    versions = [stamped(each, version=at, now=MOMENT) for at, each in enumerate((told, held, closed), start=1)]
    return [_template(each, resource_id=ALERT, of_alerts=True) for each in versions]


def _assessment() -> dict[str, Any]:
    whole = orjson.loads(EXAMPLE.read_bytes())
    form = shipped_form(whole["questionnaire"])
    pack = load_packs()[form.canonical]
    named = {**whole, "id": RESPONSE, "subject": {"reference": PATIENT}}
    assessed = evaluate(pack, FactReader(form, pack.content.facts).read(named).findings)
    basis = Basis.of(named, version=1, sha256="")
    risk = build_resources(assessed, pack, basis=basis, run=Run(ASSESSMENT, 1, MOMENT))[0]
    kept = {name: value for name, value in risk.items() if name not in ("extension", "note", "mitigation", "text")}
    return _cut(kept, "prediction")


def _cut(resource: Mapping[str, Any], element: str) -> dict[str, Any]:
    """The resource with as many entries of a list as fit into two kilobytes."""
    cut = {**resource, element: list[Any]()}
    for entry in resource.get(element, []):
        longer = {**cut, element: [*cut[element], entry]}
        if len(orjson.dumps(longer)) > LONG + LONG // 10:
            continue
        cut = longer
    return cut


def _template(
    resource: Mapping[str, Any], *, resource_id: str, of_alerts: bool = False, tagged: bool = False
) -> Template:
    made = rows(resource)
    start = MOMENT.timestamp() * 1000
    return Template(
        type=str(resource["resourceType"]),
        id=_pattern(resource_id),
        body=_pattern(orjson.dumps(resource).decode()),
        values=[(param, system, _pattern(value)) for param, system, value in made.values],
        ranges=[(param, low - start, high - start) for param, low, high in made.ranges],
        of_alerts=of_alerts,
        tagged=tagged,
    )


def _pattern(text: str) -> str:
    """The text for format(), with numbered places for the marks."""
    text = text.replace("%", "%%")
    for number, mark in enumerate(MARKS, start=1):
        text = text.replace(mark, f"%{number}$s")
    return text

"""The stages of a response that need nobody else: from its bytes to the RiskAssessment as text.

A sound response takes the row "gate and validation" (the acceptor of its Questionnaire); "strict JSON", "structure" and
"validation, explained" are the walkers that look at all others. The rows are for the mix of examples that the load
generator sends, and for a response of 60 items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import cycle
from typing import Any

import orjson

from deploy.local.benchmark.bodies import TENTH
from deploy.local.benchmark.form import sixty_items
from deploy.local.benchmark.stage import Stage
from deploy.local.benchmark.strangers import strangers
from deploy.local.triage import shipped_form
from services.intake.acceptor import Acceptor
from services.intake.conformance import check_conformance
from services.triage.assess_response import evaluate_response
from services.triage.basis import Basis, Run
from services.triage.engine.assess import evaluate
from services.triage.engine.pack import Pack
from services.triage.findings import FactReader
from services.triage.knowledge.loader import load_packs
from services.triage.risk_assessment import build_resources
from shared.fhir.parse import parse_resource
from shared.fhir.plain_json import read_plain_json
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.fhir.strict_json import read_json
from shared.fhir.structure import check_structure

RESPONSE = "QuestionnaireResponse"
MIXED = 10
"""Responses of the mix in one round."""
STRANGERS = 300
"""More than triage keeps results for (`flag_plans.py`), so that hardly any is known when its turn comes again."""
SIXTY = "gate and validation, 60 items"
RUN = Run("00000000-0000-4000-8000-000000000000", 1, datetime(2026, 1, 1, tzinfo=UTC))

Work = Callable[[], object]


def pure_stages() -> list[Stage]:
    """In the order of the walk."""
    by_name: dict[str, list[Work]] = {}
    packs, readers = load_packs(), dict[str, FactReader]()
    for number, (body, _) in enumerate(TENTH.bodies(MIXED)):
        data = body.marked(str(number))
        form = shipped_form(str(orjson.loads(data)["questionnaire"]))
        pack = packs[form.canonical]
        reader = readers.setdefault(form.canonical, FactReader(form, pack.content.facts))
        for name, work in _of_response(data, form, pack, reader):
            by_name.setdefault(name, []).append(work)
    stages = [Stage(name, partial(_all, works), len(works)) for name, works in by_name.items()]
    return [*stages, *_assessments(packs, readers), *_sixty()]


def _of_response(body: bytes, form: QuestionnaireIndex, pack: Any, reader: FactReader) -> Iterator[tuple[str, Work]]:
    """Each stage with what it works on, as the services hand it over."""
    response = parse_resource(body, resource_type=RESPONSE).resource
    named = {**response, "id": "bench"}
    findings = reader.read(named).findings
    assessment = evaluate(pack, findings)
    basis = Basis.of(named, version=1, sha256="")
    resources = build_resources(assessment, pack, basis=basis, run=RUN)
    acceptor = Acceptor(form)
    if not accepted(acceptor, body):
        raise AssertionError("a body of the benchmark is not recognised as sound")
    yield "gate and validation", lambda: accepted(acceptor, body)
    yield "strict JSON", lambda: read_json(body)
    yield "structure", lambda: check_structure(response, resource_type=RESPONSE)
    yield "validation, explained", lambda: check_conformance(form, response)
    yield "findings", lambda: reader.read(named)
    yield "engine", lambda: evaluate(pack, findings)
    yield "explanation and FHIR", lambda: build_resources(assessment, pack, basis=basis, run=RUN)
    yield "written as text", lambda: orjson.dumps(resources)


def _assessments(packs: Mapping[str, Pack], readers: Mapping[str, FactReader]) -> Iterator[Stage]:
    """From the answers to the resources, all in one: for the mix, and for as many patients as were never seen."""

    def work_of(response: Mapping[str, Any]) -> Work:
        named, canonical = {**response, "id": "bench"}, str(response["questionnaire"])
        basis = Basis.of(named, version=1, sha256="")
        return lambda: evaluate_response(named, readers[canonical], packs[canonical], basis=basis, run=RUN).resources

    mix = [work_of(orjson.loads(body.marked(str(number)))) for number, (body, _) in enumerate(TENTH.bodies(MIXED))]
    yield Stage("assessment", partial(_all, mix), len(mix))
    others = [work_of(response) for response in strangers(STRANGERS)]
    turns = cycle([others[first : first + MIXED] for first in range(0, STRANGERS, MIXED)])
    yield Stage("assessment, never seen", lambda _given: _all(next(turns), None), MIXED)


def _sixty() -> Iterator[Stage]:
    """A response of 60 items against its Questionnaire, from bytes to "sound and fitting"."""
    questionnaire, body = sixty_items()
    form = QuestionnaireIndex.build(questionnaire)
    acceptor = Acceptor(form)

    def explained() -> object:
        return check_conformance(form, parse_resource(body, resource_type=RESPONSE).resource)

    if not accepted(acceptor, body) or explained():
        raise AssertionError("the response of the benchmark is not sound")
    yield Stage(SIXTY, partial(_all, [lambda: accepted(acceptor, body)] * MIXED), MIXED)
    yield Stage("the same, explained", partial(_all, [explained] * MIXED), MIXED)


def accepted(acceptor: Acceptor, body: bytes) -> bool:
    """What production does with a sound response."""
    plain = read_plain_json(body)
    return plain is not None and acceptor.accepts(plain)


def _all(works: Sequence[Work], _given: object) -> None:
    for work in works:
        work()

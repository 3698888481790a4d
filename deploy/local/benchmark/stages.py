"""`sural bench`: what each stage of one response costs, in processor time and as a multiple of reading its JSON.

Processor time of one thread, for each shipped example the fastest of many runs: what is slower is the machine's doing
(other programmes, changing clock rates), not ours. The multiple compares machines: it is how
often the same file could have been read by `orjson.loads` in that time.

A sound response takes the row "gate and validation"; "parse" and "conformance" are what explains all others.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from deploy.local.benchmark.form import sixty_items
from deploy.local.triage import shipped_form
from services.intake.acceptor import Acceptor
from services.intake.conformance import check_conformance
from services.triage.basis import Basis, Run
from services.triage.engine.assess import evaluate
from services.triage.engine.pack import Pack
from services.triage.findings import FactReader
from services.triage.knowledge.loader import load_packs
from services.triage.risk_assessment import build_resources
from shared.fhir.parse import parse_resource
from shared.fhir.plain_json import read_plain_json
from shared.fhir.questionnaire import QuestionnaireIndex

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
LEFT_OUT = {"invalid.json", "incomplete.json", "page-1-chest-pain.json"}
"""Examples that are not a finished response."""
WARM_UP, RUNS = 20, 200
STAGES = ("gate and validation", "parse", "conformance", "facts", "engine", "explanation and FHIR", "write")
SIXTY, SIXTY_EXPLAINED = "gate and validation, 60 items", "the same, explained"


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor time of one stage in milliseconds: median over the examples, and the dearest of them.

    `multiple`: the median in units of one `orjson.loads` of the same bytes.
    """

    stage: str
    median_ms: float
    dearest_ms: float
    multiple: float


def measure(runs: int = RUNS) -> list[Cost]:
    """The cost of every stage, in the order of the walk."""
    packs = load_packs()
    times: dict[str, list[float]] = {stage: [] for stage in STAGES}
    multiples: dict[str, list[float]] = {stage: [] for stage in STAGES}
    readers: dict[str, FactReader] = {}
    for path in sorted(EXAMPLES.glob("*.json")):
        if path.name in LEFT_OUT:
            continue
        body = path.read_bytes()
        unit = _processor_ms(partial(orjson.loads, body), runs)
        form = shipped_form(str(orjson.loads(body)["questionnaire"]))
        pack = packs[form.canonical]
        reader = readers.setdefault(form.canonical, FactReader(form, pack.content.facts))
        for stage, work in _stages(body, form, pack, reader):
            cost = _processor_ms(work, runs)
            times[stage].append(cost)
            multiples[stage].append(cost / unit)
    costs = [Cost(stage, median(times[stage]), max(times[stage]), median(multiples[stage])) for stage in STAGES]
    return [*costs, *_sixty_items(runs)]


def _sixty_items(runs: int) -> Iterator[Cost]:
    """A response of 60 items against its Questionnaire, from bytes to "sound and fitting"."""
    questionnaire, body = sixty_items()
    form = QuestionnaireIndex.build(questionnaire)
    acceptor = Acceptor(form)

    def accepted() -> bool:
        return _accepted(acceptor, body)

    def explained() -> object:
        return check_conformance(form, parse_resource(body, resource_type="QuestionnaireResponse").resource)

    if not accepted() or explained():
        raise AssertionError("the response of the benchmark is not sound")
    unit = _processor_ms(partial(orjson.loads, body), runs)
    for stage, work in ((SIXTY, accepted), (SIXTY_EXPLAINED, explained)):
        cost = _processor_ms(work, runs)
        yield Cost(stage, cost, cost, cost / unit)


def _stages(
    body: bytes, form: QuestionnaireIndex, pack: Pack, reader: FactReader
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each stage with what it works on, as the services hand it over."""
    response = parse_resource(body, resource_type="QuestionnaireResponse").resource
    named = {**response, "id": "bench"}
    findings = reader.read(named).findings
    assessment = evaluate(pack, findings)
    basis = Basis.of(named, version=1, sha256="")
    run = Run("00000000-0000-4000-8000-000000000000", 1, datetime(2026, 1, 1, tzinfo=UTC))
    resources = build_resources(assessment, pack, basis=basis, run=run)
    acceptor = Acceptor(form)
    yield "gate and validation", lambda: _accepted(acceptor, body)
    yield "parse", lambda: parse_resource(body, resource_type="QuestionnaireResponse")
    yield "conformance", lambda: check_conformance(form, response)
    yield "facts", lambda: reader.read(named)
    yield "engine", lambda: evaluate(pack, findings)
    yield "explanation and FHIR", lambda: build_resources(assessment, pack, basis=basis, run=run)
    yield "write", lambda: orjson.dumps(resources)


def _accepted(acceptor: Acceptor, body: bytes) -> bool:
    plain = read_plain_json(body)
    return plain is not None and acceptor.accepts(plain)


def _processor_ms(work: Callable[[], object], runs: int) -> float:
    for _ in range(WARM_UP):
        work()
    taken = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(runs):
            begin = time.thread_time_ns()
            work()
            taken.append(time.thread_time_ns() - begin)
    finally:
        gc.enable()
    return min(taken) / 1e6


def as_json(costs: list[Cost]) -> dict[str, Any]:
    """One object by stage, and `validation_ms`: the response of 60 items."""
    stages = {cost.stage: {name: value for name, value in asdict(cost).items() if name != "stage"} for cost in costs}
    return {"validation_ms": stages[SIXTY]["median_ms"], **stages}


def as_table(costs: list[Cost]) -> Iterator[str]:
    """Lines for a terminal."""
    yield f"{'stage':32}{'median ms':>10}{'dearest ms':>12}{'x orjson.loads':>16}"
    for cost in costs:
        yield f"{cost.stage:32}{cost.median_ms:10.2f}{cost.dearest_ms:12.2f}{cost.multiple:16.0f}"

"""`sural triage FILE`: the engine on QuestionnaireResponse files, without servers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.intake.conformance import check_conformance
from services.intake.questionnaires import shipped
from services.triage.assess_response import content_sha256, evaluate_response
from services.triage.basis import Basis, Run, assessment_id, plain
from services.triage.case import status_of
from services.triage.engine.pack import Pack
from services.triage.explanation import Explanation
from services.triage.findings import FactReader
from services.triage.knowledge.loader import load_packs
from shared.fhir.canonicals import url_and_version
from shared.fhir.parse import parse_resource
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.ids import DEFAULT_TENANT
from shared.problems import Category, Problem, ProblemError, Severity


@dataclass(frozen=True, slots=True)
class Triaged:
    """One file's outcome: the resources that triage would store, RiskAssessment first, in words, and the warnings."""

    resources: Sequence[dict[str, Any]]
    pack: Pack
    explanation: Explanation
    warnings: Sequence[Problem]


def triage_file(path: Path, *, now: datetime | None = None) -> Triaged:
    """Check the response as intake does and assess it as triage does. Raises ProblemError with every reason."""
    response = parse_resource(path.read_bytes(), resource_type="QuestionnaireResponse").resource
    index = shipped_form(str(response.get("questionnaire", "")))
    problems = check_conformance(index, response)
    if any(problem.severity in (Severity.ERROR, Severity.FATAL) for problem in problems):
        raise ProblemError(problems)
    pack = load_packs()[index.canonical]
    named = {**response, "id": str(response.get("id", path.stem))[:64]}
    basis = Basis.of(named, version=1, sha256=content_sha256(response))
    run = Run(
        assessment_id=assessment_id(DEFAULT_TENANT, named["id"], pack.head.name),
        version=1,
        at=now or datetime.now(UTC),
        status=status_of(response, first=True),
    )
    evaluated = evaluate_response(named, FactReader(index, pack.content.facts), pack, basis=basis, run=run)
    assert evaluated.explanation is not None
    return Triaged(plain(evaluated.resources), pack, evaluated.explanation, problems)


def shipped_form(canonical: str) -> QuestionnaireIndex:
    """The Questionnaire of that canonical that comes with Sural. Raises ProblemError when there is none."""
    url, version = url_and_version(canonical)
    for path in reversed(shipped()):
        index = QuestionnaireIndex.build(parse_resource(path.read_bytes(), resource_type="Questionnaire").resource)
        if index.url == url and version in ("", index.version):
            return index
    raise ProblemError(
        Problem(
            Category.UNPROCESSABLE,
            "questionnaire-unknown",
            "The response names no Questionnaire that comes with Sural. Name it as url|version.",
            expression="QuestionnaireResponse.questionnaire",
            issue_code="not-found",
        )
    )

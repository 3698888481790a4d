"""RiskAssessment.prediction: outcome with its codes, rationale in words, and the same evidence for machines.

The order is the explanation's and is normative: what must not be missed first, then candidates by support.
"""

from __future__ import annotations

from collections.abc import Iterable

from orjson import Fragment

from services.triage.basis import Resource, extension
from services.triage.engine.pack import Pack
from services.triage.engine.results import Candidate
from services.triage.predictions import Prediction
from services.triage.written import Written, written
from shared.fhir.codes import CANONICAL

EXT_ROLE = f"{CANONICAL}/StructureDefinition/prediction-role"
EXT_SUPPORT = f"{CANONICAL}/StructureDefinition/relative-support"


def prediction_elements(pack: Pack, predictions: Iterable[Prediction]) -> list[Resource]:
    """One element per prediction."""
    parts = written(pack)
    return [_element(parts, one) for one in predictions]


def _element(parts: Written, prediction: Prediction) -> Resource:
    extensions: list[Resource | Fragment] = [{"url": EXT_ROLE, "valueCode": prediction.role.value}]
    if prediction.candidate is not None:
        extensions.append(_support(prediction.candidate, prediction.place))
        extensions += [parts.evidence(one) for one in prediction.findings]
    return {
        "extension": extensions,
        "outcome": _outcome(parts, prediction),
        "rationale": " ".join(prediction.rationale),
    }


def _outcome(parts: Written, prediction: Prediction) -> Resource | Fragment:
    if prediction.condition is None:
        return {"text": prediction.outcome}
    return parts.outcome(prediction.condition, prediction.outcome)


def _support(candidate: Candidate, place: int | None) -> Resource:
    return extension(
        EXT_SUPPORT,
        ("support", "Code", candidate.support.value),
        ("rank", "PositiveInt", place),
        ("urgency", "Code", candidate.condition.urgency.value),
    )

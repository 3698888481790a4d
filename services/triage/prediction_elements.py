"""RiskAssessment.prediction: outcome with its codes, rationale in words, and the same evidence for machines.

The order is the explanation's and is normative: what must not be missed first, then candidates by support.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import exp

from services.triage.basis import Resource, extension
from services.triage.engine.conditions import Condition
from services.triage.engine.model import Presence
from services.triage.engine.pack import Pack
from services.triage.engine.results import Candidate, FindingVerdict
from services.triage.predictions import Prediction
from shared.fhir.codes import CANONICAL, CS_CONDITION

EXT_ROLE = f"{CANONICAL}/StructureDefinition/prediction-role"
EXT_SUPPORT = f"{CANONICAL}/StructureDefinition/relative-support"
EXT_EVIDENCE = f"{CANONICAL}/StructureDefinition/evidence"


def prediction_elements(pack: Pack, predictions: Iterable[Prediction]) -> list[Resource]:
    """One element per prediction."""
    return [_element(pack, one) for one in predictions]


def _element(pack: Pack, prediction: Prediction) -> Resource:
    extensions: list[Resource] = [{"url": EXT_ROLE, "valueCode": prediction.role.value}]
    if prediction.candidate is not None:
        extensions.append(_support(prediction.candidate, prediction.place))
        extensions += [_evidence(pack, one) for one in prediction.findings]
    return {
        "extension": extensions,
        "outcome": _outcome(prediction),
        "rationale": " ".join(prediction.rationale),
    }


def _outcome(prediction: Prediction) -> Resource:
    if prediction.condition is None:
        return {"text": prediction.outcome}
    return {"coding": _codings(prediction.condition), "text": prediction.outcome}


def _codings(condition: Condition) -> list[Resource]:
    own: Resource = {"system": CS_CONDITION, "code": condition.id, "display": condition.title}
    found = [own]
    for code in condition.codes:
        coding: Resource = {"system": code.system, "code": code.code}
        found.append(coding | {"display": code.display} if code.display else coding)
    return found


def _support(candidate: Candidate, place: int | None) -> Resource:
    return extension(
        EXT_SUPPORT,
        ("support", "Code", candidate.support.value),
        ("rank", "PositiveInt", place),
        ("urgency", "Code", candidate.condition.urgency.value),
    )


def _evidence(pack: Pack, verdict: FindingVerdict) -> Resource:
    finding = verdict.finding
    polarity = "unknown" if verdict.presence is Presence.UNKNOWN else "for" if verdict.weight > 0 else "against"
    return extension(
        EXT_EVIDENCE,
        ("polarity", "Code", polarity),
        ("linkId", "String", tuple(dict.fromkeys(pack.facts[name].link_id for name in _public(pack, verdict.facts)))),
        ("likelihoodRatio", "Decimal", None if verdict.weight == 0 else _ratio(verdict.weight)),
        ("source", "String", finding.evidence or ("expert-opinion",)),
    )


def _public(pack: Pack, names: Iterable[str]) -> Iterable[str]:
    return (name for name in names if name not in pack.confidential_facts)


def _ratio(weight: int) -> float:
    """A weight as the likelihood ratio that it stands for, with two digits that mean something."""
    return float(f"{exp(weight / 1000):.2g}")

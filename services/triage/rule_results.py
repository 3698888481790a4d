"""The machine-readable half of a RiskAssessment: every rule's result, its answers and its sources."""

from __future__ import annotations

from collections.abc import Iterator

from orjson import Fragment

from services.triage.basis import Resource, extension
from services.triage.engine.model import Urgency
from services.triage.engine.pack import Pack
from services.triage.engine.results import Assessment, FlagResult
from services.triage.told import told
from services.triage.written import Written, written
from shared.fhir.codes import (
    CANONICAL,
    CS_URGENCY,
    EXT_DATA_QUALITY,
    EXT_DISPOSITION,
    EXT_NOT_FIRED,
)

EXT_MUST_NOT_MISS = f"{CANONICAL}/StructureDefinition/must-not-miss"
EXT_FLOOR = f"{CANONICAL}/StructureDefinition/triage-floor"


def rule_results(pack: Pack, assessment: Assessment) -> list[Resource | Fragment]:
    """All extensions of the RiskAssessment, in a fixed order."""
    parts = written(pack)
    results: list[Resource | Fragment] = []
    if assessment.urgency is not None:
        results.append(disposition(assessment.urgency))
    results += [_fired(parts, assessment, result) for result in assessment.fired]
    results += [parts.undecided(result) for result in assessment.undecided]
    if assessment.not_fired:
        results.append({"url": EXT_NOT_FIRED, "valueString": " ".join(assessment.not_fired)})
    results += [parts.score(score) for score in assessment.scores if score.minimum is not None]
    results += _floors(parts, assessment)
    results += [parts.advice(given) for given in assessment.advice]
    results += _panel(parts, assessment)
    results.append(_data_quality(parts, assessment))
    return results


def disposition(urgency: Urgency) -> Resource:
    """The coded urgency."""
    return {"url": EXT_DISPOSITION, "valueCoding": {"system": CS_URGENCY, "code": urgency.value}}


def _fired(parts: Written, assessment: Assessment, result: FlagResult) -> Fragment:
    fired, findings = parts.fired(result), assessment.findings
    return parts.flag(fired, [told(parts.pack, name, findings.get(name)).element for name in fired.facts])


def _floors(parts: Written, assessment: Assessment) -> Iterator[Resource]:
    for floor in assessment.floors:
        yield extension(
            EXT_FLOOR,
            ("rule", "Code", floor.id),
            ("kind", "Code", floor.kind.value),
            ("urgency", "Code", floor.urgency.value),
            ("raises", "Code", floor.raises),
            ("citation", "String", parts.citations(floor.evidence)),
            ("linkId", "String", parts.link_ids(floor.facts)),
        )


def _panel(parts: Written, assessment: Assessment) -> Iterator[Resource]:
    """The must-not-miss panel (SR-13): ids of conditions by standing, likeliest first, without confidential ones."""
    panel = [parts.not_missed(one) for one in assessment.must_not_miss if not one.condition.confidential]
    if panel:
        yield {"url": EXT_MUST_NOT_MISS, "extension": panel}


def _data_quality(parts: Written, assessment: Assessment) -> Resource:
    quality = assessment.quality
    codes = tuple(code.value for code in quality.codes) or ("complete",)
    return extension(
        EXT_DATA_QUALITY,
        ("code", "Code", codes),
        ("contradiction", "Code", tuple(one.id for one in quality.contradictions)),
        ("twoAnswers", "String", parts.link_ids(quality.conflicting)),
        ("notUsed", "String", parts.link_ids(quality.unusable)),
        ("notAnsweredPage1", "String", parts.link_ids(quality.page_1_unknown)),
        ("notAnswered", "String", parts.link_ids(quality.required_unknown)),
    )

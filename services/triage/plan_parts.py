"""Building blocks of PlanDefinition actions: a rule with its urgency, a criterion, sources, codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from services.triage.basis import Resource
from services.triage.engine.criteria import Criterion
from services.triage.engine.criteria_text import criterion_text
from services.triage.engine.model import Urgency
from services.triage.engine.pack import Pack
from services.triage.publication import citations
from services.triage.rule_results import disposition
from shared.fhir.codes import CANONICAL, CS_RED_FLAG, CS_URGENCY, EXT_DISPOSITION, PRIORITY, REVIEW_TAG
from shared.fhir.codes import Urgency as TaskUrgency

CRITERION: Final = "text/x-sural-criterion"
"""Language of criteria in Expression.language: see `knowledge/criteria_language.py`."""

EXT_RAISES: Final = f"{CANONICAL}/StructureDefinition/raises"
EXT_CLINICIAN_ONLY: Final = f"{CANONICAL}/StructureDefinition/clinician-only"


def rule(
    pack: Pack,
    action_id: str,
    title: str,
    urgency: Urgency | None,
    *,
    review: bool = False,
    raises: Sequence[str] = (),
    clinician_only: bool = False,
) -> Resource:
    """An action with its urgency, if it sets one, as coded disposition, as sentence and as priority.

    `review`: a clinician is asked to read the answers the same day, whatever the urgency.
    """
    found: Resource = {"id": action_id, "title": title}
    marks: list[Resource] = []
    if urgency is not None:
        marks.append(disposition(urgency))
        found["textEquivalent"] = pack.text(f"disposition.{urgency.value}")
        found["priority"] = PRIORITY[TaskUrgency(urgency.value)]
    elif review:
        marks.append({"url": EXT_DISPOSITION, "valueCoding": {"system": CS_URGENCY, "code": REVIEW_TAG}})
        found["priority"] = PRIORITY[TaskUrgency.SAME_DAY]
    marks += [{"url": EXT_RAISES, "valueCode": name} for name in raises]
    if clinician_only:
        marks.append({"url": EXT_CLINICIAN_ONLY, "valueBoolean": True})
    return found | ({"extension": marks} if marks else {})


def when(criterion: Criterion | None, *, unless: Iterable[Criterion] = ()) -> Resource:
    """The conditions of an action: it applies when the criterion holds, and not when one of `unless` does."""
    conditions = [] if criterion is None else [_condition("applicability", criterion)]
    conditions += [_condition("stop", one) for one in unless]
    return {"condition": conditions} if conditions else {}


def documented(pack: Pack, keys: Sequence[str]) -> Resource:
    """The sources behind these evidence keys."""
    return {"documentation": citations(pack, keys)} if keys else {}


def red_flag(pack: Pack, flag_id: str, guards: str) -> Resource:
    """A red flag as a concept, coded as in a DetectedIssue."""
    return {"coding": [{"system": CS_RED_FLAG, "version": pack.head.version, "code": flag_id}], "text": guards}


def _condition(kind: str, criterion: Criterion) -> Resource:
    return {"kind": kind, "expression": {"language": CRITERION, "expression": criterion_text(criterion)}}

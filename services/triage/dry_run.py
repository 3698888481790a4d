"""The use case `$triage`: what an assessment would say. Nothing is stored, nobody is alerted, nothing earlier counts.

What is given back names no stored resource as its own: ids are new each time, references between the parts are
``urn:uuid:``, and what was evaluated is said in words where it has no address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from services.triage.assess_response import Assessor, content_sha256, prepared
from services.triage.basis import Basis, Resource, Run, Status, assessment_id, plain
from services.triage.engine.pack import Pack
from services.triage.knowledge.loader import every_pack
from services.triage.risk_assessment import not_assessable
from shared.events import Ref
from shared.fhir import resources
from shared.fhir.codes import EXT_DISPOSITION, EXT_RED_FLAG
from shared.fhir.outcome import operation_outcome
from shared.ids import DEFAULT_TENANT, uuid7
from shared.postgres import database_now, tenant_transaction
from shared.problems import Category, Problem, ProblemError, Severity

SENT = {"type": "QuestionnaireResponse", "display": "The response as it was sent; it was not stored"}
_NAMES_A_STORED_ONE = ("identifier", "versionId", "lastUpdated", "profile")


@dataclass(frozen=True, slots=True)
class DryRun:
    """Evaluates with the packs, forms and neighbour of an assessor, and writes nothing."""

    assessor: Assessor

    def of_sent(self, response: Mapping[str, Any], warnings: Sequence[Resource], knowledge: str | None) -> Resource:
        """The Bundle for a response that somebody sent. `warnings`: issues of its validation.

        Raises ProblemError for a pack that is not known, NeighbourUnavailable while intake is away.
        """
        evaluated = self._evaluated({**response, "id": "sent"}, 1, knowledge)
        return _bundle(_loose(evaluated, SENT), [_nothing_stored(), *warnings])

    def of_stored(self, ref: Ref, response: Mapping[str, Any], knowledge: str | None) -> Resource:
        """The Bundle for a stored version of a response, and whether its stored assessment says the same."""
        evaluated = self._evaluated({**response, "id": ref.id}, ref.version, knowledge)
        basis = {"reference": f"QuestionnaireResponse/{ref.id}/_history/{ref.version}"}
        compared = self._compared(ref, evaluated[0], knowledge)
        return _bundle(_loose(evaluated, basis), [_nothing_stored(), compared])

    def _evaluated(self, response: Mapping[str, Any], version: int, knowledge: str | None) -> list[Resource]:
        form = self.assessor.forms.get(str(response.get("questionnaire", "")))
        pack = self._pack(knowledge) if knowledge else self.assessor.packs.get(form.canonical) if form else None
        basis = Basis.of(response, version=version, sha256=content_sha256(response))
        with self.assessor.pool.connection() as connection:
            run = Run(str(uuid7()), 1, database_now(connection), Status.PRELIMINARY)
        if form is None or pack is None:
            return list(not_assessable(self.assessor.texts, basis=basis, run=run, reason="no-pack"))
        reader = self.assessor.reader(DEFAULT_TENANT, form, pack)
        return plain(prepared(response, reader, pack, basis=basis)(run).resources)

    def _pack(self, canonical: str) -> Pack:
        packs = {f"{pack.head.canonical}|{pack.head.version}": pack for pack in every_pack().values()}
        if canonical in packs:
            return packs[canonical]
        known = ", ".join(sorted(packs))
        message = f"The parameter knowledge names no pack that is known here. Known: {known}."
        raise ProblemError(Problem(Category.UNPROCESSABLE, "parameters", message, issue_code="not-found"))

    def _compared(self, ref: Ref, assessment: Resource, knowledge: str | None) -> Resource:
        code = assessment["method"]["coding"][0]["code"]
        name = "none" if code == "not-assessable" else code
        with tenant_transaction(self.assessor.pool, ref.tenant) as connection:
            identifier = assessment_id(ref.tenant, ref.id, name)
            stored = resources.read(connection, ref.tenant, "RiskAssessment", identifier)
        if stored is None:
            return _issue("no-stored-assessment", "There is no stored assessment to compare with yet.")
        held = orjson.loads(stored.body)
        where = f"RiskAssessment/{stored.id}/_history/{stored.version_id}"
        before, now = _said(held), _said(assessment)
        if before == now:
            return _issue("same-as-stored", f"The stored assessment, {where}, says the same.")
        words = f"{where} says {before[0]} ({', '.join(before[1]) or 'no red flag'})"
        return _issue(
            "differs-from-stored",
            f"{words}; this says {now[0]} ({', '.join(now[1]) or 'no red flag'})"
            f"{' with ' + knowledge if knowledge else ''}.",
            Severity.WARNING,
        )


def _said(assessment: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The urgency and the red flags that fired."""
    urgency, fired = "no urgency", []
    for extension in assessment.get("extension", []):
        if extension["url"] == EXT_DISPOSITION:
            urgency = extension["valueCoding"]["code"]
        elif extension["url"] == EXT_RED_FLAG:
            parts = {part["url"]: part.get("valueCode") for part in extension["extension"]}
            fired += [parts["flag"]] if parts["result"] == "fired" else []
    return urgency, tuple(sorted(fired))


def _loose(evaluated: Sequence[Resource], basis: Resource) -> list[Resource]:
    """RiskAssessment and DetectedIssues without what would name a stored resource."""
    assessment, *others = evaluated
    issues = [one for one in others if one["resourceType"] == "DetectedIssue"]
    own = {"reference": f"urn:uuid:{assessment['id']}"}
    loose = [{**assessment, "basis": [basis]}]
    loose += [
        {
            **issue,
            "implicated": [basis, own],
            "evidence": [{**one, "detail": [basis]} for one in issue["evidence"]],
        }
        for issue in issues
    ]
    return [_unnamed(one) for one in loose]


def _unnamed(resource: Resource) -> Resource:
    kept = {name: value for name, value in resource.items() if name != "identifier"}
    meta = {name: value for name, value in resource["meta"].items() if name not in _NAMES_A_STORED_ONE}
    return {**kept, "meta": meta} if meta else {name: value for name, value in kept.items() if name != "meta"}


def _bundle(parts: Sequence[Resource], issues: Sequence[Resource]) -> Resource:
    outcome = {"resourceType": "OperationOutcome", "issue": list(issues)}
    entries = [{"fullUrl": f"urn:uuid:{part['id']}", "resource": part} for part in parts]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [*entries, {"fullUrl": f"urn:uuid:{uuid7()}", "resource": outcome}],
    }


def _nothing_stored() -> Resource:
    return _issue("dry-run", "This is a dry run: nothing was stored and nobody was alerted.")


def _issue(code: str, text: str, severity: Severity = Severity.INFORMATION) -> Resource:
    problem = Problem(Category.INCORRECT, code, text, severity=severity, issue_code="informational")
    issue: Resource = operation_outcome([problem])["issue"][0]
    return issue

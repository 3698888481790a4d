"""What triage and intake know of an assessment, asked at the same time and not waited for longer than `PATIENCE_S`.

The page is for somebody at night: what is away by then is named, and everything else is shown.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from services.notify.detail.answers import Form
from services.notify.detail.assessed import Response
from shared.events import Ref
from shared.fhir.canonicals import url_and_version
from shared.fhir.client import FhirClient, NeighbourUnavailable
from shared.fhir.codes import CS_CONDITION, SID_RESPONSE

PATIENCE_S = 2.0
KEPT_S = 60.0
"""How long a Questionnaire or the names of conditions are used before they are read again: a draft may change."""
AT_ONCE = 16
MOST = "200"

log = logging.getLogger(__name__)
Resource = dict[str, Any]
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: one version of an assessment, and the responses that its alert came from."""

    assessment: Ref
    responses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What came in time. `missing`: a sentence for each thing that did not."""

    assessment: Resource | None = None
    issues: tuple[Resource, ...] = ()
    response: Resource | None = None
    form: Form | None = None
    conditions: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


class Neighbours:
    """Triage and intake as the pages ask them. Thread-safe; `close` gives the connections back."""

    def __init__(self, triage: FhirClient, intake: FhirClient, *, patience_s: float = PATIENCE_S) -> None:
        self.triage, self.intake = triage, intake
        self._patience_s = patience_s
        self.threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="detail")
        self._kept: dict[tuple[UUID, str], tuple[float, Any]] = {}

    def close(self) -> None:
        """Ask nothing any more."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.triage.close()
        self.intake.close()

    def find(self, asked: Asked, *, response_of: Callable[[Resource], Response | None]) -> Found:
        """All of it, within the patience. `response_of`: which version of a response an assessment stands on."""
        return _Look(self, asked, time.monotonic() + self._patience_s).found(response_of)

    def assessments_of(self, subject_key: str, tenant: UUID) -> list[Resource] | None:
        """The current assessments of a patient, or None when triage does not answer in time."""
        parameter = "subject:identifier" if "|" in subject_key else "subject"
        query = {parameter: subject_key, "_count": MOST, "_sort": "-_lastUpdated"}
        asked = self.threads.submit(self.triage.find, "RiskAssessment", query, tenant=tenant)
        return _in_time(asked, time.monotonic() + self._patience_s)

    def form(self, canonical: str, tenant: UUID) -> Form | None:
        """The Questionnaire of that canonical, or None. Raises NeighbourUnavailable."""
        url, version = url_and_version(canonical)
        query = {"url": url} | ({"version": version} if version else {})

        def read() -> Form | None:
            found = self.intake.find("Questionnaire", query, tenant=tenant)
            return Form.of(found[0]) if found else None

        return self._keeping((tenant, f"{url}|{version}"), read)

    def conditions(self, version: str, tenant: UUID) -> Mapping[str, str]:
        """What the conditions of these rules are called, by code. Raises NeighbourUnavailable."""
        query = {"url": CS_CONDITION} | ({"version": version} if version else {})

        def read() -> Mapping[str, str]:
            found = self.triage.find("CodeSystem", query, tenant=tenant)
            concepts = (concept for system in found for concept in system.get("concept", ()))
            return {str(one["code"]): str(one.get("display", one["code"])) for one in concepts}

        return self._keeping((tenant, f"{CS_CONDITION}|{version}"), read)

    def _keeping(self, key: tuple[UUID, str], read: Callable[[], Answer]) -> Answer:
        """What was read lately, else read anew; an empty answer is not kept."""
        until, kept = self._kept.get(key, (0.0, None))
        if time.monotonic() < until:
            answer: Answer = kept
            return answer
        fresh = read()
        if fresh:
            self._kept = {one: held for one, held in self._kept.items() if held[0] > time.monotonic()}
            self._kept[key] = (time.monotonic() + KEPT_S, fresh)
        return fresh


class _Look:
    """One page's questions."""

    def __init__(self, of: Neighbours, asked: Asked, deadline: float) -> None:
        self._of, self._asked, self._deadline = of, asked, deadline
        self._missing: dict[str, None] = {}

    def found(self, response_of: Callable[[Resource], Response | None]) -> Found:
        """Triage and intake are asked at the same time; how long one takes does not cost what the other knows."""
        ref, tenant = self._asked.assessment, self._asked.assessment.tenant
        by_response = ",".join(f"{SID_RESPONSE}|{one}" for one in self._asked.responses)
        assessment_asked = self._ask(self._triage.read_many, "RiskAssessment", [ref])
        issues_asked = self._ask(self._issues, by_response, ref) if by_response else None
        answers_asked = self._ask(self._current_answers) if by_response else None
        assessment = (self._answer(assessment_asked, AWAY_TRIAGE) or {}).get(ref)
        if assessment is not None and assessment.get("resourceType") != "RiskAssessment":
            assessment = None
        if assessment is None and not self._missing:
            self._missing[UNKNOWN_ASSESSMENT] = None
        conditions_asked = self._ask(self._of.conditions, _rules_version(assessment), tenant) if assessment else None
        current = self._answer(answers_asked, AWAY_INTAKE) if answers_asked else []
        response, form = self._assessed(current or [], response_of(assessment) if assessment else None)
        issues = self._answer(issues_asked, AWAY_ISSUES) if issues_asked else []
        return Found(
            assessment=assessment,
            issues=tuple(issues or ()),
            response=response,
            form=form,
            conditions=(self._answer(conditions_asked, "") or {}) if conditions_asked else {},
            missing=tuple(self._missing),
        )

    @property
    def _triage(self) -> FhirClient:
        return self._of.triage

    def _ask(self, question: Callable[..., Answer], *arguments: Any) -> Future[Answer]:
        return self._of.threads.submit(question, *arguments)

    def _answer(self, asked: Future[Answer], otherwise: str) -> Answer | None:
        """The answer, or None with a sentence that says what is missing."""
        answer = _in_time(asked, self._deadline)
        if answer is None and otherwise:
            self._missing[otherwise] = None
        return answer

    def _issues(self, by_response: str, ref: Ref) -> list[Resource]:
        """The DetectedIssues as they were in this version of the assessment, whose number theirs have too."""
        query = {"identifier": by_response, "_count": MOST}
        ours = [one for one in self._triage.find("DetectedIssue", query, tenant=ref.tenant) if _implicates(one, ref)]
        current = [one for one in ours if one["meta"]["versionId"] == str(ref.version)]
        older = [one for one in ours if int(one["meta"]["versionId"]) > ref.version]
        found = (self._triage.vread("DetectedIssue", Ref(one["id"], ref.version, ref.tenant)) for one in older)
        return [*current, *(one for one in found if one is not None)]

    def _current_answers(self) -> list[tuple[Resource, Form | None]]:
        """The current versions of the responses, newest first, each with its Questionnaire where that can be read."""
        query = {"_id": ",".join(self._asked.responses), "_count": MOST}
        found = self._of.intake.find("QuestionnaireResponse", query, tenant=self._asked.assessment.tenant)
        found.sort(key=lambda one: str(one.get("meta", {}).get("lastUpdated", "")), reverse=True)
        return [(one, self._form(one)) for one in found]

    def _assessed(
        self, current: Sequence[tuple[Resource, Form | None]], wanted: Response | None
    ) -> tuple[Resource | None, Form | None]:
        """The version that was assessed, with its form; the newest where that is not known, which is then said."""
        held = [one for one in current if wanted is None or one[0].get("id") == wanted.id]
        if wanted is None and len(held) > 1:
            self._missing[NOT_KNOWN_WHICH] = None
        response, form = held[0] if held else (None, None)
        if (
            wanted is not None
            and wanted.version is not None
            and (response is None or _version(response) != wanted.version)
        ):
            ref = Ref(wanted.id, wanted.version, self._asked.assessment.tenant)
            response = self._answer(self._ask(self._of.intake.vread, "QuestionnaireResponse", ref), AWAY_INTAKE)
        if response is not None and form is None:
            self._missing[AWAY_FORM] = None
        return response, form

    def _form(self, response: Resource) -> Form | None:
        try:
            return self._of.form(str(response.get("questionnaire", "")), self._asked.assessment.tenant)
        except NeighbourUnavailable:
            return None


AWAY_TRIAGE = "Triage does not answer. Why this is urgent, the flags, conditions and scores are missing here."
AWAY_ISSUES = "The sentences of the red flags could not be read from triage. Flags are named without them."
AWAY_INTAKE = "Intake does not answer, or does not have the response. What the patient answered is missing here."
AWAY_FORM = "The questionnaire could not be read. Answers are shown without the questions' texts."
NOT_KNOWN_WHICH = "Which answers were assessed is not known without triage. The newest are shown."
UNKNOWN_ASSESSMENT = "Triage does not know this version of the assessment. What it said is missing here."


def _in_time(asked: Future[Answer], deadline: float) -> Answer | None:
    """What a neighbour answered by then; None when it did not, or answered with a mistake."""
    try:
        return asked.result(timeout=max(0.0, deadline - time.monotonic()))
    except (NotInTime, NeighbourUnavailable) as error:
        asked.cancel()
        log.warning("page without neighbour", extra={"error": type(error).__name__})
    except Exception as error:
        log.error("neighbour not understood", extra={"error": type(error).__name__}, exc_info=error)
    return None


def _implicates(issue: Mapping[str, Any], ref: Ref) -> bool:
    named = (str(one.get("reference", "")) for one in issue.get("implicated", ()))
    return any(one.partition("/_history/")[0] == f"RiskAssessment/{ref.id}" for one in named)


def _version(resource: Mapping[str, Any]) -> int | None:
    version = str(resource.get("meta", {}).get("versionId", ""))
    return int(version) if version.isdecimal() else None


def _rules_version(assessment: Mapping[str, Any]) -> str:
    codings = assessment.get("method", {}).get("coding", [])
    return str(codings[0].get("version", "")) if codings else ""

"""The use case of triage: from a reference to a response, to an assessment that is stored and told of.

Whatever cannot be assessed ends in an assessment that says so and asks for a human the same day; silence is not an
outcome. Only a neighbour or a database that is away postpones a job.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.triage import store
from services.triage.basis import Basis, Resource, Run, Status, assessment_id
from services.triage.engine.assess import evaluate
from services.triage.engine.pack import Pack
from services.triage.engine.results import Scope
from services.triage.findings import FactReader
from services.triage.forms import Forms
from services.triage.knowledge.loader import load_not_assessable_texts, load_packs
from services.triage.risk_assessment import build_resources, not_assessable
from services.triage.settings import TriageSettings
from shared import jobs
from shared.fhir.client import FhirClient, NeighbourFault, NeighbourUnavailable
from shared.fhir.codes import EXT_CONTENT_SHA256, Urgency
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.jobs import Claim
from shared.outbox import announce
from shared.postgres import Pool, database_now, unavailable
from shared.telemetry import correlated

SCHEMA = "triage"
NEIGHBOUR_PAUSE_S = 2.0
RETRY_PAUSE_S = 1.0
NO_PACK = "none"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation came to: the urgency (None: none yet) and the resources, RiskAssessment first."""

    pack: str
    pack_version: str
    pack_sha256: str
    urgency: Urgency | None
    resources: Sequence[Resource]
    needs_review: bool = False


@dataclass(frozen=True, slots=True)
class Assessor:
    """Assesses responses with the packs at hand. May be shared by threads."""

    pool: Pool
    client: FhirClient
    forms: Forms
    packs: Mapping[str, Pack]
    texts: Mapping[str, str]
    readers: dict[str, FactReader] = field(default_factory=dict)
    """By canonical of the Questionnaire; made at first use."""

    def warm_up(self) -> None:
        """Read the Questionnaires of all packs now, so that the first response need not wait for them."""
        try:
            for canonical in self.packs:
                self.forms.get(canonical)
        except NeighbourUnavailable:
            log.info("intake not ready yet")

    def work(self, claims: Sequence[Claim]) -> None:
        """Do these jobs. Each ends done, or is put back for later; none is dropped."""
        try:
            responses = self.client.read_many("QuestionnaireResponse", [claimed.ref for claimed in claims])
        except NeighbourUnavailable as error:
            if not self._is_hopeless(error, claims):
                self._wait_for_intake(claims, error)
                return
            responses = {claimed.ref: {"id": claimed.ref.id} for claimed in claims}
        for claimed in claims:
            with correlated(correlation=claimed.ref.id):
                self._one(claimed, responses.get(claimed.ref))
        with self.pool.connection() as connection:
            announce(connection, SCHEMA)

    def _one(self, claimed: Claim, response: Mapping[str, Any] | None) -> None:
        try:
            if response is None:
                self._unknown(claimed)
            else:
                self._assess(claimed, response)
        except NeighbourUnavailable as error:
            self._wait_for_intake([claimed], error)
        except Exception as error:
            log.exception("assessment failed", extra={"error": type(error).__name__, "attempts": claimed.attempts})
            self._put_back([claimed], type(error).__name__, RETRY_PAUSE_S, counts=not unavailable(error))

    @staticmethod
    def _is_hopeless(error: NeighbourUnavailable, claims: Sequence[Claim]) -> bool:
        """True when intake answers but cannot give this one response, however often it is asked."""
        return isinstance(error, NeighbourFault) and all(claimed.exhausted for claimed in claims)

    def _wait_for_intake(self, claims: Sequence[Claim], error: NeighbourUnavailable) -> None:
        """Try again later. Only an answer that is a fault counts: the one response behind it is then found alone."""
        log.warning("intake away", extra={"number": len(claims), "error": type(error).__name__})
        counts = isinstance(error, NeighbourFault)
        self._put_back(claims, type(error).__name__, NEIGHBOUR_PAUSE_S, counts=counts)

    def _unknown(self, claimed: Claim) -> None:
        """A reference that intake does not know: forged, or intake lost data. Set aside, and counted."""
        log.error("response not known to intake", extra={"response": claimed.ref.id})
        if not claimed.exhausted:
            self._put_back([claimed], "NotKnown", RETRY_PAUSE_S, counts=True)
            return
        with self.pool.connection() as connection:
            jobs.finish(connection, claimed, dead=True)

    def _put_back(self, claims: Sequence[Claim], error: str, delay_s: float, *, counts: bool) -> None:
        with self.pool.connection() as connection:
            for claimed in claims:
                jobs.retry(connection, claimed, error=error, delay_s=delay_s, counts=counts)

    def _assess(self, claimed: Claim, response: Mapping[str, Any]) -> None:
        ref = claimed.ref
        canonical = str(response.get("questionnaire", ""))
        form = None if claimed.exhausted else self.forms.get(canonical)
        pack = self.packs.get(form.canonical) if form is not None else None
        held_id = assessment_id(ref.tenant, ref.id, pack.head.name if pack else NO_PACK)
        with self.pool.connection() as connection:
            held = store.current(connection, ref.tenant, [held_id]).get(held_id)
            now: datetime = database_now(connection)
        if held is not None and held.response_version >= ref.version:
            with self.pool.connection() as connection:
                jobs.finish(connection, claimed)
            return
        run = Run(
            assessment_id=held_id,
            version=held.version_id + 1 if held else 1,
            at=now,
            status=status_of(response, first=held is None),
        )
        basis = Basis.of(response, version=ref.version, sha256=content_sha256(response))
        if form is not None and pack is not None:
            reader = self._reader(form, pack)
            evaluated = evaluate_response(response, reader, pack, basis=basis, run=run)
            if run.status is Status.ENTERED_IN_ERROR:
                evaluated = replace(evaluated, urgency=None, needs_review=False)
        else:
            reason = "unreadable" if claimed.exhausted else "no-pack"
            resources = not_assessable(self.texts, basis=basis, run=run, reason=reason)
            evaluated = Evaluated(NO_PACK, "0", "", Urgency.SAME_DAY, resources)
        self._store(claimed, run, evaluated)

    def _reader(self, form: QuestionnaireIndex, pack: Pack) -> FactReader:
        if form.canonical not in self.readers:
            self.readers[form.canonical] = FactReader(form, pack.content.facts)
        return self.readers[form.canonical]

    def _store(self, claimed: Claim, run: Run, evaluated: Evaluated) -> None:
        outcome = store.Outcome(
            assessment_id=run.assessment_id,
            version_id=run.version,
            response=claimed.ref,
            pack=evaluated.pack,
            pack_version=evaluated.pack_version,
            pack_sha256=evaluated.pack_sha256,
            urgency=evaluated.urgency,
            needs_review=evaluated.needs_review,
            assessed_at=run.at,
            resources=evaluated.resources,
        )
        with self.pool.connection() as connection, connection.transaction():
            if not jobs.finish(connection, claimed):
                log.warning("lease lost", extra={"response": claimed.ref.id})
                return
            written = store.commit(connection, outcome)
        log.info(
            "assessed" if written else "superseded",
            extra={"assessment": run.assessment_id, "urgency": evaluated.urgency},
        )


def evaluate_response(
    response: Mapping[str, Any], reader: FactReader, pack: Pack, *, basis: Basis, run: Run
) -> Evaluated:
    """Answers to findings to assessment to FHIR, without any side effect: the same input gives the same bytes."""
    findings = reader.read(response).findings
    assessment = evaluate(pack, findings, scope=scope_of(response))
    return Evaluated(
        pack=pack.head.name,
        pack_version=pack.head.version,
        pack_sha256=pack.head.sha256,
        urgency=Urgency(assessment.urgency) if assessment.urgency is not None else None,
        resources=build_resources(assessment, pack, basis=basis, run=run),
        needs_review=assessment.needs_review,
    )


def scope_of(response: Mapping[str, Any]) -> Scope:
    """Only what is still being filled in is judged by its emergency questions alone.

    A response that was stopped half-way is judged in full: what was not answered is unknown, and a human calls.
    """
    return Scope.PAGE_1 if response.get("status") == "in-progress" else Scope.FULL


def status_of(response: Mapping[str, Any], *, first: bool) -> Status:
    """The status of the RiskAssessment that this version of the response leads to."""
    match response.get("status"):
        case "in-progress":
            return Status.PRELIMINARY
        case "entered-in-error":
            return Status.ENTERED_IN_ERROR
        case _:
            return Status.FINAL if first else Status.AMENDED


def content_sha256(response: Mapping[str, Any]) -> str:
    """Digest of the bytes that intake received, as intake states it; '' when it comes from another FHIR server."""
    for extension in response.get("meta", {}).get("extension", []):
        if extension.get("url") == EXT_CONTENT_SHA256:
            return str(extension.get("valueString", ""))
    return ""


def open_assessor(settings: TriageSettings, pool: Pool) -> Assessor:
    """An assessor on this pool, with every shipped pack. Raises PackError for a faulty pack."""
    token = settings.service_token.get_secret_value() if settings.service_token else None
    client = FhirClient(settings.intake_url, token=token)
    return Assessor(pool, client, Forms(client), load_packs(), load_not_assessable_texts())

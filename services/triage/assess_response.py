"""The use case of triage: from a reference to a response, to an assessment that is stored and told of.

Whatever cannot be assessed ends in an assessment that says so and asks for a human the same day; silence is not an
outcome. Only a neighbour or a database that is away postpones a job.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from services.triage import store
from services.triage.basis import Basis, Run, Status, assessment_id
from services.triage.case import Case, Describe, Evaluated, Prepare
from services.triage.earlier import Remembered, answered_by_clinician, kept_floor
from services.triage.engine import model
from services.triage.engine.assess import evaluate
from services.triage.engine.pack import Pack
from services.triage.engine.results import Scope
from services.triage.explanation import explain
from services.triage.findings import FactReader
from services.triage.forms import Forms
from services.triage.knowledge.loader import load_not_assessable_texts, load_refused_texts, shipped_packs
from services.triage.refused import Examiner
from services.triage.risk_assessment import build_resources, not_assessable
from services.triage.settings import TriageSettings
from services.triage.store import Unassessed
from services.triage.together import Left, assess_together, chunk_of, tell
from services.triage.wording import wording_floor
from shared import jobs
from shared.access.service_token import signer
from shared.events import Ref
from shared.failpoint import reach
from shared.fhir.canonicals import without_fragment
from shared.fhir.client import FhirClient, NeighbourFault, NeighbourUnavailable
from shared.fhir.codes import EXT_CONTENT_SHA256, Urgency
from shared.fhir.patient import patient_key
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.jobs import Claim
from shared.postgres import DatabaseError, Pool, database_now, tenant_transaction, unavailable
from shared.telemetry import correlated

SCHEMA = "triage"
NEIGHBOUR_PAUSE_S = 2.0
RETRY_PAUSE_S = 1.0
UNKNOWN_PAUSES_S = (1.0, 10.0, 60.0)
"""How long to wait before asking again for what intake does not know: a replica or a restore may lag behind."""
EARLIER_PAUSE_S = 1.0
"""How long to wait before looking again whether the earlier versions of a response are assessed."""
HOPELESS_PAUSE_S = 60.0
"""How long to wait when not even "cannot be assessed" can be stored."""
BATCH_S = 8.0
"""After this time the rest of a batch is given back, so that a batch of heavy responses stays within a task."""
PREPARE_S = 0.5
"""After this time what can be assessed is: the Questionnaires of the rest may have to be asked for."""
NO_PACK = "none"

log = logging.getLogger(__name__)


class ResponseWithheld(NeighbourFault):
    """Intake answers, but not to the question for this one response: too slow for it, or stopped on the way."""


@dataclass(frozen=True, slots=True)
class Assessor:
    """Assesses responses with the packs at hand. May be shared by threads."""

    pool: Pool
    client: FhirClient
    forms: Forms
    packs: Mapping[str, Pack]
    texts: Mapping[str, str]
    readers: dict[tuple[UUID, str, str], FactReader] = field(default_factory=dict)
    """By tenant, canonical of the Questionnaire and hash of the pack; made at first use."""

    def warm_up(self) -> None:
        """Read the Questionnaires of all packs now, so that the first response need not wait for them."""
        try:
            for canonical in self.packs:
                self.forms.get(canonical)
        except NeighbourUnavailable:
            log.info("intake not ready yet")

    def work(self, claims: Sequence[Claim]) -> None:
        """Do these jobs. Each ends done, or is put back for later; none is dropped.

        Older versions come first, as later ones wait for them.
        """
        claims = sorted(claims, key=lambda claimed: claimed.ref.version)
        try:
            responses = self._read(claims)
        except NeighbourUnavailable as error:
            if len(claims) == 1:
                self._wait_for_intake(claims, error)
            else:
                self._each_alone(claims)
        else:
            self._all(claims, responses)

    def _read(self, claims: Sequence[Claim]) -> Mapping[Ref, Mapping[str, Any]]:
        """The responses by reference; a bare one in place of one that intake was asked for too often in vain.

        Raises NeighbourFault when it is about a single response and intake answers other questions, else
        NeighbourUnavailable.
        """
        try:
            return self.client.read_many("QuestionnaireResponse", [claimed.ref for claimed in claims])
        except NeighbourUnavailable as error:
            if len(claims) > 1 or not (isinstance(error, NeighbourFault) or self._intake_answers()):
                raise
            if claims[0].exhausted:
                return {claims[0].ref: {"id": claims[0].ref.id}}
            raise error if isinstance(error, NeighbourFault) else ResponseWithheld(str(error)) from None

    def _intake_answers(self) -> bool:
        try:
            self.client.find("QuestionnaireResponse", {"_count": "1", "_elements": "id"})
        except NeighbourUnavailable as error:
            return isinstance(error, NeighbourFault)
        return True

    def _all(self, claims: Sequence[Claim], responses: Mapping[Ref, Mapping[str, Any]]) -> None:
        """Assess what is ready, then alone what is not: without its Questionnaire, or not known to intake."""
        end, rest, alone, away = time.monotonic() + BATCH_S, claims, list[Claim](), set[tuple[UUID, str]]()
        while rest:
            cases, doubtful, rest = self._cases(rest, responses, away)
            alone += doubtful
            self._settle(cases, end)
            if time.monotonic() > end:
                break
        for number, claimed in enumerate(alone):
            if number and time.monotonic() > end:
                rest = [*alone[number:], *rest]
                break
            self._one(claimed, responses.get(claimed.ref))
        if rest:
            self._put_back(rest, "OutOfTime", 0, counts=False)

    def _settle(self, cases: Sequence[Case], end: float) -> None:
        """Assess what is fresh together, and what needs a second thought, or failed before, alone.

        What there is no time for is put back.
        """
        tried = [case for case in cases if case.claimed.attempts > 1]
        left, over = Left(tried, [case for case in cases if case.claimed.attempts <= 1]), False
        while left.alone or left.later:
            for number, case in enumerate(left.alone):
                if number and time.monotonic() > end:
                    self._put_back_cases([*left.alone[number:], *left.later])
                    return
                self._one(case.claimed, case.response)
            if over:
                self._put_back_cases(left.later)
                return
            chunk, others = chunk_of(left.later)
            found = assess_together(self.pool, chunk, until=end)
            left, over = Left(found.alone, [*found.later, *others]), time.monotonic() > end

    def _cases(
        self, claims: Sequence[Claim], responses: Mapping[Ref, Mapping[str, Any]], away: set[tuple[UUID, str]]
    ) -> tuple[list[Case], list[Claim], Sequence[Claim]]:
        """The first claims: those that are ready, and those that are not; and the rest, for which it took too long.

        `away`: Questionnaires, by tenant and canonical, that intake did not give. It is waited for each only once, so
        that many responses to a form that cannot be had do not hold up those to others.
        """
        end, cases, doubtful = time.monotonic() + PREPARE_S, list[Case](), list[Claim]()
        for number, claimed in enumerate(claims):
            if number and time.monotonic() > end:
                return cases, doubtful, claims[number:]
            response = responses.get(claimed.ref)
            named = str(response.get("questionnaire", "")) if response is not None else ""
            form = claimed.ref.tenant, without_fragment(named)
            if response is None or form in away:
                doubtful.append(claimed)
                continue
            try:
                cases.append(self._case(claimed, response))
            except Exception as error:
                doubtful.append(claimed)
                if isinstance(error, NeighbourUnavailable):
                    away.add(form)
        return cases, doubtful, ()

    def _each_alone(self, claims: Sequence[Claim]) -> None:
        """Ask for each response by itself: one that intake cannot give, or many large ones, must not block others."""
        end = time.monotonic() + BATCH_S
        for number, claimed in enumerate(claims):
            if number and time.monotonic() > end:
                self._put_back(claims[number:], "OutOfTime", 0, counts=False)
                return
            try:
                responses = self._read([claimed])
            except NeighbourFault as error:
                self._wait_for_intake([claimed], error)
            except NeighbourUnavailable as error:
                self._wait_for_intake(claims[number:], error)
                return
            else:
                self._one(claimed, responses.get(claimed.ref))

    def _one(self, claimed: Claim, response: Mapping[str, Any] | None) -> None:
        with correlated(correlation=claimed.ref.id):
            try:
                if response is None:
                    self._unknown(claimed)
                else:
                    self._assess(self._case(claimed, response))
            except NeighbourUnavailable as error:
                self._wait_for_intake([claimed], error)
            except store.Overtaken as error:
                self._put_back([claimed], type(error).__name__, 0, counts=False)
            except Exception as error:
                self._failed(claimed, error)

    def _put_back_cases(self, cases: Sequence[Case]) -> None:
        """There was no time left for these."""
        if cases:
            self._put_back([case.claimed for case in cases], "OutOfTime", 0, counts=False)

    def _failed(self, claimed: Claim, error: Exception) -> None:
        """Try again later. What could not even be stored as "cannot be assessed" needs whoever runs this."""
        more = {"error": type(error).__name__, "attempts": claimed.attempts}
        own_fault = not unavailable(error)
        hopeless = claimed.exhausted and own_fault
        log.log(logging.CRITICAL if hopeless else logging.ERROR, "assessment failed", exc_info=error, extra=more)
        delay_s = HOPELESS_PAUSE_S if hopeless else RETRY_PAUSE_S
        self._put_back([claimed], type(error).__name__, delay_s, counts=own_fault)

    def _wait_for_intake(self, claims: Sequence[Claim], error: NeighbourUnavailable) -> None:
        """Try again later. A fault counts only against the one response that was asked for alone."""
        log.warning("intake away", extra={"number": len(claims), "error": type(error).__name__})
        counts = isinstance(error, NeighbourFault) and len(claims) == 1
        self._put_back(claims, type(error).__name__, NEIGHBOUR_PAUSE_S, counts=counts)

    def _unknown(self, claimed: Claim) -> None:
        """A reference that intake does not know: forged, or intake lost data. Asked again, then set aside."""
        log.error("response not known to intake", extra={"response": claimed.ref.id})
        if claimed.attempts <= len(UNKNOWN_PAUSES_S):
            self._put_back([claimed], "NotKnown", UNKNOWN_PAUSES_S[claimed.attempts - 1], counts=True)
            return
        with self.pool.connection() as connection:
            jobs.finish(connection, claimed, dead=True)

    def _put_back(self, claims: Sequence[Claim], error: str, delay_s: float, *, counts: bool) -> None:
        """Give the jobs back. When the database is away too, their leases end by themselves."""
        try:
            with self.pool.connection() as connection:
                for claimed in claims:
                    jobs.retry(connection, claimed, error=error, delay_s=delay_s, counts=counts)
        except DatabaseError as away:
            log.warning("database away", extra={"number": len(claims), "error": type(away).__name__})

    def _case(self, claimed: Claim, response: Mapping[str, Any]) -> Case:
        """What this response is judged by. Raises NeighbourUnavailable while its Questionnaire cannot be had."""
        ref, response = claimed.ref, {**response, "id": claimed.ref.id}
        form = None if claimed.exhausted else self.forms.get(str(response.get("questionnaire", "")), ref.tenant)
        pack = self.packs.get(form.canonical) if form is not None else None
        basis = Basis.of(response, version=ref.version, sha256=content_sha256(response))
        prepare: Prepare
        if form is not None and pack is not None:
            prepare = partial(prepared, response, self.reader(ref.tenant, form, pack), pack, basis=basis)
        else:
            prepare = partial(_always, self._not_assessable(basis, unreadable=claimed.exhausted))
        name = pack.head.name if pack else NO_PACK
        same_patient = store.SamePatient(ref, patient_key(basis.subject), name)
        return Case(claimed, response, basis, assessment_id(ref.tenant, ref.id, name), same_patient, prepare)

    def _assess(self, case: Case) -> None:
        """Assess one response, waiting for whoever writes one of the same patient."""
        claimed = case.claimed
        with tenant_transaction(self.pool, claimed.ref.tenant) as connection:
            before = store.unassessed(connection, claimed)
            held = store.current(connection, claimed.ref.tenant, [case.held_id]).get(case.held_id)
            if held is not None and held.response_version >= claimed.ref.version:
                jobs.finish(connection, claimed)
                return
            earlier = store.earlier_urgency(connection, case.same_patient)
        version, status = case.next_run(held)
        describe = case.prepare(earlier=earlier)
        if before and not describe(Run(case.held_id, version, datetime.now(UTC), status)).remembered.waits_for_nothing:
            self._wait_for_earlier(claimed, before)
        else:
            self._store(case, version, status, {earlier: describe})

    def _wait_for_earlier(self, claimed: Claim, before: Sequence[Unassessed]) -> None:
        """Have the earlier versions assessed first: an emergency that stands only in one of them must be told too.

        The message about them may have been lost, and catch-up finds current versions only. None of them waits for a
        later one, and each ends: assessed, called unreadable, or set aside.
        """
        log.info("waits for earlier versions", extra={"response": claimed.ref.id, "number": len(before)})
        with self.pool.connection() as connection:
            jobs.add(connection, claimed.kind, [version.ref for version in before if not version.noted])
        self._put_back([claimed], "EarlierVersion", EARLIER_PAUSE_S, counts=False)

    def _not_assessable(self, basis: Basis, *, unreadable: bool) -> Describe:
        """Same-day by decision, whatever page 1 may hold: it is not known to be readable."""
        reason = "unreadable" if unreadable else "no-pack"

        def describe(run: Run) -> Evaluated:
            resources = not_assessable(self.texts, basis=basis, run=run, reason=reason)
            withdrawn = run.status is Status.ENTERED_IN_ERROR
            kept = None if withdrawn else model.Urgency.SAME_DAY
            remembered = Remembered(patient_key(basis.subject), kept, withdrawn)
            return Evaluated(NO_PACK, "0", "", None if withdrawn else Urgency.SAME_DAY, resources, remembered)

        return describe

    def reader(self, tenant: UUID, form: QuestionnaireIndex, pack: Pack) -> FactReader:
        """What reads the answers to this form for this pack."""
        key = (tenant, form.canonical, pack.head.sha256)
        if key not in self.readers:
            self.readers[key] = FactReader(form, pack.content.facts)
        return self.readers[key]

    def _store(self, case: Case, version: int, status: Status, known: Mapping[Urgency | None, Describe]) -> None:
        """Write everything in one transaction, one patient at a time: two responses of a patient see each other.

        `known`: the evaluation by the earlier urgency that it was made with; it is made again when that has changed in
        the meantime. The clock is read in the transaction, so that what neighbours see as changed at a time is visible
        soon after that time (a transaction of ours cannot stay idle for longer than ten seconds).
        """
        with tenant_transaction(self.pool, case.claimed.ref.tenant) as connection:
            if not jobs.finish(connection, case.claimed):
                log.warning("lease lost", extra={"response": case.claimed.ref.id})
                return
            store.lock_patient(connection, case.same_patient)
            earlier = store.earlier_urgency(connection, case.same_patient)
            describe = known.get(earlier) or case.prepare(earlier=earlier)
            run = Run(case.held_id, version, database_now(connection), status)
            outcome = case.outcome(run, describe(run))
            written = store.commit(connection, outcome)
            if not written and store.overtaken(connection, outcome):
                raise store.Overtaken
            reach("triage.store.before_commit")
        reach("triage.store.after_commit")
        tell(self.pool, [outcome] if written else [])
        if not written:
            log.info("superseded", extra={"assessment": run.assessment_id, "urgency": outcome.urgency})


def _always(described: Describe, *, earlier: Urgency | None) -> Describe:
    """The same, whatever was found earlier."""
    del earlier
    return described


def evaluate_response(
    response: Mapping[str, Any], reader: FactReader, pack: Pack, *, basis: Basis, run: Run
) -> Evaluated:
    """Answers to findings to assessment to FHIR, without any side effect: the same input gives the same bytes."""
    return prepared(response, reader, pack, basis=basis)(run)


def prepared(
    response: Mapping[str, Any], reader: FactReader, pack: Pack, *, basis: Basis, earlier: Urgency | None = None
) -> Describe:
    """The evaluation, done; what is left is to write it down for a run, which takes milliseconds.

    `earlier`: the most urgent assessment of the same patient within 24 hours, which is kept up (`earlier.py`).
    """
    reading, scope = reader.read(response), scope_of(response)
    findings = reading.findings
    wording = wording_floor(reader.form, response, pack.head.language, reworded=reading.reworded)
    floors = () if wording is None else (wording,)
    assessment = own = evaluate(pack, findings, scope=scope, floors=floors)
    kept = kept_floor(own, None if earlier is None else model.Urgency(earlier))
    if kept is not None:
        assessment = evaluate(pack, findings, scope=scope, floors=(*floors, kept))

    words = explain(pack, assessment)

    def describe(run: Run) -> Evaluated:
        withdrawn = run.status is Status.ENTERED_IN_ERROR
        urgency = Urgency(assessment.urgency) if assessment.urgency is not None and not withdrawn else None
        return Evaluated(
            pack=pack.head.name,
            pack_version=pack.head.version,
            pack_sha256=pack.head.sha256,
            urgency=urgency,
            resources=build_resources(assessment, pack, basis=basis, run=run, explanation=words),
            remembered=Remembered(
                patient=patient_key(basis.subject),
                urgency=None if withdrawn else own.urgency,
                withdrawn=withdrawn,
                by_clinician=answered_by_clinician(own),
            ),
            needs_review=assessment.needs_review and not withdrawn,
            explanation=words,
        )

    return describe


def scope_of(response: Mapping[str, Any]) -> Scope:
    """Only what is still being filled in is judged by its emergency questions alone.

    A response that was stopped half-way is judged in full: what was not answered is unknown, and a human calls.
    """
    return Scope.PAGE_1 if response.get("status") == "in-progress" else Scope.FULL


def content_sha256(response: Mapping[str, Any]) -> str:
    """Digest of the bytes that intake received, as intake states it; '' when it comes from another FHIR server."""
    meta = response.get("meta")
    extensions = meta.get("extension") if isinstance(meta, Mapping) else None
    for extension in extensions if isinstance(extensions, list) else ():
        if isinstance(extension, Mapping) and extension.get("url") == EXT_CONTENT_SHA256:
            return str(extension.get("valueString", ""))
    return ""


def open_assessor(settings: TriageSettings, pool: Pool) -> Assessor:
    """An assessor on this pool, with every shipped pack. Raises PackError for a faulty pack."""
    client = FhirClient(settings.intake_url, token=signer(settings.service_token, "triage"))
    return Assessor(pool, client, Forms(client), shipped_packs(), load_not_assessable_texts())


def open_examiner(assessor: Assessor) -> Examiner:
    """An examiner of refused submissions beside this assessor: the same connections, forms and packs."""
    return Examiner(assessor.pool, assessor.client, assessor.forms, assessor.packs, load_refused_texts())

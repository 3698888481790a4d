"""The use case of the safety net: a refused submission is searched for what cannot wait.

Intake keeps what it refuses (services/intake/safety_net.py) and tells of it by a message, or is asked. Only emergency
flags count, judged by the same rules as always; whatever else the submission says waits for its correction. If one
fires, a RiskAssessment says so, and notify raises an emergency alert. Then intake is told the verdict: it erases what
is not urgent. A worker that dies in between does all of it again, and nothing of it happens twice.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.triage import store
from services.triage.basis import Run, Status
from services.triage.engine.assess import evaluate
from services.triage.engine.content import PackHead
from services.triage.engine.model import Urgency as PackUrgency
from services.triage.engine.pack import Pack
from services.triage.engine.results import Scope
from services.triage.findings import FactReader
from services.triage.forms import Forms
from services.triage.refused_assessment import (
    NOT_ASSESSABLE,
    Refused,
    refused_assessment_id,
    refused_resources,
    subject_of,
)
from services.triage.tolerant import understood
from shared import jobs
from shared.events import Ref
from shared.failpoint import reach
from shared.fhir.canonicals import url_and_version, without_fragment
from shared.fhir.client import FhirClient, NeighbourFault, NeighbourUnavailable
from shared.fhir.codes import Urgency, submission_key
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.fhir.salvage import Allowance, Members, read_leniently, responses_in
from shared.jobs import MAX_ATTEMPTS, Claim
from shared.outbox import announce
from shared.postgres import DatabaseError, Pool, database_now, tenant_transaction, unavailable
from shared.telemetry import correlated

EXAMINE = "examine"
"""Kind of the jobs; the reference is the id of a refused submission, in version 1."""
PATH = "QuestionnaireResponse/$quarantine"
PAUSE_S = 2.0
BATCH_S = 8.0
START = datetime(2000, 1, 1, tzinfo=UTC)
URGENT, NOT_URGENT, WAITING = "urgent", "not_urgent", "waiting"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Examiner:
    """Examines refused submissions with the packs at hand. May be shared by threads."""

    pool: Pool
    client: FhirClient
    forms: Forms
    packs: Mapping[str, Pack]
    texts: Mapping[str, str]
    readers: dict[str, FactReader] = field(default_factory=dict)

    def work(self, claims: Sequence[Claim]) -> None:
        """Do these jobs. Each ends done, or is put back for later; none is dropped."""
        end = time.monotonic() + BATCH_S
        for number, claimed in enumerate(claims):
            if number and time.monotonic() > end:
                self._put_back(claims[number:], "OutOfTime", 0, counts=False)
                break
            with correlated(correlation=claimed.ref.id):
                self._one(claimed)
        with suppress(DatabaseError), self.pool.connection() as connection:
            announce(connection, store.SCHEMA)

    def _one(self, claimed: Claim) -> None:
        try:
            self._examine(claimed)
        except NeighbourUnavailable as error:
            log.warning("intake away", extra={"error": type(error).__name__})
            self._put_back([claimed], type(error).__name__, PAUSE_S, counts=isinstance(error, NeighbourFault))
        except Exception as error:
            more = {"error": type(error).__name__, "attempts": claimed.attempts}
            log.log(logging.ERROR, "refused submission not examined", exc_info=error, extra=more)
            self._put_back([claimed], type(error).__name__, PAUSE_S, counts=not unavailable(error))

    def _examine(self, claimed: Claim) -> None:
        tenant = claimed.ref.tenant
        found = self.client.find(PATH, {"_id": claimed.ref.id}, tenant=tenant)
        if not found:
            self._unknown(claimed)
            return
        given = {part["name"]: part for part in found[0]["parameter"]}
        if given["state"]["valueCode"] == WAITING:
            refused, head, urgent = self._judged(claimed, given)
            if urgent:
                self._commit(claimed, refused, head)
            self._tell(tenant, claimed.ref.id, URGENT if urgent else NOT_URGENT)
            log.info("refused submission examined", extra={"reference": refused.id, "urgency": head and "emergency"})
        with tenant_transaction(self.pool, tenant) as connection:
            jobs.finish(connection, claimed)

    def _judged(self, claimed: Claim, given: Mapping[str, Any]) -> tuple[Refused, PackHead | None, bool]:
        """What is told of it, the pack whose flag fired, and whether a human is told at all.

        A text that killed its worker again and again is not read any more: a human is asked to, the same day. So it is
        where more is in it than may be read (`Allowance`) and nothing was found until then; and nobody is named, as
        others may be meant too.
        """
        received = datetime.fromisoformat(given["received"]["valueInstant"])
        refused = Refused(claimed.ref.id, received.astimezone(UTC), given["client"]["valueString"], {})
        if claimed.exhausted:
            return refused, None, True
        content = read_leniently(base64.b64decode(given["text"]["valueBase64Binary"]))
        if content is None:
            return refused, None, False
        allowance = Allowance()
        fired = [
            (response.plain(), head)
            for response in responses_in(content)
            if (head := self.emergency_in(response, allowance))
        ]
        if not allowance.whole:
            log.warning("refused submission not read to its end", extra={"reference": refused.id})
            return refused, fired[0][1] if fired else None, True
        if not fired:
            return refused, None, False
        return _named(refused, [response for response, _ in fired]), fired[0][1], True

    def emergency_in(self, response: Members, allowance: Allowance) -> PackHead | None:
        """The pack of which an emergency flag fires on what can be read and understood; None where none does.

        Raises NeighbourUnavailable.
        """
        read = allowance.read(response)
        if not read:
            return None
        scope = Scope.PAGE_1 if response.text("status") == "in-progress" else Scope.FULL
        for form, pack in self._forms(response.text("questionnaire") or ""):
            answers = understood(read, form)
            if answers is None:
                continue
            findings = self._reader(form, pack).read(answers).findings
            assessment = evaluate(pack, findings, scope=scope)
            if any(result.urgency is PackUrgency.EMERGENCY for result in assessment.fired):
                return pack.head
        return None

    def _forms(self, canonical: str) -> Iterator[tuple[QuestionnaireIndex, Pack]]:
        """The form that is named, else the latest version of it; then all others, as the name may be what is wrong."""
        named, url = self.packs.get(without_fragment(canonical)), url_and_version(canonical)[0]
        versions = [pack for known, pack in self.packs.items() if url_and_version(known)[0] == url]
        wanted = [named] if named else versions[-1:]
        order = {id(pack): pack for pack in (*wanted, *reversed(list(self.packs.values())))}
        for pack in order.values():
            for known in (one for one in pack.head.questionnaires if self.packs.get(one) is pack):
                if (form := self.forms.get(known)) is not None:
                    yield form, pack

    def _reader(self, form: QuestionnaireIndex, pack: Pack) -> FactReader:
        if form.canonical not in self.readers:
            self.readers[form.canonical] = FactReader(form, pack.content.facts)
        return self.readers[form.canonical]

    def _commit(self, claimed: Claim, refused: Refused, head: PackHead | None) -> None:
        tenant = claimed.ref.tenant
        identifier = refused_assessment_id(tenant, refused.id)
        with tenant_transaction(self.pool, tenant) as connection:
            run = Run(identifier, 1, database_now(connection), Status.PRELIMINARY)
            outcome = store.Outcome(
                assessment_id=identifier,
                version_id=1,
                response=claimed.ref,
                pack=head.name if head else NOT_ASSESSABLE,
                pack_version=head.version if head else "0",
                pack_sha256=head.sha256 if head else "",
                urgency=Urgency.EMERGENCY if head else Urgency.SAME_DAY,
                needs_review=False,
                assessed_at=run.at,
                resources=refused_resources(self.texts, refused, head, run=run),
            )
            store.commit(connection, outcome)
            reach("triage.refused.before_commit")
        reach("triage.refused.after_commit")

    def _tell(self, tenant: UUID, submission: str, state: str) -> None:
        parameters = [{"name": "submission", "valueId": submission}, {"name": "state", "valueCode": state}]
        status, _ = self.client.post(PATH, {"resourceType": "Parameters", "parameter": parameters}, tenant=tenant)
        if status >= 400:
            raise NeighbourFault(f"intake answered {status} to a verdict")

    def _unknown(self, claimed: Claim) -> None:
        """Intake does not know it: a forged message, or data that were lost. Asked again, then set aside."""
        if claimed.attempts < MAX_ATTEMPTS:
            self._put_back([claimed], "NotKnown", PAUSE_S, counts=True)
            return
        log.error("refused submission not known to intake", extra={"reference": claimed.ref.id})
        with tenant_transaction(self.pool, claimed.ref.tenant) as connection:
            jobs.finish(connection, claimed, dead=True)

    def _put_back(self, claims: Sequence[Claim], error: str, delay_s: float, *, counts: bool) -> None:
        """Give the jobs back. When the database is away too, their leases end by themselves."""
        with suppress(DatabaseError):
            for claimed in claims:
                with tenant_transaction(self.pool, claimed.ref.tenant) as connection:
                    jobs.retry(connection, claimed, error=error, delay_s=delay_s, counts=counts)


def _named(refused: Refused, responses: Sequence[Mapping[str, Any]]) -> Refused:
    """Whose it is, where all that cannot wait is of one patient; else nobody is named and the sender is asked."""
    subjects = [subject_of(response) for response in responses]
    marks = {submission_key(response.get("identifier")) for response in responses}
    subject = subjects[0] if all(one == subjects[0] for one in subjects) else {}
    return replace(refused, subject=subject, submission=marks.pop() if len(marks) == 1 else None)


def look_for_refused(pool: Pool, client: FhirClient) -> int:
    """Note every refused submission that waits at intake and is not known yet; returns how many were new.

    So no lost message loses one. Raises NeighbourUnavailable.
    """
    new = 0
    for tenant in client.tenants_changed_since(PATH, START):
        waiting = [Ref(resource["id"], 1, tenant) for resource in client.find(PATH, {}, tenant=tenant)]
        with tenant_transaction(pool, tenant) as connection:
            new += jobs.add(connection, EXAMINE, waiting)
    return new

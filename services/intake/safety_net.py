"""Use case: what is refused is kept for as long as it takes to see whether it is urgent.

A refusal tells a system that something is wrong with a form; it does not tell anybody that the person who filled it in
has chest pain. So a refused submission that holds answers is kept *before* the refusal is answered, and triage looks
for emergency answers in it (services/triage/refused.py). It stays refused: nothing of it becomes a resource.

Where it cannot be kept, the answer is 503 instead of the refusal. A refusal would end the matter for the sender's
machine; 503 makes it send the same text again, and then it is kept. Too many at once are answered 429 for the same
reason, counted, and logged as an error.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from uuid import UUID

from services.intake import quarantine_store
from services.intake.quarantine_store import Kept, submission_id
from shared.failpoint import reach
from shared.fhir.outcome import MOST_ISSUES
from shared.fhir.salvage import holds_answers, may_hold_answers, read_leniently
from shared.postgres import DatabaseError, DictConnection, Pool, tenant_transaction
from shared.principal import Principal
from shared.problems import Category, Problem, ProblemError, Severity

NOT_ABOUT_THE_TEXT = frozenset({401, 403, 429})
"""Refusals of the sender, not of what was sent."""

NOT_STORED = "identifier-reused"
"""Code of the problem that says that other answers are stored under the identifier."""

FULL = "safety-net-full"
"""Code of the problem that says that the text was not kept, as there were too many."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SafetyNet:
    """Keeps what is refused. `per_minute`: most submissions of one tenant; `kept` is called after each, to wake the
    relay."""

    pool: Pool
    per_minute: int
    kept: Callable[[], None]

    @contextmanager
    def under(self, body: bytes, principal: Principal) -> Iterator[None]:
        """Whatever is refused in this block has its text kept first. Raises ProblemError as the block does, with one
        issue more; 503 or 429 where the text could not be kept."""
        try:
            yield
        except ProblemError as refused:
            if not _may_be_urgent(refused, body):
                raise
            raise self._keep(refused, body, principal) from None

    def passed_over(self, body: bytes, principal: Principal, told: Sequence[Problem]) -> tuple[Problem, ...]:
        """What is told of a write that succeeded, with one issue more where its answers were not stored.

        A conditional create that finds other answers is no error in R4, but these answers may be urgent all the same:
        their text is kept like that of a refusal. Raises ProblemError 503 or 429 where it could not be kept.
        """
        refused = _passed_over(body, told)
        return tuple(told) if refused is None else (*told, _notice(self._keep(refused, body, principal)))

    def passed_over_with(
        self, connection: DictConnection, body: bytes, principal: Principal, told: Sequence[Problem]
    ) -> tuple[Problem, ...]:
        """As `passed_over`, in the caller's transaction: what it stores and this text are kept together, or neither.

        The caller calls `kept` after its commit, or `turned_away` after its rollback.
        """
        refused = _passed_over(body, told)
        if refused is None:
            return tuple(told)
        try:
            outcome = self._insert(connection, refused, body, principal)
        except DatabaseError as error:
            raise _away(refused, error) from None
        return (*told, _notice(self._said(outcome, refused, body, principal)))

    def turned_away(self, refused: ProblemError, tenant: UUID) -> None:
        """Count what `passed_over_with` could not keep among too many: its own count was undone with everything."""
        if any(problem.code == FULL for problem in refused.problems):
            with suppress(DatabaseError), tenant_transaction(self.pool, tenant) as connection:
                quarantine_store.count_turned_away(connection, tenant)

    def _keep(self, refused: ProblemError, body: bytes, principal: Principal) -> ProblemError:
        try:
            with tenant_transaction(self.pool, principal.tenant) as connection:
                outcome = self._insert(connection, refused, body, principal)
            reach("intake.quarantine.after_commit")
        except DatabaseError as error:
            return _away(refused, error)
        if outcome is not Kept.FULL:
            self.kept()
        return self._said(outcome, refused, body, principal)

    def _insert(self, connection: DictConnection, refused: ProblemError, body: bytes, principal: Principal) -> Kept:
        outcome = quarantine_store.keep(
            connection,
            principal.tenant,
            body=body,
            client=principal.id,
            status=refused.http_status,
            problems=list(dict.fromkeys(problem.code for problem in refused.problems))[:MOST_ISSUES],
            limit=self.per_minute,
        )
        reach("intake.quarantine.before_commit")
        return outcome

    def _said(self, outcome: Kept, refused: ProblemError, body: bytes, principal: Principal) -> ProblemError:
        identifier = submission_id(principal.tenant, body)
        if outcome is Kept.FULL:
            log.error("too many refused submissions", extra={"reference": identifier, "status": refused.http_status})
            return ProblemError([_full(self.per_minute), *refused.problems])
        log.warning("refused submission kept", extra={"reference": identifier, "state": outcome.value})
        return ProblemError(_with(refused.problems, _told(identifier)))


def _passed_over(body: bytes, told: Sequence[Problem]) -> ProblemError | None:
    """What is told of answers that were not stored, as a refusal of them; None where nothing is to be kept."""
    problems = [replace(one, severity=Severity.ERROR) for one in told if one.code == NOT_STORED]
    refused = ProblemError(problems) if problems else None
    return refused if refused is not None and _may_be_urgent(refused, body) else None


def _notice(kept: ProblemError) -> Problem:
    """That the text was kept. Raises the ProblemError where it was not."""
    if kept.http_status in (429, 503):
        raise kept
    return kept.problems[-1]


def _away(refused: ProblemError, error: DatabaseError) -> ProblemError:
    log.error("refused submission not kept", extra={"error": type(error).__name__})
    return ProblemError([_not_kept(), *refused.problems])


def _may_be_urgent(refused: ProblemError, body: bytes) -> bool:
    status = refused.http_status
    if not 400 <= status < 500 or status in NOT_ABOUT_THE_TEXT or not may_hold_answers(body):
        return False
    content = read_leniently(body)
    return content is not None and holds_answers(content)


def _with(problems: Sequence[Problem], told: Problem) -> list[Problem]:
    """After all problems, but among those that an OperationOutcome shows."""
    place = min(len(problems), MOST_ISSUES - 1)
    return [*problems[:place], told, *problems[place:]]


def _told(identifier: str) -> Problem:
    return Problem(
        Category.UNPROCESSABLE,
        "safety-net",
        f"Not stored as a response: correct it and send it again. Its text was kept as submission {identifier} for a "
        "check for emergency answers only.",
        expression="QuestionnaireResponse",
        severity=Severity.WARNING,
        issue_code="informational",
    )


def _not_kept() -> Problem:
    return Problem(
        Category.UNAVAILABLE,
        "safety-net-away",
        "This is refused for the reasons below, and it could not be kept for the check for emergency answers. "
        "Send the same again now; correct it when the answer is no longer 503.",
        issue_code="transient",
    )


def _full(per_minute: int) -> Problem:
    return Problem(
        Category.UNAVAILABLE,
        "safety-net-full",
        f"This is refused for the reasons below. More than {per_minute} submissions were refused within a minute, or "
        "wait to be looked at: this one was NOT checked for emergency answers. Correct it, or send it again later.",
        issue_code="throttled",
        status=429,
    )

"""What clinicians say of a version of an assessment: agree or disagree, because.

The comment is health data: it stays in its table, which is append-only, and goes into no message, log or audit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from services.notify.detail import store
from services.notify.detail.names import actor_of
from services.notify.sign_in.visitor import Visitor
from shared.audit.act import Act, Interaction, Word, asker_or, patient_of, record
from shared.postgres import Pool, tenant_transaction
from shared.problems import Category, Problem, ProblemError

LONGEST_COMMENT = 2000
FLAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,30}")
MOST_FLAGS = 60


class Verdict(StrEnum):
    """Agree, or what was wrong."""

    AGREE = "agree"
    TOO_URGENT = "too-urgent"
    NOT_URGENT_ENOUGH = "not-urgent-enough"
    WRONG_CANDIDATE = "wrong-candidate"
    WRONG_TEXT = "wrong-text"


VERDICTS = {
    Verdict.AGREE: "I agree",
    Verdict.TOO_URGENT: "Too urgent",
    Verdict.NOT_URGENT_ENOUGH: "Not urgent enough",
    Verdict.WRONG_CANDIDATE: "Wrong or missing condition",
    Verdict.WRONG_TEXT: "Wrong or unclear words",
}


@dataclass(frozen=True, slots=True)
class Said:
    """A verdict with its comment, and the flags that were shown as fired; None where they were not known."""

    verdict: Verdict
    comment: str
    flags: tuple[str, ...] | None


def keep_feedback(pool: Pool, visitor: Visitor, alert_id: UUID, typed: Mapping[str, str]) -> None:
    """Keep what somebody says of a version of an assessment that this alert stands for.

    `typed`: the fields of the form. Raises ProblemError: no such alert or version (404), no name or nothing said (422).
    """
    with tenant_transaction(pool, visitor.tenant) as connection:
        found = store.read_alert(connection, visitor.tenant, alert_id)
        alert = found[0] if found else None
        versions = store.versions(connection, alert) if alert else []
        wanted = (typed.get("assessment"), typed.get("version"))
        ref = next((one.ref for one in versions if (one.ref.id, str(one.ref.version)) == wanted), None)
        if alert is None or ref is None:
            message = "There is no such alert, or it does not stand for this version of an assessment."
            raise ProblemError(Problem(Category.NOT_FOUND, "not-found", message, issue_code="not-found"))
        said = read_said(typed.get("verdict", ""), typed.get("comment", ""), typed.get("flags"))
        person = actor_of(visitor, typed).checked().name
        given = store.Feedback(person, said.verdict, said.comment, ref, said.flags, visitor.account)
        store.add_feedback(connection, alert, given)
        patient = patient_of({"subject": alert.subject})
        act = Act(Interaction.OPERATION, "RiskAssessment", ref.id, ref.version, patient, word=Word.FEEDBACK)
        record(connection, alert.tenant_id, act, asker_or("service/notify"))


def read_said(verdict: str, comment: str, flags: str | None) -> Said:
    """Read the form. Raises ProblemError 422: no verdict, a disagreement without a reason, or too long a comment."""
    if verdict not in list(Verdict):
        raise _refused("verdict", "Choose whether you agree, or what was wrong.")
    comment = comment.strip()
    if len(comment) > LONGEST_COMMENT:
        raise _refused("comment", f"The comment has {len(comment)} characters; at most {LONGEST_COMMENT} are kept.")
    if verdict != Verdict.AGREE and not comment:
        raise _refused("comment", "Say in a few words why you disagree: that is what helps to put it right.")
    shown = None if not flags else tuple(dict.fromkeys(filter(FLAG.fullmatch, flags.split())))[:MOST_FLAGS]
    return Said(Verdict(verdict), comment, shown)


def _refused(code: str, message: str) -> ProblemError:
    return ProblemError(Problem(Category.UNPROCESSABLE, code, message, issue_code="required"))

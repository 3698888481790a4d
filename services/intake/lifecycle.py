"""May this version of a response follow that one? Status, patient and questionnaire over the life of a response.

The states are those of https://hl7.org/fhir/R4/valueset-questionnaire-answers-status.html:

- ``in-progress`` and ``stopped`` may become anything: answers are added, or the form is finished after all.
- ``completed`` and ``amended`` stay finished. Other answers are an amendment, whichever of the two words is sent; what
  was assessed as final never becomes preliminary again.
- ``entered-in-error`` is the end: whoever was told of the response has been told to forget it.

The patient of a response never changes: people were alerted about this one. The way out is to withdraw the response as
entered-in-error and to send a new one. The questionnaire never changes, its version only while the form is filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.intake.keys import business_identifier, subject_key
from shared.fhir.canonicals import url_and_version
from shared.problems import Category, Problem, Severity

FINISHED: Final = frozenset({"completed", "amended"})
ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "in-progress": frozenset({"in-progress", "completed", "amended", "stopped", "entered-in-error"}),
    "stopped": frozenset({"in-progress", "completed", "amended", "stopped", "entered-in-error"}),
    "completed": frozenset({"completed", "amended", "entered-in-error"}),
    "amended": frozenset({"completed", "amended", "entered-in-error"}),
    "entered-in-error": frozenset({"entered-in-error"}),
}
"""Which status may follow which."""

_WAY_OUT: Final = {
    "completed": "Send changed answers as amended, or withdraw the response as entered-in-error.",
    "amended": "Send changed answers as amended, or withdraw the response as entered-in-error.",
    "entered-in-error": "What was withdrawn stays withdrawn: send the answers as a new response.",
}


def check_change(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Problem]:
    """Why `after` must not replace `before`, and what is worth saying if it may; empty when all is well."""
    return [
        *_check_status(before, after),
        *_check_identifier(before, after),
        *_check_questionnaire(before, after),
        *_check_subject(before, after),
    ]


def _check_status(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Problem]:
    old, new = str(before.get("status")), str(after.get("status"))
    if new not in ALLOWED.get(old, frozenset()):
        return [_refused("status-transition", f"Found {new} after {old}. {_WAY_OUT[old]}", "status")]
    if new == "completed" and old in FINISHED and after.get("item") != before.get("item"):
        message = f"Found other answers with status completed after {old}: they are an amendment. Send status amended."
        return [_told("completed-changed", message, "status")]
    return []


def _check_identifier(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Problem]:
    old = business_identifier(before)
    if old is None or old == business_identifier(after):
        return []
    message = "The identifier differs from that of the earlier version, which stays reserved for this response."
    return [_told("identifier-changed", message, "identifier")]


def _check_questionnaire(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Problem]:
    old, new = (url_and_version(str(one.get("questionnaire", ""))) for one in (before, after))
    if old[0] != new[0]:
        message = "Found answers to another Questionnaire than before. Send them as a new response."
        return [_refused("questionnaire-replaced", message, "questionnaire")]
    if old != new and before.get("status") in FINISHED and after.get("status") != "entered-in-error":
        message = "Found another version of the Questionnaire than the one that was answered. Name the same version."
        return [_refused("questionnaire-replaced", message, "questionnaire")]
    return []


def _check_subject(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Problem]:
    if subject_key(before) == subject_key(after):
        return []
    message = (
        "Found another patient than before. If the first was wrong, send this response as entered-in-error with its "
        "patient unchanged, and then a new response for the right patient."
    )
    return [_refused("subject-changed", message, "subject")]


def _refused(code: str, message: str, element: str) -> Problem:
    place = f"QuestionnaireResponse.{element}"
    return Problem(Category.UNPROCESSABLE, code, message, expression=place, issue_code="business-rule")


def _told(code: str, message: str, element: str) -> Problem:
    place = f"QuestionnaireResponse.{element}"
    return Problem(
        Category.UNPROCESSABLE,
        code,
        message,
        expression=place,
        severity=Severity.WARNING,
        issue_code="informational",
    )

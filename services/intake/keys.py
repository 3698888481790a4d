"""By what a response is recognised: the sender's identifier, the patient, and the content itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from shared.problems import Category, Problem, Severity

MAX_KEY_BYTES = 1000
_NOT_CONTENT = ("id", "meta", "text")
_ANSWERED = ("questionnaire", "authored", "item")


def business_identifier(response: Mapping[str, Any]) -> tuple[str, str] | None:
    """(system, value) of QuestionnaireResponse.identifier; '' for no system; None when there is no value."""
    identifier = response.get("identifier")
    if not isinstance(identifier, dict) or "value" not in identifier:
        return None
    return str(identifier.get("system", "")), str(identifier["value"])


def subject_key(response: Mapping[str, Any]) -> str:
    """What stands for the patient in searches and alerts: the reference, else `system|value`, else ''."""
    subject = response.get("subject")
    if not isinstance(subject, dict):
        return ""
    if "reference" in subject:
        return str(subject["reference"])
    identifier = subject.get("identifier")
    if isinstance(identifier, dict) and "value" in identifier:
        return f"{identifier.get('system', '')}|{identifier['value']}"
    return ""


def content_digest(response: Mapping[str, Any]) -> bytes:
    """SHA-256 of patient, questionnaire, time and answers: equal for the same form filled in by the same person."""
    content = {"subject": subject_key(response), **{name: response.get(name) for name in _ANSWERED}}
    return hashlib.sha256(json.dumps(content, default=str, sort_keys=True).encode()).digest()


def same_content(stored: bytes, response: Mapping[str, Any]) -> bool:
    """True when both say the same, whatever the order of members, id, meta and narrative.

    What is stored was judged when it came, so it is only read.
    """
    earlier = json.loads(stored, parse_float=Decimal)
    return _content(earlier) == _content(response)


def _content(response: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in response.items() if name not in _NOT_CONTENT}


def check_subject(response: Mapping[str, Any]) -> list[Problem]:
    """A RiskAssessment must have a patient, so a response without a usable subject cannot be assessed."""
    subject = response.get("subject")
    if isinstance(subject, dict) and str(subject.get("reference", "")).startswith("#"):
        return [
            Problem(
                Category.UNPROCESSABLE,
                "subject-contained",
                "QuestionnaireResponse.subject names a contained resource, and a contained patient cannot be told from "
                "another. Name the patient by a reference to a server or by an identifier with a system.",
                expression="QuestionnaireResponse.subject.reference",
                issue_code="business-rule",
            )
        ]
    if key := subject_key(response):
        return [_subject_without_system()] if key.startswith("|") else []
    return [
        Problem(
            Category.UNPROCESSABLE,
            "subject-missing",
            "QuestionnaireResponse.subject is missing. Name the patient by reference or by identifier.",
            expression="QuestionnaireResponse.subject",
            issue_code="required",
        )
    ]


def _subject_without_system() -> Problem:
    return Problem(
        Category.UNPROCESSABLE,
        "subject-without-system",
        "The patient's identifier has no system, so it may be that of somebody else elsewhere: each urgent assessment "
        "then makes an alert of its own. Name the system.",
        expression="QuestionnaireResponse.subject.identifier",
        severity=Severity.WARNING,
        issue_code="incomplete",
    )


def check_keys(response: Mapping[str, Any]) -> list[Problem]:
    """What is looked up later, identifiers and the patient, must fit into an index: at most 1,000 bytes each."""
    subject = response.get("subject")
    subject = subject if isinstance(subject, dict) else {}
    places = [
        (f"QuestionnaireResponse.{place}.{name}", holder.get(name))
        for place, holder, names in (
            ("identifier", response.get("identifier"), ("system", "value")),
            ("subject", subject, ("reference",)),
            ("subject.identifier", subject.get("identifier"), ("system", "value")),
        )
        if isinstance(holder, dict)
        for name in names
    ]
    return [
        Problem(
            Category.UNPROCESSABLE,
            "key-too-long",
            f"{len(text.encode())} bytes found, at most {MAX_KEY_BYTES} expected. Send a shorter one.",
            expression=place,
            issue_code="too-long",
        )
        for place, text in places
        if isinstance(text, str) and len(text.encode()) > MAX_KEY_BYTES
    ]

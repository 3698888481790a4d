"""Red flags as triage wrote them: the result in the RiskAssessment, the sentence in the DetectedIssue. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.notify.detail.parts import Element, Reading, extensions, first, parts_of, texts, urgency_or_none
from shared.fhir.codes import EXT_RED_FLAG, SID_FLAG, Urgency

FIRED = "fired"


@dataclass(frozen=True, slots=True)
class Ground:
    """An answer that a flag stands on. `answer` "": none; `unknown`: nobody knows, which is not No."""

    question: str
    answer: str
    unknown: bool
    link_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """One red flag. `sentence` and `severity` are "" where its DetectedIssue was not at hand.

    `confidential`: for clinicians only, never said to the patient or to whoever brings the patient (SR-17).
    `not_assessed`: linkIds of questions that keep an undecided flag open.
    """

    id: str
    fired: bool
    guards: str
    urgency: Urgency | None
    lines: tuple[str, ...]
    citations: tuple[str, ...]
    grounds: tuple[Ground, ...]
    not_assessed: tuple[str, ...]
    confidential: bool
    examination_only: bool
    severity: str = ""
    sentence: str = ""
    source_url: str = ""


def read_flags(resource: Element, issues: Sequence[Element], reading: Reading) -> tuple[Flag, ...]:
    """All flags that fired or are open, in triage's order: most urgent first."""
    by_flag: dict[str, Element] = {}
    for flag_id, issue in reading.each("findings (DetectedIssue)", issues, _named):
        by_flag[flag_id] = issue
    results: list[Element] = reading.one("red flags", lambda: list(extensions(resource, EXT_RED_FLAG)), [])
    return reading.each("red flags", results, lambda one: _flag(parts_of(one), by_flag))


def _named(issue: Element) -> tuple[str, Element]:
    """The flag that a DetectedIssue is about: the last part of its identifier."""
    value = next(one["value"] for one in issue["identifier"] if one.get("system") == SID_FLAG)
    return str(value).rpartition("/")[2], issue


def _flag(parts: Mapping[str, list[Any]], by_flag: Mapping[str, Element]) -> Flag:
    identifier = str(parts["flag"][0])
    fired = parts["result"][0] == FIRED
    issue = by_flag.get(identifier, {}) if fired else {}
    return Flag(
        id=identifier,
        fired=fired,
        guards=str(first(parts, "guards") or identifier),
        urgency=urgency_or_none(first(parts, "urgency")),
        lines=texts(parts, "line"),
        citations=texts(parts, "citation"),
        grounds=tuple(_ground(parts_of(one)) for one in parts.get("answer", ())),
        not_assessed=texts(parts, "notAssessed"),
        confidential=first(parts, "clinicianOnly") is True,
        examination_only=first(parts, "examinationOnly") is True,
        severity=str(issue.get("severity", "")),
        sentence=str(issue.get("detail", "")),
        source_url=_https(issue.get("reference")),
    )


def _ground(parts: Mapping[str, list[Any]]) -> Ground:
    return Ground(
        question=str(parts["question"][0]),
        answer=str(first(parts, "answer") or ""),
        unknown=first(parts, "unknown") is True,
        link_ids=texts(parts, "linkId"),
    )


def _https(url: Any) -> str:
    """An address that may become a link: nothing that a browser would run."""
    return url if isinstance(url, str) and url.startswith("https://") else ""

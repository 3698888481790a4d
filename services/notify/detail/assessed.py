"""One version of a RiskAssessment with its DetectedIssues, read for a page as small values. Pure.

A part that cannot be read is named in `unreadable`; everything else is shown all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.notify.assessment import WITHDRAWN
from services.notify.detail.flags import Flag, read_flags
from services.notify.detail.narrative import Narrative, read_narrative
from services.notify.detail.parts import Element, Reading, extensions, parts_of, texts
from services.notify.detail.weighed import (
    Candidate,
    Panel,
    Score,
    read_candidates,
    read_panel,
    read_scores,
)
from shared.fhir.codes import (
    CS_METHOD,
    CS_URGENCY,
    EXT_DATA_QUALITY,
    EXT_DISPOSITION,
    EXT_NOT_FIRED,
    EXT_REFUSED,
    REVIEW_TAG,
    Urgency,
)

COMPLETE = "complete"
NO_NARRATIVE = Narrative()


class Kind(StrEnum):
    """What sort of assessment it is."""

    ASSESSED = "assessed"
    NOT_ASSESSABLE = "not-assessable"  # no rules for the form, or a fault: a human must read the answers
    REFUSED = "refused"  # of a submission that was refused: its answers could not be trusted


@dataclass(frozen=True, slots=True)
class Quality:
    """What is wrong with the answers: codes, ids of contradictions, and linkIds."""

    codes: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()
    two_answers: tuple[str, ...] = ()
    not_used: tuple[str, ...] = ()
    not_answered_page_1: tuple[str, ...] = ()
    not_answered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Response:
    """The version of the QuestionnaireResponse that was assessed."""

    id: str
    version: int | None


@dataclass(frozen=True, slots=True)
class Assessed:
    """`why`: one sentence; `do`: what to do, in one sentence of triage's; `title`: of the rules that were used."""

    id: str
    version: str
    status: str
    kind: Kind
    urgency: Urgency | None
    review: bool
    title: str
    rules_version: str
    why: str
    do: str
    at: datetime | None
    response: Response | None
    fired: tuple[Flag, ...] = ()
    undecided: tuple[Flag, ...] = ()
    not_fired: tuple[str, ...] = ()
    scores: tuple[Score, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    panel: tuple[Panel, ...] = ()
    quality: Quality = Quality()
    narrative: Narrative = NO_NARRATIVE
    notes: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def withdrawn(self) -> bool:
        """True when this version says that it was entered in error."""
        return self.status in WITHDRAWN

    @property
    def confidential(self) -> bool:
        """True when a flag fired that is for clinicians only (SR-17)."""
        return any(flag.confidential for flag in self.fired)

    @property
    def advises(self) -> bool:
        """True when it holds advice beyond the one sentence on what to do."""
        return any(section.items for section in self.narrative.sections if section.name.startswith("advice-"))

    @property
    def fired_by_link_id(self) -> dict[str, tuple[str, ...]]:
        """Which flags an answer fired, by the linkId of its question."""
        found: dict[str, tuple[str, ...]] = {}
        for flag in self.fired:
            for link_id in dict.fromkeys(one for ground in flag.grounds for one in ground.link_ids):
                found[link_id] = (*found.get(link_id, ()), flag.id)
        return found


def read_assessed(resource: Element, issues: Sequence[Element]) -> Assessed:
    """Read a RiskAssessment of ours and the DetectedIssues of the same version. Never raises for what stands in it."""
    reading = Reading()
    flags = read_flags(resource, issues, reading)
    notes = reading.each("notes", resource.get("note", ()), lambda one: str(one["text"]))
    narrative = reading.one("narrative", lambda: read_narrative(str(resource["text"]["div"])), NO_NARRATIVE)
    found = Assessed(
        id=str(resource.get("id", "")),
        version=reading.one("version", lambda: str(resource["meta"]["versionId"]), ""),
        status=str(resource.get("status", "")),
        kind=reading.one("kind of assessment", lambda: _kind(resource), Kind.ASSESSED),
        urgency=reading.one("urgency", lambda: _urgency(resource), None),
        review=reading.one("tags", lambda: REVIEW_TAG in _tags(resource), False),
        title=reading.one("method", lambda: str(resource["method"]["text"]), ""),
        rules_version=reading.one("method", lambda: _rules_version(resource), ""),
        why="",
        do=str(resource.get("mitigation", "")),
        at=reading.one("time", lambda: datetime.fromisoformat(resource["occurrenceDateTime"]), None),
        response=reading.one("basis", lambda: _response(resource), None),
        fired=tuple(flag for flag in flags if flag.fired),
        undecided=tuple(flag for flag in flags if not flag.fired),
        not_fired=reading.one("red flags that did not fire", lambda: _not_fired(resource), ()),
        scores=read_scores(resource, reading),
        candidates=read_candidates(resource, reading),
        panel=read_panel(resource, reading),
        quality=reading.one("quality of the answers", lambda: _quality(resource), Quality()),
        narrative=narrative,
        notes=notes,
    )
    return replace(found, why=why(found), unreadable=reading.unreadable)


def why(assessed: Assessed) -> str:
    """The reason for the urgency in one sentence, of the most urgent flag; and how many more there are."""
    deciding = [flag for flag in assessed.fired if flag.urgency is assessed.urgency] or list(assessed.fired)
    if assessed.kind is not Kind.ASSESSED:
        return assessed.notes[0] if assessed.notes else assessed.title
    if deciding:
        more = len(assessed.fired) - 1
        also = "" if more == 0 else " One more red flag fired." if more == 1 else f" {more} more red flags fired."
        return _reason(deciding[0]) + also
    reasons = assessed.narrative.opening[1:] or assessed.narrative.section("flags").of("review")
    return reasons[0] if reasons else "No red flag fired; the reasons stand below."


def _reason(flag: Flag) -> str:
    if not flag.sentence:
        return f"A red flag fired that guards against {flag.guards}."
    sentence, full_stop, _ = flag.sentence.partition(". ")
    return sentence + full_stop.strip()


def _kind(resource: Element) -> Kind:
    if any(extensions(resource, EXT_REFUSED)):
        return Kind.REFUSED
    codes = [one.get("code") for one in resource.get("method", {}).get("coding", ()) if one.get("system") == CS_METHOD]
    return Kind.NOT_ASSESSABLE if Kind.NOT_ASSESSABLE.value in codes else Kind.ASSESSED


def _urgency(resource: Element) -> Urgency | None:
    """The most urgent of extension and tag, as alerting reads it."""
    codes = [str(one["valueCoding"]["code"]) for one in extensions(resource, EXT_DISPOSITION)] + _tags(resource)
    found = [Urgency(code) for code in codes if code in list(Urgency)]
    return min(found, key=lambda urgency: urgency.rank, default=None)


def _tags(resource: Element) -> list[str]:
    given: list[dict[str, Any]] = resource.get("meta", {}).get("tag", [])
    return [str(tag.get("code")) for tag in given if tag.get("system") == CS_URGENCY]


def _rules_version(resource: Element) -> str:
    return str(next((one.get("version", "") for one in resource["method"]["coding"]), ""))


def _response(resource: Element) -> Response | None:
    for basis in resource.get("basis", ()):
        kind, _, rest = str(basis.get("reference", "")).partition("/")
        if kind == "QuestionnaireResponse":
            identifier, _, version = rest.partition("/_history/")
            return Response(identifier, int(version) if version else None)
    return None


def _not_fired(resource: Element) -> tuple[str, ...]:
    return tuple(line for one in extensions(resource, EXT_NOT_FIRED) for line in str(one["valueString"]).split())


def _quality(resource: Element) -> Quality:
    for extension in extensions(resource, EXT_DATA_QUALITY):
        parts = parts_of(extension)
        return Quality(
            codes=tuple(code for code in texts(parts, "code") if code != COMPLETE),
            contradictions=texts(parts, "contradiction"),
            two_answers=texts(parts, "twoAnswers"),
            not_used=texts(parts, "notUsed"),
            not_answered_page_1=texts(parts, "notAnsweredPage1"),
            not_answered=texts(parts, "notAnswered"),
        )
    return Quality()

"""Words of the detail page: urgencies, states, channels, and the way to the patient's record. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from services.notify.alert import State
from services.notify.worklist.words import CHANNEL_WORDS, age_words, clock, patient_words
from shared.fhir.codes import Urgency

__all__ = ["age_words", "clock", "patient_words"]

URGENCIES: Mapping[Urgency | None, tuple[str, str]] = {
    Urgency.EMERGENCY: ("▲", "Emergency"),
    Urgency.SAME_DAY: ("◆", "Same day"),
    Urgency.WITHIN_2_WEEKS: ("●", "Within two weeks"),
    Urgency.ROUTINE: ("○", "Routine"),
    Urgency.SELF_CARE: ("○", "Self-care"),
    None: ("?", "Urgency not known"),
}
STATES: Mapping[str, str] = {
    State.REQUESTED: "Nobody has acknowledged it",
    State.RECEIVED: "Nobody has acknowledged it",
    "on-hold": "Snoozed",
    State.ACCEPTED: "Acknowledged",
    State.IN_PROGRESS: "In progress",
    State.COMPLETED: "Completed",
    State.CANCELLED: "Cancelled",
    State.REJECTED: "Rejected",
}
STATUSES = {
    "preliminary": "preliminary: the form is not finished",
    "final": "final",
    "amended": "amended: the answers were changed",
    "entered-in-error": "withdrawn: entered in error",
    "cancelled": "cancelled",
}
SEVERITIES = {"high": "high severity", "moderate": "moderate severity", "low": "low severity"}
STANDINGS = {
    "flagged": "A red flag that guards against it fired",
    "supported": "The answers speak for it",
    "open": "Answers alone cannot exclude it",
}
QUALITIES = {
    "screen-incomplete": "Emergency or required questions are not answered",
    "contradictory": "Answers contradict each other; both readings were considered",
    "unusable-answers": "An answer could not be used, so what it says is unknown",
}


def urgency_word(urgency: Urgency | None) -> str:
    """The urgency in words."""
    return URGENCIES[urgency][1]


def urgency_shape(urgency: Urgency | None) -> str:
    """Its shape, so that colour is never alone in saying it."""
    return URGENCIES[urgency][0]


def readable(code: str) -> str:
    """A code as words: what nobody named better."""
    return code.replace("_", " ").replace("-", " ")


def channel_word(channel: str) -> str:
    """A channel in words."""
    return CHANNEL_WORDS.get(channel, readable(channel))


def listed(names: Iterable[str]) -> str:
    """For example: a, b and c."""
    found = list(names)
    return " and ".join([", ".join(found[:-1]), found[-1]]) if len(found) > 1 else "".join(found)


def patient_link(template: str, subject: Mapping[str, Any] | None) -> str:
    """The patient's record in the EHR, or "" where the patient is not identified well enough for the template.

    `{value}`: the identifier, else the id of the reference; `{system}`: of the identifier. Both are percent-encoded, so
    that nothing a sender wrote becomes another address.
    """
    if not template or subject is None:
        return ""
    identifier = subject.get("identifier") or {}
    reference = str(subject.get("reference", ""))
    own = reference.rpartition("Patient/")[2].partition("/")[0] if "Patient/" in reference else ""
    value, system = str(identifier.get("value") or own), str(identifier.get("system", ""))
    if not value or ("{system}" in template and not system):
        return ""
    return template.replace("{value}", quote(value, safe="")).replace("{system}", quote(system, safe=""))

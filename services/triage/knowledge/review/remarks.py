"""What a check says: errors, which stop a pack from being signed off, and notes, which a reviewer should know."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.triage.knowledge.review.places import Place


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a check found, in words for the authors of packs."""

    severity: Severity
    place: Place
    message: str


def error(file: str, about: str, message: str) -> Remark:
    """A remark that stops a pack from being signed off."""
    return Remark(Severity.ERROR, Place(file, about), message)


def note(file: str, about: str, message: str) -> Remark:
    """A remark that a reviewer should know."""
    return Remark(Severity.NOTE, Place(file, about), message)

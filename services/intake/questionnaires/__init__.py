"""The Questionnaires that come with Sural: FHIR R4 JSON, one file per version, never changed after release."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def shipped() -> list[Path]:
    """The files, in the order of their names."""
    return sorted(FOLDER.glob("*.json"))

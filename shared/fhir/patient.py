"""Which patient a resource is about: what tells one from every other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def patient_key(subject: Mapping[str, Any]) -> str | None:
    """What tells this patient from every other one, or None: then nothing of two resources belongs together.

    `subject` is the reference to the patient. A reference to a contained resource ("#patient") and an identifier
    without a system are the same text for different patients.
    """
    reference, identifier = str(subject.get("reference", "")), subject.get("identifier", {})
    if reference and not reference.startswith("#"):
        return reference
    known = identifier.get("system") and identifier.get("value")
    return f"{identifier['system']}|{identifier['value']}" if known else None

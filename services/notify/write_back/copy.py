"""A resource of ours as it is written to another server: no id of ours, and references that lead back to us. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.fhir.codes import CANONICAL, SID_ALERT

SID_DELIVERY = f"{CANONICAL}/sid/delivery"
OURS = frozenset({"RiskAssessment", "Task", "CommunicationRequest", "Communication"})
IDENTIFIED_BY = {"Task": SID_ALERT, "Communication": SID_DELIVERY}
"""The identifier by which a copy is found again (R4 http.html, conditional update)."""


def identifier_of(resource: Mapping[str, Any]) -> tuple[str, str]:
    """System and value of the identifier that names this resource on every server."""
    return IDENTIFIED_BY[resource["resourceType"]], str(resource["id"])


def copy_of(resource: Mapping[str, Any], *, base: str) -> dict[str, Any]:
    """The resource for another server. `base`: our FHIR base, to which references to our resources are made absolute.

    The reference to the patient stays as the EHR sent it. Version and time of our own go; profile and tags stay.
    """
    system, value = identifier_of(resource)
    copied = {name: _led_back(value_, base) for name, value_ in resource.items() if name not in ("id", "meta")}
    meta = {name: kept for name, kept in resource["meta"].items() if name in ("profile", "tag")}
    named = {"system": system, "value": value}
    identifiers = [named, *(one for one in copied.get("identifier", []) if one != named)]
    return {**copied, "meta": meta, "identifier": identifiers}


def _led_back(value: Any, base: str) -> Any:
    match value:
        case dict():
            led = {name: _led_back(inner, base) for name, inner in value.items()}
            reference = led.get("reference")
            if isinstance(reference, str) and reference.partition("/")[0] in OURS:
                led["reference"] = f"{base}/{reference}"
            return led
        case list():
            return [_led_back(inner, base) for inner in value]
        case _:
            return value

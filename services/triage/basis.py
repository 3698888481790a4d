"""What an evaluation stands on, when it ran and under which ids: arguments of every resource that we emit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, TypeAlias
from uuid import UUID, uuid5

import orjson

from shared.fhir.codes import PROFILES, submission_key
from shared.fhir.identity import instant

Resource: TypeAlias = dict[str, Any]
"""A FHIR resource, or a part of one, as JSON values. Parts that many have in common may be JSON text (`as_text`)."""

NAMESPACE: Final = UUID("3d2f3c5e-7c0b-5a3f-9b1e-5a7e1d1c0a41")
"""Namespace of every UUIDv5 here. Never change it: it would change the ids of stored resources."""

SHA256_SYSTEM: Final = "https://sural.example/fhir/sid/sha-256"
"""Identifier system of a content hash in hexadecimal."""

DEVICE_ID: Final = str(uuid5(NAMESPACE, "device/triage-engine"))
DEVICE_NAME: Final = "Sural triage engine"


class Status(StrEnum):
    """The codes of observation-status that we give."""

    PRELIMINARY = "preliminary"  # page 1 alone
    FINAL = "final"
    AMENDED = "amended"  # the response was amended
    CANCELLED = "cancelled"
    ENTERED_IN_ERROR = "entered-in-error"


@dataclass(frozen=True, slots=True)
class Basis:
    """The version of a QuestionnaireResponse that was assessed. `sha256`: of its bytes as received (hex), or empty.

    `submission` stands for the sender's identifier of the form.
    """

    response_id: str
    response_version: int
    sha256: str
    subject: Mapping[str, Any]
    encounter: Mapping[str, Any] | None = None
    based_on: Mapping[str, Any] | None = None
    authored: str | None = None
    submission: str | None = None

    @classmethod
    def of(cls, response: Mapping[str, Any], *, version: int, sha256: str) -> Basis:
        """Read from the response itself, whatever it holds. A missing subject becomes one that says so.

        Of references only reference, type, display and identifier are taken over: extensions of the sender stay with
        the response, which is referenced in its exact version.
        """
        orders = response.get("basedOn")
        authored = response.get("authored")
        return cls(
            response_id=response["id"],
            response_version=version,
            sha256=sha256,
            subject=_reference(response.get("subject")) or {"display": "not stated"},
            encounter=_reference(response.get("encounter")),
            based_on=_reference(orders[0]) if isinstance(orders, list) and orders else None,
            authored=authored if isinstance(authored, str) else None,
            submission=submission_key(response.get("identifier")),
        )

    @property
    def reference(self) -> str:
        """The response in exactly this version."""
        return f"QuestionnaireResponse/{self.response_id}/_history/{self.response_version}"


@dataclass(frozen=True, slots=True)
class Run:
    """One evaluation: which version of which RiskAssessment it makes, when (aware), with what status."""

    assessment_id: str
    version: int
    at: datetime
    status: Status = Status.FINAL

    @property
    def reference(self) -> str:
        """The RiskAssessment in exactly this version."""
        return f"RiskAssessment/{self.assessment_id}/_history/{self.version}"

    @property
    def instant(self) -> str:
        """When it ran, as a FHIR instant."""
        return _instant(self.at)

    def meta(self, resource_type: str) -> Resource:
        """Meta of a resource of this run, which says that it follows our profile of its type."""
        return {
            "versionId": str(self.version),
            "lastUpdated": self.instant,
            "profile": [PROFILES[resource_type]],
        }


@lru_cache(maxsize=16)
def _instant(at: datetime) -> str:
    """All resources of a run state the same moment."""
    return instant(at)


def assessment_id(tenant: UUID, response_id: str, pack_name: str) -> str:
    """The one RiskAssessment of a response and a pack; where there is no pack, `pack_name` is "none"."""
    return str(uuid5(NAMESPACE, f"{tenant}/{response_id}/{pack_name}"))


def issue_id(assessment: str, flag_id: str) -> str:
    """The one DetectedIssue of a red flag in an assessment."""
    return str(uuid5(NAMESPACE, f"{assessment}/{flag_id}"))


def provenance_id(run: Run) -> str:
    """The one Provenance of a version of an assessment."""
    return str(uuid5(NAMESPACE, f"{run.assessment_id}/{run.version}/provenance"))


def _reference(value: Any) -> Resource | None:
    """What names the target of a Reference, or None when nothing does."""
    if not isinstance(value, Mapping):
        return None
    kept: Resource = _strings(value, "reference", "type", "display")
    identifier = value.get("identifier")
    if isinstance(identifier, Mapping) and (named := _strings(identifier, "system", "value")):
        kept["identifier"] = named
    return kept or None


def _strings(value: Mapping[str, Any], *names: str) -> Resource:
    """Those of these members that are strings, without what UTF-8 cannot express."""
    found = {name: value[name] for name in names if isinstance(value.get(name), str)}
    return {name: text.encode("utf-8", "replace").decode("utf-8") for name, text in found.items()}


def as_text(element: Any) -> orjson.Fragment:
    """An element written already, for what stands in many resources: it costs no more than its length."""
    return orjson.Fragment(orjson.dumps(element))


def plain(resources: Iterable[Resource]) -> list[Resource]:
    """The same resources for whoever looks into them: nothing in them is text that is written already."""
    read: list[Resource] = orjson.loads(orjson.dumps(list(resources)))
    return read


def performer() -> Resource:
    """Reference to the engine as a Device."""
    return {"reference": f"Device/{DEVICE_ID}", "display": DEVICE_NAME}


def number(points: Decimal) -> int | float:
    """A score's points as JSON. Points are whole or halves, which binary floating point holds exactly."""
    return int(points) if points == points.to_integral_value() else float(points)


def extension(url: str, *parts: tuple[str, str, Any]) -> Resource:
    """A complex extension of (name, FHIR type, value); a value of None is left out, a tuple is repeated.

    Of the type "extension" is a tuple of whole extensions.
    """
    inner = []
    for name, kind, value in parts:
        if value is None:
            continue
        if kind == "extension":
            inner += value
        elif isinstance(value, tuple):
            key = f"value{kind}"
            inner += [{"url": name, key: one} for one in value]
        else:
            inner.append({"url": name, f"value{kind}": value})
    return {"url": url, "extension": inner}

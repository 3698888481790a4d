"""A pack as FHIR R4 knowledge: the Library, and what it has in common with the PlanDefinition (`plan_definition.py`).

Plain structures, built from arguments alone: same arguments, same content. What changes with each stored version (meta,
date) is put on by `definitions.stamped`. Content is knowledge, not about any patient, so a confidential flag is named
here; it is marked (SR-17).
https://hl7.org/fhir/R4/library.html
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Final

from services.triage.basis import SHA256_SYSTEM, Resource, extension
from services.triage.engine.content import Evidence, PackHead
from services.triage.engine.pack import Pack
from services.triage.narrative import paragraph, text_element
from shared.fhir.codes import CANONICAL
from shared.fhir.definitions import PUBLISHER, computer_name

TOML: Final = "application/toml"
CASES: Final = "cases/"
EXT_EVIDENCE_STATUS: Final = f"{CANONICAL}/StructureDefinition/evidence-status"
_LIBRARY_TYPE = "http://terminology.hl7.org/CodeSystem/library-type"
_TOPIC = "http://terminology.hl7.org/CodeSystem/definition-topic"
_STATUS_WORDS = {
    "verified": "Source was opened",
    "knowledge": "Source was not opened again",
    "expert": "Opinion, no publication behind it",
    "computed": "Computed from published figures",
}


def resource_id(head: PackHead) -> str:
    """The id of the Library and of the PlanDefinition: what assessments name."""
    return f"{head.name}-{head.version}"


def plan_url(head: PackHead) -> str:
    """The canonical of the PlanDefinition, without version."""
    return f"{CANONICAL}/PlanDefinition/{head.name}"


def library(pack: Pack, files: Mapping[str, bytes]) -> Resource:
    """The Library, without meta and date. `files`: the bytes of the pack's folder by name.

    Files are content with their data, so that the Library alone is enough to read and rerun the pack; cases, which no
    evaluation reads, are named with size and hash only. A test keeps the whole below 1 MiB.
    """
    head = pack.head
    resource = frame(pack, "Library", url=head.canonical)
    resource["type"] = {"coding": [{"system": _LIBRARY_TYPE, "code": "logic-library", "display": "Logic Library"}]}
    resource["relatedArtifact"] = [
        {"type": "composed-of", "resource": f"{plan_url(head)}|{head.version}"},
        *questionnaires(head),
        *({"extension": [_status(source)], **_citation(source)} for source in pack.content.evidence.values()),
    ]
    resource["content"] = [_attachment(name, content) for name, content in files.items()]
    return resource


def frame(pack: Pack, resource_type: str, *, url: str) -> Resource:
    """What Library and PlanDefinition say alike: which content this is, its state, and what it is for."""
    head = pack.head
    said = {
        "purpose": head.purpose,
        "usage": head.usage,
        "copyright": head.copyright,
        "approvalDate": head.approved_on and head.approved_on.isoformat(),
        "lastReviewDate": head.reviewed_on and head.reviewed_on.isoformat(),
    }
    resource: Resource = {
        "resourceType": resource_type,
        "id": resource_id(head),
        "language": head.language,
        "text": text_element(
            paragraph(text) for text in (f"{head.title}, {head.version} ({head.status})", head.description, head.note)
        ),
        "url": url,
        "identifier": [{"system": SHA256_SYSTEM, "value": head.sha256}],
        "version": head.version,
        "name": computer_name(head.name),
        "title": head.title,
        "status": head.status,
        "experimental": head.status == "draft",
        "publisher": PUBLISHER,
        "description": "\n\n".join(text for text in (head.description, head.note) if text),
        **{name: value for name, value in said.items() if value},
        "topic": [
            {"coding": [{"system": _TOPIC, "code": "assessment"}]},
            *({"text": topic} for topic in head.topics),
        ],
    }
    if period := _period(head):
        resource["effectivePeriod"] = period
    return resource


def questionnaires(head: PackHead) -> list[Resource]:
    """The Questionnaires whose answers this content reads."""
    return [{"type": "depends-on", "resource": canonical} for canonical in head.questionnaires]


def citations(pack: Pack, keys: Iterable[str]) -> list[Resource]:
    """The sources behind these evidence keys. Their status as a code is in the Library, under the same label."""
    return [_citation(pack.content.evidence[key]) for key in keys]


def _citation(source: Evidence) -> Resource:
    """A source, and in words whether anybody opened it for this pack."""
    words = _STATUS_WORDS.get(source.status, source.status)
    found: Resource = {
        "type": "citation",
        "label": source.key,
        "display": words if source.checked is None else f"{words} on {source.checked.isoformat()}",
        "citation": source.citation,
    }
    if source.url is not None:
        found["url"] = source.url
    return found


def _status(source: Evidence) -> Resource:
    checked = None if source.checked is None else source.checked.isoformat()
    return extension(EXT_EVIDENCE_STATUS, ("status", "Code", source.status), ("checked", "Date", checked))


def _period(head: PackHead) -> Resource:
    ends = {"start": head.effective_from, "end": head.effective_to}
    return {name: day.isoformat() for name, day in ends.items() if day is not None}


def _attachment(name: str, content: bytes) -> Resource:
    """A file of the pack. `hash` is SHA-1, as R4 asks."""
    attachment: Resource = {"contentType": TOML}
    if not name.startswith(CASES):
        attachment["data"] = b64encode(content).decode()
    attachment["size"] = len(content)
    attachment["hash"] = b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode()
    attachment["title"] = name
    return attachment

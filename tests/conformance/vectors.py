"""The vectors: data files that say what a FHIR R4 server must accept and refuse. README.md tells the format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "vectors"
KINDS = ("structure", "enable-when", "validation")


@dataclass(frozen=True)
class Vector:
    """One vector. `body` is what is sent, to the byte; `questionnaire` is None where no Questionnaire matters."""

    id: str
    kind: str
    sentence: str
    resource_type: str
    body: bytes
    questionnaire: dict[str, Any] | None
    valid: bool
    issues: tuple[dict[str, str], ...]
    enabled: dict[str, bool]
    disputed: str | None


def read_vectors() -> list[Vector]:
    """All vectors in the order of the files."""
    return [
        vector
        for kind in KINDS
        for path in sorted((FOLDER / kind).glob("*.json"))
        for vector in _vectors(kind, json.loads(path.read_bytes(), parse_float=Decimal))
    ]


def _vectors(kind: str, file: dict[str, Any]) -> list[Vector]:
    return [
        Vector(
            id=raw["id"],
            kind=kind,
            sentence=raw["sentence"],
            resource_type=raw.get("resourceType") or file.get("resourceType", "QuestionnaireResponse"),
            body=_body(raw),
            questionnaire=file["questionnaires"][raw["questionnaire"]] if "questionnaire" in raw else None,
            valid=raw["outcome"] == "valid",
            issues=tuple(raw.get("issues", ())),
            enabled=raw.get("enabled", {}),
            disputed=raw.get("disputed"),
        )
        for raw in file["vectors"]
    ]


def _body(raw: dict[str, Any]) -> bytes:
    if "body" in raw:
        return str(raw["body"]).encode()
    return exact_json(raw["response"] if "response" in raw else raw["resource"]).encode()


def exact_json(value: Any) -> str:
    """JSON with every decimal written as it was read: 36.60 stays 36.60."""
    match value:
        case dict():
            return "{" + ",".join(f"{json.dumps(name)}:{exact_json(each)}" for name, each in value.items()) + "}"
        case list():
            return "[" + ",".join(map(exact_json, value)) + "]"
        case Decimal():
            return str(value)
        case _:
            return json.dumps(value)

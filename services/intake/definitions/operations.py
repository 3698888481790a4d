"""OperationDefinitions of our own operations, made of operations.toml.

Operations that others defined ($validate, $process-response, $expand, ...) are claimed with the canonical of their
definition and are not published again here.
https://hl7.org/fhir/R4/operationdefinition.html
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from shared.fhir.definitions import Resource, definition

STEP: Final = {
    "state": ("1..1", "code", "done, pending, not-needed or failed."),
    "time": ("0..1", "instant", "When it was done."),
    "reference": ("0..1", "Reference", "What shows it."),
}
"""The parts of a parameter of the type `step`."""


def operation_definitions() -> list[Resource]:
    """Every operation of our own."""
    tables = tomllib.loads((Path(__file__).parent / "operations.toml").read_text(encoding="utf-8"))
    return [_operation(name, table) for name, table in tables.items()]


def _operation(name: str, table: Mapping[str, Any]) -> Resource:
    return definition(
        "OperationDefinition",
        name,
        title=table["title"],
        description=table["description"],
        kind="operation",
        affectsState=table["affects_state"],
        code=table["code"],
        resource=[table["resource"]],
        system=False,
        type="type" in table["levels"],
        instance="instance" in table["levels"],
        parameter=[_parameter(each, *row) for each, row in table["parameters"].items()],
    )


def _parameter(name: str, use: str, cardinality: str, kind: str, documentation: str) -> Resource:
    low, _, high = cardinality.partition("..")
    said = {"name": name, "use": use, "min": int(low), "max": high, "documentation": documentation}
    if kind != "step":
        return said | {"type": kind}
    return said | {"part": [_parameter(part, use, *row) for part, row in STEP.items()]}

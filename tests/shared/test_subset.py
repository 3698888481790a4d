"""Summaries and chosen elements hold what R4 says that they hold, and are valid resources."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.fhir.elements import kinds
from shared.fhir.identity import array_items
from shared.fhir.resources import Stored
from shared.fhir.search_parameters import PARAMETERS
from shared.fhir.subset import SUMMARY, shown

ALWAYS = {"id", "meta", "implicitRules"}
TASK: dict[str, Any] = {
    "resourceType": "Task",
    "id": "t",
    "meta": {"versionId": "1"},
    "text": {"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'>x</div>"},
    "status": "requested",
    "intent": "order",
    "priority": "stat",
    "note": [{"text": "n"}],
}


@pytest.mark.parametrize("resource_type", PARAMETERS)
def test_the_summary_is_that_of_r4(resource_type: str) -> None:
    module = importlib.import_module(f"fhir.resources.R4B.{resource_type.lower()}")
    marked = {
        field.alias or name
        for name, field in getattr(module, resource_type).model_fields.items()
        if (field.json_schema_extra or {}).get("summary_element_property")
    }

    assert set(SUMMARY[resource_type].split()) == marked - ALWAYS


def members(**asked: Any) -> set[str]:
    stored = Stored("Task", "t", 1, datetime(2026, 1, 1, tzinfo=UTC), b"", b"")
    body = shown(stored, json.dumps(TASK).encode(), **{"summary": "false", "elements": None, **asked})
    return set(json.loads(body))


def test_what_is_mandatory_stays_whatever_was_asked() -> None:
    required = {"resourceType", "id", "meta", *kinds()["Task"].required}

    assert members() == set(TASK)
    assert members(elements=("priority",)) == required | {"priority"}
    assert members(summary="text") == required | {"text"}
    assert members(summary="data") == set(TASK) - {"text"}
    assert "note" not in members(summary="true")
    assert members(elements=("id",)) == {"resourceType", "id", "meta"}


def test_the_elements_of_an_array_keep_their_bytes() -> None:
    assert array_items(b' [ {"a": 1.00} , "]" ,[1,2],null ] ') == [b'{"a": 1.00}', b'"]"', b"[1,2]", b"null"]
    assert array_items(b"[]") == []

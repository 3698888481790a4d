"""Hypothesis strategies: any JSON whatever, and valid resources with damages anywhere."""

from __future__ import annotations

import copy
import json
import secrets
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from deploy.local.demo import EXAMPLES
from services.intake.questionnaires import shipped
from tests.builders import a_response
from tests.conformance.vectors import exact_json

NAMES = (
    "resourceType", "id", "meta", "status", "item", "answer", "linkId", "valueCoding", "valueString", "extension",
    "url", "contained", "entry", "request", "method", "type", "parameter", "name", "resource", "text", "div",
    "_status", "",
)  # fmt: skip
WORDS = (
    "QuestionnaireResponse", "Questionnaire", "Bundle", "Parameters", "Task", "completed", "batch", "transaction",
    "POST", "PUT", "DELETE", "../../etc", "urn:uuid:0", "#", "#a", "%00", "$validate", "\u0000", "2026-02-30",
    "9" * 400, "x" * 5000, "1=1'; --", "\U0001f9b5",
)  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=20)
)
ANY_JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), inner),
    max_leaves=25,
)


def bases() -> list[dict[str, Any]]:
    """A sound resource of each type that is accepted anywhere."""
    response = json.loads((EXAMPLES / "calf-strain.json").read_bytes(), parse_float=Decimal)
    form = json.loads(shipped()[-1].read_bytes(), parse_float=Decimal)
    small = {
        "resourceType": "Questionnaire",
        "url": "https://vectors.example/Questionnaire/property",
        "version": "1",
        "status": "active",
        "item": [
            {"linkId": "a", "type": "boolean"},
            {
                "linkId": "b",
                "type": "string",
                "enableWhen": [{"question": "a", "operator": "=", "answerBoolean": True}],
            },
        ],
    }
    task = {"resourceType": "Task", "id": "none", "status": "accepted", "intent": "order", "owner": {"display": "Dr A"}}
    entries = [
        {"request": {"method": "POST", "url": "QuestionnaireResponse"}, "resource": response},
        {"request": {"method": "GET", "url": "Task?status=requested"}},
        {"request": {"method": "PUT", "url": "Task/none", "ifMatch": 'W/"1"'}, "resource": task},
    ]
    parameters = [{"name": "resource", "resource": response}, {"name": "mode", "valueCode": "create"}]
    return [
        response,
        form,
        small,
        task,
        {"resourceType": "Bundle", "type": "batch", "entry": entries},
        {"resourceType": "Bundle", "type": "transaction", "entry": entries[:1]},
        {"resourceType": "Parameters", "parameter": parameters},
    ]


BASES = bases()


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """A sound resource with one to four damages: parts taken out, doubled, renamed, wrapped, replaced."""
    resource = copy.deepcopy(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, 4))):
        container, key = _place(draw, resource)
        value = container[key]
        match draw(st.sampled_from(("drop", "replace", "double", "rename", "wrap", "deep"))):
            case "drop":
                del container[key]
            case "double" if isinstance(container, list):
                container.append(copy.deepcopy(value))
            case "rename" if isinstance(container, dict):
                container[draw(st.sampled_from(NAMES))] = container.pop(key)
            case "wrap":
                container[key] = draw(st.sampled_from(([value], {"x": value}, [[value]])))
            case "deep":
                container[key] = _nested(draw(st.sampled_from((30, 98, 120))))
            case _:
                container[key] = draw(ANY_JSON)
    return resource


def _place(draw: st.DrawFn, resource: dict[str, Any]) -> tuple[Any, Any]:
    """A container in the resource and a key of it, not too deep to be found by chance."""
    container: Any = resource
    while True:
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        if not keys:
            return {"x": 1}, "x"
        key = draw(st.sampled_from(keys))
        inner = container[key]
        if not isinstance(inner, (dict, list)) or not inner or draw(st.integers(0, 3)) == 0:
            return container, key
        container = inner


def _nested(levels: int) -> dict[str, Any]:
    item: dict[str, Any] = {"linkId": "z"}
    for _ in range(levels):
        item = {"linkId": "z", "item": [item]}
    return item


@st.composite
def kept_content(draw: st.DrawFn) -> str:
    """A valid response as text, with odd spacing, odd decimals, any order of members, and extensions unknown to us."""
    response = a_response(identifier=secrets.token_hex(8))
    number = draw(st.sampled_from(("0.10", "1.0", "1e2", "-0", "12345678901234567890.123456789", "1E-5", "36.60")))
    words = draw(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30).filter(str.strip))
    response["extension"] = [
        {"url": "https://ehr.example.org/fhir/StructureDefinition/reading", "valueDecimal": Decimal(1)},
        {"url": "https://ehr.example.org/fhir/StructureDefinition/remark", "valueString": words},
    ]
    members = draw(st.permutations(list(response.items())))
    text = exact_json(dict(members)).replace('"valueDecimal":1', f'"valueDecimal":{number}', 1)
    spaces = draw(st.sampled_from(("", " ", "\n  ", "\t")))
    return "{" + spaces + text[1:-1] + spaces + "}"

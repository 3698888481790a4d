"""The structural rules of FHIR R4, each with a sample that breaks it and neighbours that keep it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.fhir.elements import kinds, resource_types
from shared.fhir.primitives import PRIMITIVES
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import MOST_PROBLEMS, check_structure
from shared.problems import Category

SENTINEL = "Zaphod-7731"
SAMPLES = json.loads(Path(__file__).with_name("structure_samples.json").read_text("utf-8"), parse_float=Decimal)
BASES: dict[str, dict[str, Any]] = SAMPLES["bases"]
SOUND: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in BASES] + SAMPLES["sound"]
QR = "QuestionnaireResponse"
PATIENT = {"resourceType": "Patient", "id": "p"}


def build(resource_type: str, elements: dict[str, Any]) -> dict[str, Any]:
    """The smallest sound resource of the type with these elements; "(none)" leaves one out."""
    merged = {"resourceType": resource_type, **BASES[resource_type], **elements}
    return {name: value for name, value in merged.items() if value != "(none)"}


def found(resource_type: str, elements: dict[str, Any]) -> list[tuple[str, str | None]]:
    resource = build(resource_type, elements)
    problems = check_structure(resource, resource_type=resource_type)
    assert SENTINEL not in repr([problem.message for problem in problems])
    return [(problem.code, (problem.expression or "").removeprefix(f"{resource_type}.")) for problem in problems]


@pytest.mark.requirement("REQ-02")
@pytest.mark.parametrize(("code", "place", "resource_type", "elements"), SAMPLES["broken"])
def test_a_broken_rule_is_the_one_problem_and_is_placed(
    code: str, place: str, resource_type: str, elements: dict[str, Any]
) -> None:
    assert found(resource_type, elements) == [(code, place)]


@pytest.mark.parametrize(("resource_type", "elements"), SOUND)
def test_a_sound_resource_has_no_problem_here_and_none_for_fhir_resources(
    resource_type: str, elements: dict[str, Any]
) -> None:
    assert found(resource_type, elements) == []
    assert validate_with_fhir_resources(build(resource_type, elements)) == []


@pytest.mark.parametrize("name", SAMPLES["primitives"])
def test_values_of_a_primitive_type(name: str) -> None:
    samples = SAMPLES["primitives"][name]
    json_name = f"value{name[0].upper()}{name[1:]}"

    for value in samples["good"]:
        assert found(QR, {"extension": [{"url": "urn:x", json_name: value}]}) == [], value
    for value in samples["bad"]:
        (problem,) = found(QR, {"extension": [{"url": "urn:x", json_name: value}]})
        assert problem[1] == "extension[0].value", value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), Decimal("Infinity")])
def test_a_decimal_is_finite(value: float | Decimal) -> None:
    assert found("RiskAssessment", {"prediction": [{"relativeRisk": value}]}) == [
        ("wrong-json-type", "prediction[0].relativeRisk")
    ]


def test_every_primitive_type_has_samples() -> None:
    assert {name for name in PRIMITIVES if name.isalnum()} - {"xhtml"} == SAMPLES["primitives"].keys()


def test_all_problems_are_told_in_document_order_with_their_link_ids() -> None:
    resource = {
        "resourceType": QR,
        "status": "done",
        "item": [
            {"linkId": "1", "answer": [{"valueInteger": "7"}], "item": [{"linkId": "1.1", "text": ""}]},
            {
                "linkId": "2",
                "item": [{"linkId": "2.1", "answer": [{"valueCoding": {"kode": "Y"}}]}, {"text": "a"}],
            },
        ],
        "author": {"reference": "Encounter/1"},
    }

    problems = check_structure(resource, resource_type=QR)

    assert [(each.code, each.expression, each.link_id) for each in problems] == [
        ("unknown-code", "QuestionnaireResponse.status", None),
        ("qrs-1", "QuestionnaireResponse.item[0]", "1"),
        ("wrong-json-type", "QuestionnaireResponse.item[0].answer[0].value", "1"),
        ("invalid-format", "QuestionnaireResponse.item[0].item[0].text", "1.1"),
        ("unknown-element", "QuestionnaireResponse.item[1].item[0].answer[0].value.kode", "2.1"),
        ("missing-element", "QuestionnaireResponse.item[1].item[1].linkId", "2"),
        ("reference-target", "QuestionnaireResponse.author", None),
    ]


def test_two_contained_resources_with_one_id_are_told_apart_nowhere() -> None:
    elements = {"subject": {"reference": "#p"}, "contained": [PATIENT, PATIENT]}

    assert found(QR, elements) == [("duplicate-id", "contained[0].id"), ("duplicate-id", "contained[1].id")]


def test_what_cannot_be_processed_is_told_apart_from_what_is_wrong() -> None:
    modifier = build(QR, {"modifierExtension": [{"url": "urn:x", "valueCode": "y"}]})
    wrong = build(QR, {"status": "done"})

    assert [each.category for each in check_structure(modifier, resource_type=QR)] == [Category.UNPROCESSABLE]
    assert [each.category for each in check_structure(wrong, resource_type=QR)] == [Category.INCORRECT]


def test_a_wrong_code_is_never_repeated_but_the_right_ones_are_named() -> None:
    (short,) = check_structure(build(QR, {"status": "done"}), resource_type=QR)
    (long,) = check_structure(build(QR, {"status": "pain since Monday"}), resource_type=QR)

    assert "done" not in short.message
    assert "completed" in short.message
    assert "Monday" not in long.message


def test_the_walk_stops_after_a_thousand_problems() -> None:
    problems = check_structure(build(QR, {"item": [{}] * 5000}), resource_type=QR)

    assert len(problems) == MOST_PROBLEMS + 1
    assert problems[-1].code == "too-many-problems"


def test_the_table_holds_every_type_that_its_elements_name() -> None:
    named = {element.kind_name for kind in kinds().values() for element in kind.elements.values()}

    assert named - kinds().keys() - PRIMITIVES.keys() == {"Resource"}
    assert len(resource_types()) == 146


@pytest.mark.parametrize(
    ("resource_type", "element", "codes"),
    [
        (QR, "status", "in-progress completed amended entered-in-error stopped"),
        (
            "RiskAssessment",
            "status",
            "registered preliminary final amended corrected cancelled entered-in-error unknown",
        ),
        ("DetectedIssue", "severity", "high moderate low"),
        ("Task", "priority", "routine urgent asap stat"),
        ("Questionnaire.item", "enableBehavior", "all any"),
        ("Questionnaire.item.enableWhen", "operator", "exists = != > < >= <="),
        ("HumanName", "use", "usual official temp nickname anonymous old maiden"),
    ],
)
def test_required_bindings_are_those_of_the_specification(resource_type: str, element: str, codes: str) -> None:
    bound = kinds()[resource_type].elements[element].bound

    assert {code for listed in bound.values() for code in listed} == set(codes.split())


@pytest.mark.requirement("REQ-02")
@given(st.sampled_from(SOUND), st.randoms(use_true_random=False))
def test_one_broken_member_anywhere_is_noticed(sample: tuple[str, dict[str, Any]], random: Any) -> None:
    resource = json.loads(json.dumps(build(*sample), default=float))
    objects = [resource]
    for node in objects:
        inner = [each for value in node.values() for each in (value if isinstance(value, list) else [value])]
        objects.extend(each for each in inner if isinstance(each, dict) and each.get("resourceType") != "Goal")
    random.choice(objects)["zaphod"] = "x"

    codes = [each.code for each in check_structure(resource, resource_type=sample[0])]

    assert codes == ["unknown-element"]

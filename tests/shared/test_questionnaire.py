"""What a compiled Questionnaire knows, and which Questionnaires must not be published."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from shared.fhir.answer_values import Coding
from shared.fhir.codes import YES_NO_SYSTEM
from shared.fhir.questionnaire import MAX_GATE_CHAIN, QuestionnaireIndex
from shared.fhir.questionnaire_item import ENABLE_WHEN_EXPRESSION
from shared.problems import ProblemError
from tests.forms import (
    Json,
    between,
    choice,
    coding,
    extension,
    group,
    if_no,
    if_yes,
    index,
    question,
    questionnaire,
    when,
    yes_no,
)


def refusals(*items: Json, **more: Any) -> list[tuple[str, str | None]]:
    """(code, linkId) of every reason why these items are refused; empty when they are not."""
    try:
        QuestionnaireIndex.build(questionnaire(*items, **more))
    except ProblemError as stopped:
        return [(problem.code, problem.link_id) for problem in stopped.problems]
    return []


def test_items_are_found_by_link_id_in_document_order_with_their_place() -> None:
    compiled = index(group("pain", yes_no("trauma", required=True), group("more", yes_no("limp"))), yes_no("z"))

    assert list(compiled.items) == ["pain", "trauma", "more", "limp", "z"]
    assert compiled.canonical == "https://sural.example/fhir/Questionnaire/test-4711|3.1.4"
    assert compiled.roots == ("pain", "z")
    assert compiled.items["pain"].children == ("trauma", "more")
    assert compiled.items["pain"].required_children == ("trauma",)
    assert (compiled.items["limp"].parent, compiled.items["limp"].path) == ("more", ("pain", "more"))


def test_bounds_unit_precision_and_flags_are_read_from_the_item_and_its_extensions() -> None:
    unit = {"valueCoding": {"system": "http://unitsofmeasure.org", "code": "cm", "display": "cm"}}
    extensions = [
        *between(Decimal("0.5"), Decimal("12.5")),
        extension("maxDecimalPlaces", valueInteger=1),
        extension("questionnaire-unit", **unit),
        extension("questionnaire-hidden", valueBoolean=True),
    ]
    item = index(question("diff", "decimal", extension=extensions, readOnly=True)).items["diff"]

    assert (item.min_value, item.max_value, item.max_decimal_places) == (Decimal("0.5"), Decimal("12.5"), 1)
    assert item.unit == Coding("http://unitsofmeasure.org", "cm", "cm")
    assert (item.hidden, item.read_only, item.repeats) == (True, True, False)


@pytest.mark.parametrize(
    "value_set",
    [
        {"compose": {"include": [{"system": "urn:s", "concept": [{"code": "a"}, {"code": "b"}]}]}},
        {
            "expansion": {
                "contains": [
                    {
                        "system": "urn:s",
                        "code": "top",
                        "abstract": True,
                        "contains": [{"system": "urn:s", "code": "a"}],
                    },
                    {"system": "urn:s", "code": "b"},
                ]
            }
        },
    ],
)
def test_options_come_from_a_contained_value_set(value_set: Json) -> None:
    contained = [{"resourceType": "ValueSet", "id": "sites", **value_set}]
    compiled = QuestionnaireIndex.build(
        questionnaire(question("site", "choice", answerValueSet="#sites"), contained=contained)
    )

    assert compiled.items["site"].option_keys == {("urn:s", "a"), ("urn:s", "b")}


@pytest.mark.parametrize(
    "value_set",
    [
        {"compose": {"include": [{"system": "urn:s"}]}},
        {
            "compose": {
                "include": [{"system": "urn:s", "concept": [{"code": "a"}]}],
                "exclude": [{"system": "urn:s"}],
            }
        },
        {},
    ],
)
def test_a_value_set_without_all_its_codes_is_refused(value_set: Json) -> None:
    contained = [{"resourceType": "ValueSet", "id": "sites", **value_set}]
    site = question("site", "choice", answerValueSet="#sites")

    assert ("value-set-not-expanded", "site") in refusals(site, contained=contained)


def test_an_external_value_set_is_refused() -> None:
    site = question("site", "choice", answerValueSet="http://example.org/ValueSet/sites")

    assert ("value-set-not-expanded", "site") in refusals(site)


CHOICE = {"answerCoding": coding("Y", YES_NO_SYSTEM)}
TWO = [when("a", "=", **CHOICE), when("n", ">", answerInteger=3)]


@pytest.mark.parametrize(
    ("code", "wrong", "right"),
    [
        ("duplicate-link-id", [yes_no("b"), yes_no("b")], [yes_no("b"), yes_no("c")]),
        ("link-id-missing", [{"type": "string"}], [question("b", "string")]),
        ("unknown-item-type", [question("b", "question")], [question("b", "string")]),
        ("empty-group", [group("b")], [group("b", yes_no("c"))]),
        ("display-with-items", [question("b", "display", item=[yes_no("c")])], [question("b", "display")]),
        (
            "display-required",
            [question("b", "display", required=True)],
            [question("b", "string", required=True)],
        ),
        ("choice-without-options", [question("b", "choice")], [choice("b", "left")]),
        ("choice-without-options", [question("b", "open-choice")], [choice("b", "left", type="open-choice")]),
        ("two-option-lists", [choice("b", "left", answerValueSet="#x")], [choice("b", "left")]),
        ("options-without-choice", [choice("b", "left", type="string")], [choice("b", "left")]),
        (
            "enable-behavior-missing",
            [yes_no("b", enableWhen=TWO)],
            [yes_no("b", enableWhen=TWO, enableBehavior="all")],
        ),
        (
            "enable-when-unknown-question",
            [yes_no("b", enableWhen=if_yes("zz"))],
            [yes_no("b", enableWhen=if_yes("a"))],
        ),
        (
            "enable-when-unknown-question",
            [yes_no("b", enableWhen=if_yes("g"))],
            [yes_no("b", enableWhen=if_no("a"))],
        ),
        (
            "enable-when-wrong-type",
            [yes_no("b", enableWhen=[when("a", "=", answerBoolean=True)])],
            [yes_no("b", enableWhen=[when("n", ">", answerDecimal=Decimal("3.5"))])],
        ),
        (
            "enable-when-unknown-option",
            [yes_no("b", enableWhen=[when("a", "=", answerCoding=coding("Y"))])],
            [yes_no("b", enableWhen=[when("a", "=", answerCoding=coding("Y", None))])],
        ),
        (
            "exists-not-boolean",
            [yes_no("b", enableWhen=[when("a", "exists", **CHOICE)])],
            [yes_no("b", enableWhen=[when("a", "exists", answerBoolean=False)])],
        ),
        (
            "operator-without-order",
            [yes_no("b", enableWhen=[when("a", ">", **CHOICE)])],
            [yes_no("b", enableWhen=[when("a", "!=", **CHOICE)])],
        ),
        (
            "enable-when-without-answer",
            [yes_no("b", enableWhen=[when("a", "=")])],
            [yes_no("b", enableWhen=if_yes("a"))],
        ),
        (
            "bounds-reversed",
            [question("b", "integer", extension=between(9, 8))],
            [question("b", "integer", extension=between(8, 8))],
        ),
        (
            "enable-when-expression",
            [yes_no("b", extension=[{"url": ENABLE_WHEN_EXPRESSION, "valueExpression": {}}])],
            [yes_no("b", extension=[{"url": "urn:something-else", "valueExpression": {}}])],
        ),
        ("enable-when-cycle", [yes_no("b", enableWhen=if_yes("b"))], [yes_no("b", enableWhen=if_yes("a"))]),
        (
            "enable-when-cycle",
            [group("h", yes_no("b"), enableWhen=if_yes("b"))],
            [group("h", yes_no("b", enableWhen=if_yes("a")))],
        ),
    ],
)
def test_what_cannot_be_judged_is_refused_and_its_valid_neighbour_is_not(
    code: str, wrong: list[Json], right: list[Json]
) -> None:
    around = [yes_no("a"), question("n", "integer"), group("g", yes_no("x"))]

    assert code in [each for each, _ in refusals(*around, *wrong)]
    assert refusals(*around, *right) == []


def test_a_questionnaire_without_url_or_version_is_refused() -> None:
    assert refusals(yes_no("a"), url=None, version="") == [("url-missing", None), ("version-missing", None)]


def test_all_reasons_are_told_at_once_with_their_places() -> None:
    with pytest.raises(ProblemError) as stopped:
        QuestionnaireIndex.build(
            questionnaire(group("g", question("a", "choice")), yes_no("b", enableWhen=if_yes("q")))
        )

    assert stopped.value.http_status == 422
    assert [(each.code, each.expression) for each in stopped.value.problems] == [
        ("choice-without-options", "Questionnaire.item[0].item[0]"),
        ("enable-when-unknown-question", "Questionnaire.item[1].enableWhen[0]"),
    ]


def test_a_long_chain_of_gates_is_refused_before_it_can_exhaust_the_stack() -> None:
    def chain(length: int) -> list[Json]:
        return [
            yes_no("q0"),
            *(yes_no(f"q{n}", enableWhen=if_yes(f"q{n - 1}")) for n in range(1, length)),
        ]

    assert refusals(*chain(MAX_GATE_CHAIN)) == []
    assert refusals(*chain(MAX_GATE_CHAIN + 1)) == [("enable-when-cycle", f"q{MAX_GATE_CHAIN}")]


def test_a_compiled_questionnaire_cannot_be_changed() -> None:
    compiled = index(yes_no("a"))

    with pytest.raises(TypeError):
        compiled.items["a"] = compiled.items["a"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        compiled.items["a"].required = True  # type: ignore[misc]

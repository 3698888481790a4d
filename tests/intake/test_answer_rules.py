"""Each limit that a Questionnaire of R4 can set on an answer: what keeps it, and what breaks it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from services.intake.conformance import check_conformance
from services.intake.patterns import can_compute, matches
from services.intake.publication import examine
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.problems import ProblemError, Severity
from tests.forms import Json, answered, coding, extension, question, questionnaire, response

UCUM = "http://unitsofmeasure.org"
UNITS = "https://clinic.example/ValueSet/units"
SITES = "https://clinic.example/ValueSet/sites"
KNOWN = {
    UNITS: {"expansion": {"contains": [{"system": UCUM, "code": "kg"}, {"system": UCUM, "code": "[lb_av]"}]}},
    SITES: {"compose": {"include": [{"system": "https://x.example/site", "concept": [{"code": "calf"}]}]}},
}


def quantity(value: int, code: str) -> Json:
    return {"valueQuantity": {"value": value, "system": UCUM, "code": code}}


def reference(text: str, **more: str) -> Json:
    return {"valueReference": {"reference": text, **more}}


def attachment(**more: Any) -> Json:
    return {"valueAttachment": more}


def text(value: str) -> Json:
    return {"valueString": value}


def site(code: str) -> Json:
    return {"valueCoding": coding(code, "https://x.example/site")}


def options(*values: Json) -> list[Json]:
    return list(values)


LIMITS: dict[str, tuple[Json, list[Json], list[tuple[Json, str]]]] = {
    "length of a text": (
        question("q", "string", maxLength=4, extension=[extension("minLength", valueInteger=2)]),
        [text("ab"), text("äöüß")],
        [(text("a"), "min-length"), (text("abcde"), "max-length")],
    ),
    "pattern of a whole text": (
        question("q", "string", extension=[extension("regex", valueString="[0-9]{3}-[A-Z]+")]),
        [text("123-A")],
        [(text("x123-A"), "pattern"), (text("123-A\n"), "pattern"), (text("123"), "pattern")],
    ),
    "places of a decimal": (
        question("q", "decimal", extension=[extension("maxDecimalPlaces", valueInteger=1)]),
        [{"valueDecimal": Decimal("36.6")}, {"valueDecimal": 36}],
        [({"valueDecimal": Decimal("36.60")}, "decimal-places")],
    ),
    "bounds of a date": (
        question(
            "q",
            "date",
            extension=[extension("minValue", valueDate="2026-01-01"), extension("maxValue", valueDate="2026-12-31")],
        ),
        [{"valueDate": "2026-01-01"}, {"valueDate": "2026-12-31"}],
        [({"valueDate": "2025-12-31"}, "out-of-range"), ({"valueDate": "2027-01-01"}, "out-of-range")],
    ),
    "integers as options": (
        question("q", "choice", answerOption=options({"valueInteger": 1}, {"valueInteger": 5})),
        [{"valueInteger": 5}],
        [({"valueInteger": 2}, "answer-option"), (text("5"), "answer-type")],
    ),
    "dates as options": (
        question("q", "choice", answerOption=options({"valueDate": "2026-11-22"})),
        [{"valueDate": "2026-11-22"}],
        [({"valueDate": "2026-11-23"}, "answer-option")],
    ),
    "references as options": (
        question("q", "choice", answerOption=options({"valueReference": {"reference": "Practitioner/1"}})),
        [reference("Practitioner/1", display="Dr A")],
        [(reference("Practitioner/2"), "answer-option")],
    ),
    "an open choice": (
        question("q", "open-choice", answerOption=options({"valueCoding": coding("calf")})),
        [{"valueCoding": coding("calf")}, text("my left foot")],
        [({"valueCoding": coding("elbow")}, "answer-option"), ({"valueInteger": 1}, "answer-type")],
    ),
    "a value set that is known here": (
        question("q", "choice", answerValueSet=SITES),
        [site("calf")],
        [(site("foot"), "answer-option")],
    ),
    "units by option": (
        question("q", "quantity", extension=[extension("questionnaire-unitOption", valueCoding=coding("kg", UCUM))]),
        [quantity(70, "kg")],
        [(quantity(70, "g"), "unit"), ({"valueQuantity": {"value": 70}}, "unit")],
    ),
    "units by value set": (
        question("q", "quantity", extension=[extension("questionnaire-unitValueSet", valueCanonical=UNITS)]),
        [quantity(70, "kg"), quantity(150, "[lb_av]")],
        [(quantity(70, "g"), "unit")],
    ),
    "open units": (
        question(
            "q",
            "quantity",
            extension=[
                extension("questionnaire-unitOption", valueCoding=coding("kg", UCUM)),
                extension("questionnaire-unitOpen", valueCode="optionsOrString"),
            ],
        ),
        [quantity(70, "kg"), {"valueQuantity": {"value": 11, "unit": "stone"}}],
        [],
    ),
    "types of a reference": (
        question("q", "reference", extension=[extension("questionnaire-referenceResource", valueCode="Device")]),
        [reference("Device/1"), reference("https://ehr.example/fhir/Device/1"), reference("urn:x", type="Device")],
        [(reference("Patient/1"), "reference-target")],
    ),
    "kinds and size of an attachment": (
        question(
            "q",
            "attachment",
            extension=[extension("mimeType", valueCode="image/*"), extension("maxSize", valueDecimal=Decimal("0.001"))],
        ),
        [attachment(contentType="image/png", size=1000)],
        [
            (attachment(contentType="text/html", size=10), "attachment-type"),
            (attachment(contentType="image/png", size=1001), "attachment-size"),
            (attachment(contentType="image/png", data="A" * 2000), "attachment-size"),
        ],
    ),
    "a time": (question("q", "time"), [{"valueTime": "08:30:00"}], [(text("08:30:00"), "answer-type")]),
    "an address of the web": (question("q", "url"), [{"valueUri": "https://x.example"}], [(text("x"), "answer-type")]),
    "a question that is only shown": (question("q", "string", readOnly=True), [text("as it was filled in")], []),
}


def problems(item: Json, answer: Json, status: str = "completed") -> list[tuple[str, Severity]]:
    form = QuestionnaireIndex.build(questionnaire(item), KNOWN)
    found = check_conformance(form, response(answered("q", answer), status=status))
    return [(problem.code, problem.severity) for problem in found]


@pytest.mark.parametrize("limit", LIMITS, ids=str)
def test_an_answer_within_the_limit_is_taken_and_one_beyond_it_is_named(limit: str) -> None:
    item, kept, broken = LIMITS[limit]

    assert [problems(item, answer) for answer in kept] == [[]] * len(kept)
    assert [problems(item, answer) for answer, _ in broken] == [[(code, Severity.ERROR)] for _, code in broken]


@pytest.mark.parametrize("limit", LIMITS, ids=str)
def test_of_a_stopped_or_withdrawn_response_only_the_shape_is_judged(limit: str) -> None:
    item, _, broken = LIMITS[limit]

    for status in ("stopped", "entered-in-error"):
        for answer, code in broken:
            expected = [(code, Severity.ERROR)] if code == "answer-type" else []
            assert problems(item, answer, status) == expected


def test_a_pattern_that_stops_other_engines_costs_nothing() -> None:
    assert not matches("(a+)+$", "a" * 5000 + "!")
    assert not matches("(a|aa)+", "a" * 5000 + "!")


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "(", "a" * 1001, "((a{1,1000}){1,1000}){1,1000}"])
def test_a_pattern_that_cannot_be_computed_is_refused_at_publication_with_its_place(pattern: str) -> None:
    form = questionnaire(question("q", "string", extension=[extension("regex", valueString=pattern)]))

    with pytest.raises(ProblemError) as refused:
        examine(json_of(form), find_value_set=lambda _: None)

    [problem] = refused.value.problems
    assert not can_compute(pattern)
    assert (problem.code, problem.expression) == ("pattern-not-computable", "Questionnaire.item[0].extension[0].value")


@pytest.mark.parametrize(
    "item",
    [
        question("q", "choice", answerValueSet="https://clinic.example/ValueSet/unknown"),
        question("q", "quantity", extension=[extension("questionnaire-unitValueSet", valueCanonical="https://x.y/u")]),
        question("q", "choice", answerValueSet="#empty"),
    ],
    ids=["options", "units", "contained"],
)
def test_a_value_set_without_all_its_codes_is_refused_at_publication(item: Json) -> None:
    compose = {"include": [{"system": "https://x.example/site"}]}
    contained = {"resourceType": "ValueSet", "id": "empty", "status": "active", "compose": compose}
    form = questionnaire(item, **({"contained": [contained]} if item.get("answerValueSet") == "#empty" else {}))

    with pytest.raises(ProblemError) as refused:
        examine(json_of(form), find_value_set=lambda _: None)

    assert [problem.code for problem in refused.value.problems] == ["value-set-not-expanded"]


def test_codes_are_those_of_the_day_of_publication() -> None:
    form = questionnaire(question("q", "choice", answerValueSet=SITES), question("w", "quantity"))

    authored = examine(json_of(form), find_value_set=KNOWN.get)

    assert dict(authored.value_sets) == {SITES: KNOWN[SITES]}
    assert [option.key for option in authored.index.items["q"].options] == [("https://x.example/site", "calf")]


def json_of(form: Json) -> bytes:
    return json.dumps(form, default=float).encode()

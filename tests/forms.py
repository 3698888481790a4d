"""Builders for small Questionnaires and responses: name only what a test is about."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from shared.fhir.codes import CS_ANSWER, YES_NO_SYSTEM
from shared.fhir.questionnaire import QuestionnaireIndex

Json = dict[str, Any]

HL7 = "http://hl7.org/fhir/StructureDefinition/"
DISPLAYS = {"Y": "Yes", "N": "No", "ASKU": "Not sure"}


def questionnaire(*items: Json, **more: Any) -> Json:
    """A publishable Questionnaire around these items."""
    return {
        "resourceType": "Questionnaire",
        "url": "https://sural.example/fhir/Questionnaire/test-4711",
        "version": "3.1.4",
        "status": "active",
        "item": list(items),
        **more,
    }


def index(*items: Json) -> QuestionnaireIndex:
    """The compiled Questionnaire of these items."""
    return QuestionnaireIndex.build(questionnaire(*items))


def question(link_id: str, item_type: str, **more: Any) -> Json:
    """A question whose text is its linkId in words."""
    return {"linkId": link_id, "type": item_type, "text": f"{link_id.replace('_', ' ').title()}?", **more}


def group(link_id: str, *items: Json, **more: Any) -> Json:
    """A group of items."""
    return {"linkId": link_id, "type": "group", "text": link_id.title(), "item": list(items), **more}


def yes_no(link_id: str, **more: Any) -> Json:
    """A Yes / No / Not sure question."""
    options = [{"valueCoding": coding(code, YES_NO_SYSTEM)} for code in DISPLAYS]
    return question(link_id, "choice", answerOption=options, **more)


def choice(link_id: str, *codes: str, **more: Any) -> Json:
    """A question with our own answer codes."""
    options = [{"valueCoding": {**coding(code), "display": code.title()}} for code in codes]
    return question(link_id, "choice", answerOption=options, **more)


def coding(code: str, system: str | None = CS_ANSWER) -> Json:
    """A Coding; without system when that is None."""
    display = {"display": DISPLAYS[code]} if code in DISPLAYS else {}
    return {**({"system": system} if system else {}), "code": code, **display}


def when(gate: str, operator: str, **answer: Any) -> Json:
    """One condition, for example ``when("age", ">=", answerInteger=16)``."""
    return {"question": gate, "operator": operator, **answer}


def if_yes(gate: str) -> list[Json]:
    """Asked when the gate is answered Yes."""
    return [when(gate, "=", answerCoding=coding("Y", YES_NO_SYSTEM))]


def if_no(gate: str) -> list[Json]:
    """Asked when the gate is answered No."""
    return [when(gate, "=", answerCoding=coding("N", YES_NO_SYSTEM))]


def extension(name: str, **value: Any) -> Json:
    """One of HL7's core extensions."""
    return {"url": f"{HL7}{name}", **value}


def between(low: int | Decimal, high: int | Decimal) -> list[Json]:
    """Inclusive bounds of a number."""
    kind = "Integer" if isinstance(low, int) else "Decimal"
    return [
        extension("minValue", **{f"value{kind}": low}),
        extension("maxValue", **{f"value{kind}": high}),
    ]


def response(*items: Json, status: str = "completed") -> Json:
    """A QuestionnaireResponse with these items."""
    return {"resourceType": "QuestionnaireResponse", "status": status, "item": list(items)}


def answered(link_id: str, *values: Any) -> Json:
    """An answered item. Words are codes (Y, N, ASKU those of HL7), a dict is a whole answer."""
    return {"linkId": link_id, "answer": [_answer(value) for value in values]}


def inside(link_id: str, *items: Json) -> Json:
    """One instance of a group."""
    return {"linkId": link_id, "item": list(items)}


def _answer(value: Any) -> Json:
    match value:
        case dict():
            return value
        case bool():
            return {"valueBoolean": value}
        case int():
            return {"valueInteger": value}
        case Decimal():
            return {"valueDecimal": value}
        case "Y" | "N" | "ASKU":
            return {"valueCoding": coding(value, YES_NO_SYSTEM)}
        case _:
            return {"valueCoding": coding(value)}

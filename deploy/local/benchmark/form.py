"""A Questionnaire of 60 items and a finished response to it, for `sural bench`: six groups of nine questions.

Every type of answer that a form usually has, a third of the questions behind a condition, and the wording of each
question sent along, as most systems do.
"""

from __future__ import annotations

from typing import Any

import orjson

from shared.fhir.codes import YES_NO_SYSTEM

GROUPS = 6
CANONICAL = "https://sural.example/fhir/Questionnaire/benchmark"
SYSTEM = "https://sural.example/fhir/CodeSystem/benchmark"
UCUM = "http://unitsofmeasure.org"
HL7 = "http://hl7.org/fhir/StructureDefinition/"

Json = dict[str, Any]

YES = {"system": YES_NO_SYSTEM, "code": "Y", "display": "Yes"}
NO = {"system": YES_NO_SYSTEM, "code": "N", "display": "No"}
PLACES = [{"system": SYSTEM, "code": name, "display": name.title()} for name in ("calf", "ankle", "knee", "thigh")]
KILOGRAM = {"value": 81.50, "unit": "kg", "system": UCUM, "code": "kg"}


def sixty_items() -> tuple[Json, bytes]:
    """The Questionnaire, and a response to it as it comes over the wire."""
    pairs = [_group(number) for number in range(1, GROUPS + 1)]
    questionnaire = {
        "resourceType": "Questionnaire",
        "url": CANONICAL,
        "version": "1.0.0",
        "status": "active",
        "item": [item for item, _ in pairs],
    }
    response = {
        "resourceType": "QuestionnaireResponse",
        "identifier": {"system": "https://sural.example/sandbox", "value": "sixty-items"},
        "questionnaire": f"{CANONICAL}|1.0.0",
        "status": "completed",
        "subject": {"reference": "Patient/test-60", "display": "Test patient 60"},
        "authored": "2026-11-22T09:01:00+01:00",
        "item": [answered for _, answered in pairs],
    }
    return questionnaire, orjson.dumps(response, option=orjson.OPT_INDENT_2).replace(b"81.5,", b"81.50,")


def _group(number: int) -> tuple[Json, Json]:
    gate = f"group-{number}.1"
    if_yes = {
        "enableWhen": [{"question": gate, "operator": "=", "answerCoding": {"system": YES_NO_SYSTEM, "code": "Y"}}]
    }
    bounds = [{"url": f"{HL7}minValue", "valueInteger": 0}, {"url": f"{HL7}maxValue", "valueInteger": 10}]
    places = {"answerOption": [{"valueCoding": place} for place in PLACES]}
    yes_no = {"answerOption": [{"valueCoding": YES}, {"valueCoding": NO}]}
    content: list[tuple[str, str, Json, list[Json]]] = [
        ("choice", "Does it hurt now?", {**yes_no, "required": True}, [{"valueCoding": YES}]),
        ("choice", "Where does it hurt?", {**places, **if_yes, "required": True}, [{"valueCoding": PLACES[0]}]),
        (
            "choice",
            "Where else does it hurt?",
            {**places, **if_yes, "repeats": True},
            [{"valueCoding": PLACES[1]}, {"valueCoding": PLACES[2]}],
        ),
        ("integer", "How bad is it, from 0 to 10?", {**if_yes, "extension": bounds}, [{"valueInteger": 6}]),
        ("date", "When did it begin?", {}, [{"valueDate": "2026-11-20"}]),
        ("string", "What were you doing?", {"maxLength": 200}, [{"valueString": "Running uphill, then it tore."}]),
        ("quantity", "What do you weigh?", {}, [{"valueQuantity": KILOGRAM}]),
        ("boolean", "Can you stand on that leg?", {}, [{"valueBoolean": False}]),
        ("choice", "Did it swell?", {**yes_no, "required": True}, [{"valueCoding": NO}]),
    ]
    items, answered = [], []
    for position, (kind, text, more, answers) in enumerate(content, 1):
        head = {"linkId": f"group-{number}.{position}", "text": text}
        items.append({**head, "type": kind, **more})
        answered.append({**head, "answer": answers})
    head = {"linkId": f"group-{number}", "text": f"Part {number}"}
    return {**head, "type": "group", "item": items}, {**head, "item": answered}

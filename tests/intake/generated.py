"""Questionnaires and responses made by chance: small, publishable, and mostly answered as they ask."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

from shared.fhir.codes import YES_NO_SYSTEM
from tests.forms import coding, extension, question, questionnaire, when

Json = dict[str, Any]

CODES = ("calf", "ankle", "knee")
KINDS = ("yes-no", "choice", "open-choice", "boolean", "integer", "decimal", "date", "dateTime", "time")
KINDS += ("string", "text", "url", "quantity", "reference")
UCUM = "http://unitsofmeasure.org"


def a_questionnaire(random: Random) -> Json:
    """Up to eight items at the top, some of them groups, some repeating, required, bounded or behind a condition."""
    maker = _Maker(random)
    return questionnaire(*(maker.item(depth=0) for _ in range(random.randint(2, 8))))


class _Maker:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.gates: list[tuple[str, str]] = []
        self.count = 0

    def item(self, *, depth: int, repeated: bool = False) -> Json:
        self.count += 1
        link_id, random = f"q{self.count}", self.random
        more: Json = {}
        if random.random() < 0.3:
            more["required"] = True
        if self.gates and random.random() < 0.5:
            more.update(self.conditions())
        if depth < 2 and random.random() < 0.25:
            repeats = random.random() < 0.4
            inside = [self.item(depth=depth + 1, repeated=repeated or repeats) for _ in range(random.randint(1, 4))]
            return {"linkId": link_id, "type": "group", "text": link_id, "repeats": repeats, **more, "item": inside}
        if random.random() < 0.05:
            more.pop("required", None)
            return {"linkId": link_id, "type": "display", "text": "Read this", **more}
        kind = random.choice(KINDS)
        made = self.question(link_id, kind, more)
        if not repeated or random.random() < 0.2:
            self.gates.append((link_id, kind))
        if depth < 2 and random.random() < 0.1:
            made["item"] = [self.item(depth=depth + 1, repeated=True)]
        return made

    def question(self, link_id: str, kind: str, more: Json) -> Json:
        random, extensions = self.random, []
        if random.random() < 0.15 and kind not in ("boolean", "yes-no"):
            more["repeats"] = True
            if random.random() < 0.3:
                extensions.append(extension("questionnaire-maxOccurs", valueInteger=2))
        if random.random() < 0.3 and kind in ("integer", "decimal", "quantity"):
            extensions.append(extension("minValue", valueInteger=1))
            extensions.append(extension("maxValue", valueInteger=40))
        if random.random() < 0.3 and kind == "decimal":
            extensions.append(extension("maxDecimalPlaces", valueInteger=1))
        if random.random() < 0.5 and kind == "quantity":
            unit = {"system": UCUM, "code": "kg", "display": "kg"}
            extensions.append(extension("questionnaire-unit", valueCoding=unit))
        if random.random() < 0.3 and kind in ("string", "text"):
            more["maxLength"] = 12
        if random.random() < 0.2 and kind in ("string", "text"):
            extensions.append(extension("minLength", valueInteger=5))
        if random.random() < 0.2 and kind in ("string", "text", "url"):
            extensions.append(extension("regex", valueString="[a-z ]+"))
        if extensions:
            more["extension"] = extensions
        if kind == "yes-no":
            options = [{"valueCoding": coding(code, YES_NO_SYSTEM)} for code in ("Y", "N", "ASKU")]
            return question(link_id, "choice", answerOption=options, **more)
        if kind in ("choice", "open-choice"):
            options = [{"valueCoding": {**coding(code), "display": code.title()}} for code in CODES]
            if random.random() < 0.3:
                options[0]["extension"] = [extension("questionnaire-optionExclusive", valueBoolean=True)]
            if random.random() < 0.1:
                options.append({"valueCoding": coding("calf", "https://sural.example/other")})
            return question(link_id, kind, answerOption=options, **more)
        return question(link_id, kind, **more)

    def conditions(self) -> Json:
        chosen = [self.condition() for _ in range(self.random.choice((1, 1, 1, 2, 3)))]
        return {"enableWhen": chosen, **({"enableBehavior": self.random.choice(("all", "any"))} if chosen[1:] else {})}

    def condition(self) -> Json:
        link_id, kind = self.random.choice(self.gates)
        operator = self.random.choice(("=", "!=", "exists"))
        if operator == "exists" or kind not in EXPECTED:
            return when(link_id, "exists", answerBoolean=self.random.random() < 0.6)
        if kind in ("integer", "decimal", "date") and self.random.random() < 0.5:
            operator = self.random.choice((">", "<", ">=", "<="))
        return when(link_id, operator, **EXPECTED[kind])


EXPECTED: dict[str, Json] = {
    "yes-no": {"answerCoding": coding("Y", YES_NO_SYSTEM)},
    "choice": {"answerCoding": coding("calf")},
    "open-choice": {"answerCoding": coding("calf", None)},
    "boolean": {"answerBoolean": True},
    "integer": {"answerInteger": 7},
    "decimal": {"answerDecimal": Decimal("36.6")},
    "date": {"answerDate": "2026-03-01"},
    "string": {"answerString": "torn"},
}


def a_response(random: Random, form: Json, *, answered: float = 0.8) -> Json:
    """A finished response: each question answered with this chance, whether it is asked or not."""
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": f"{form['url']}|{form['version']}",
        "status": random.choice(("completed", "completed", "amended", "in-progress", "stopped")),
        "subject": {"reference": "Patient/4711"},
        "item": _items(random, form["item"], answered) or [{"linkId": form["item"][0]["linkId"]}],
    }


def _items(random: Random, definitions: list[Json], answered: float) -> list[Json]:
    items = []
    for each in definitions:
        for _ in range(random.choice((1, 2)) if each.get("repeats") and each["type"] == "group" else 1):
            if random.random() > answered:
                continue
            item: Json = {"linkId": each["linkId"]}
            if random.random() < 0.7:
                item["text"] = each["text"]
            if each["type"] == "group":
                inside = _items(random, each["item"], answered)
                if not inside:
                    continue
                item["item"] = inside
            elif each["type"] != "display":
                item["answer"] = _answers(random, each, answered)
            items.append(item)
    return items


def _answers(random: Random, each: Json, answered: float) -> list[Json]:
    answers = [_answer(random, each) for _ in range(random.choice((1, 2)) if each.get("repeats") else 1)]
    if "item" in each:
        for answer in answers:
            if inside := _items(random, each["item"], answered):
                answer["item"] = inside
    return answers


def _answer(random: Random, each: Json) -> Json:
    match each["type"]:
        case "choice" | "open-choice":
            if each["type"] == "open-choice" and random.random() < 0.3:
                return {"valueString": random.choice(("behind the knee", 'a "pop"', "größer\n als"))}
            chosen = dict(random.choice(each["answerOption"])["valueCoding"])
            if random.random() < 0.2:
                chosen["display"] = "In other words"
            if random.random() < 0.2:
                chosen.pop("display", None)
            return {"valueCoding": chosen}
        case "boolean":
            return {"valueBoolean": random.random() < 0.5}
        case "integer":
            return {"valueInteger": random.choice((0, 7, 7, 36, 41))}
        case "decimal":
            return {"valueDecimal": random.choice((Decimal("36.60"), Decimal("36.6"), Decimal("0.5"), 36, 41))}
        case "date":
            return {"valueDate": random.choice(("2026-03-01", "2026-03", "2026", "2024-02-29"))}
        case "dateTime":
            return {"valueDateTime": random.choice(("2026-03-01T10:00:00Z", "2026-03-01"))}
        case "time":
            return {"valueTime": "10:30:00"}
        case "url":
            return {"valueUri": "https://sural.example/a"}
        case "quantity":
            unit = random.choice(({"unit": "kg"}, {"unit": "kg", "system": UCUM, "code": "kg"}, {}))
            return {"valueQuantity": {"value": random.choice((Decimal("12.50"), 12, 99)), **unit}}
        case "reference":
            return {"valueReference": {"reference": "Patient/4711"}}
        case _:
            return {"valueString": random.choice(("torn", "it tore when I ran", "1.5, 2.5"))}

"""JSON that is well-formed, and FHIR that is not: what malformed.py sends besides broken text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

Json = dict[str, Any]

XHTML: Final = '<div xmlns="http://www.w3.org/1999/xhtml">'
LAUGHS: Final = "<!DOCTYPE l [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(12)
)


def wrong_contents(response: Json) -> Iterator[tuple[str, Json]]:
    """One fault each."""
    page = response["item"][0]

    def items(*each: Json) -> Json:
        return {**response, "item": list(each)}

    def answer(**value: Any) -> Json:
        return items({**page, "item": [{"linkId": "age_years", "answer": [value]}]})

    yield from {
        "another resource": {**response, "resourceType": "Patient"},
        "a resource type that is none": {**response, "resourceType": "Banana"},
        "a resource type in small letters": {**response, "resourceType": "questionnaireresponse"},
        "a status that is none": {**response, "status": "banana"},
        "a status with a space": {**response, "status": "completed "},
        "a status in capitals": {**response, "status": "COMPLETED"},
        "an unknown element": {**response, "colour": "red"},
        "an element of R5": {**response, "identifier": [response["identifier"]]},
        "a misspelt element": {**response, "auhtored": "2026-01-01"},
        "30 February": {**response, "authored": "2026-02-30"},
        "month 13": {**response, "authored": "2026-13-01"},
        "hour 24": {**response, "authored": "2026-01-01T24:00:00Z"},
        "no seconds": {**response, "authored": "2026-01-01T10:00Z"},
        "no zone": {**response, "authored": "2026-01-01T10:00:00"},
        "the year 0": {**response, "authored": "0000"},
        "a date with slashes": {**response, "authored": "01/02/2026"},
        "a number as date": {**response, "authored": 1767225600},
        "an id with a slash": {**response, "id": "a/b"},
        "an id of 65 characters": {**response, "id": "a" * 65},
        "a canonical with a space": {**response, "questionnaire": "https://sural.example/a form"},
        "a language that is empty": {**response, "language": ""},
        "implicitRules": {**response, "implicitRules": "https://example.org/rules"},
        "a modifierExtension": {**response, "modifierExtension": [{"url": "urn:x", "valueBoolean": True}]},
        "an extension without url": {**response, "extension": [{"valueBoolean": True}]},
        "an extension without content": _extended(response),
        "an extension with two values": _extended(response, valueCode="a", valueDate="2026"),
        "an extension with value and extensions": _extended(
            response, valueCode="a", extension=[{"url": "y", "valueCode": "b"}]
        ),
        "_status that is a string": {**response, "_status": "a"},
        "_item": {**response, "_item": [{"id": "a"}]},
        "a reference to nothing": {**response, "subject": {}},
        "a reference to a wrong type": {**response, "author": {"reference": "Medication/1"}},
        "a reference that is none": {**response, "subject": {"reference": "Patient 1"}},
        "a reference to an unknown type": {**response, "subject": {"reference": "Banana/1"}},
        "a reference to what is not contained": {**response, "subject": {"reference": "#p"}},
        "a contained resource without id": {**response, "contained": [{"resourceType": "Patient"}]},
        "a contained resource that nobody names": {**response, "contained": [{"resourceType": "Patient", "id": "p"}]},
        "a contained resource in another": {
            **response,
            "subject": {"reference": "#p"},
            "contained": [
                {"resourceType": "Patient", "id": "p", "contained": [{"resourceType": "Patient", "id": "q"}]}
            ],
        },
        "contained that is no resource": {**response, "contained": [7]},
        "two contained resources with one id": {
            **response,
            "subject": {"reference": "#p"},
            "contained": [{"resourceType": "Patient", "id": "p"}] * 2,
        },
        "a narrative with a script": _narrative(response, f"{XHTML}<script>alert(1)</script></div>"),
        "a narrative with onclick": _narrative(response, f'{XHTML}<p onclick="a()">b</p></div>'),
        "a narrative with a javascript link": _narrative(response, f'{XHTML}<a href="java\nscript:a()">b</a></div>'),
        "a narrative that is not closed": _narrative(response, f"{XHTML}<p>a</div>"),
        "a narrative with an external entity": _narrative(
            response, '<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + f"{XHTML}&e;</div>"
        ),
        "a narrative of a billion laughs": _narrative(response, f"{LAUGHS}]>{XHTML}&m;</div>"),
        "a narrative without status": {**response, "text": {"div": f"{XHTML}a</div>"}},
        "a narrative without text": _narrative(response, f"{XHTML}</div>"),
        "an item without linkId": items({"text": "a"}),
        "an item with answer and items": items({**page, "answer": [{"valueBoolean": True}]}),
        "an unknown linkId": items(page, {"linkId": "banana", "answer": [{"valueBoolean": True}]}),
        "a question at the top": items({"linkId": "age_years", "answer": [{"valueInteger": 40}]}),
        "an item twice": items(page, page),
        "an answer of another type": answer(valueString="40"),
        "an answer with two values": answer(valueInteger=40, valueString="40"),
        "an answer with an unknown value": answer(valueBanana=1),
        "an answer beyond 32 bits": answer(valueInteger=2**31),
        "an age of 1,000 years": answer(valueInteger=1000),
        "an age below zero": answer(valueInteger=-1),
        "an answer as text of a number": answer(valueInteger="40"),
        "an answer with a fraction": answer(valueInteger=40.5),
        "an empty answer": answer(),
        "a display that is blank": answer(valueCoding={"code": "a", "display": "\u00a0"}),
        "an attachment that is not base64": answer(valueAttachment={"contentType": "a/b", "data": "@@@"}),
        "a quantity with code and no system": answer(valueQuantity={"value": 1, "code": "kg"}),
        "no questionnaire": {name: value for name, value in response.items() if name != "questionnaire"},
        "an unknown questionnaire": {**response, "questionnaire": "https://example.org/Questionnaire/1|1"},
        "an unknown version": {**response, "questionnaire": f"{response['questionnaire']}.banana"},
        "no subject": {name: value for name, value in response.items() if name != "subject"},
        "an identifier of 2,000 characters": {**response, "identifier": {"value": "a" * 2_000}},
    }.items()


def _narrative(response: Json, div: str) -> Json:
    return {**response, "text": {"status": "generated", "div": div}}


def _gated(response: Json, *, groups: int, answers: int) -> Json:
    """A group sent again and again, whose questions are asked only after certain answers to a question before it."""
    names = ("morning_stiffness_min", "psoriasis", "dactylitis", "gout_known", "rheumatoid_arthritis", "lupus")
    group = {"linkId": "joints", "item": [{"linkId": name} for name in names]}
    none = {
        "valueCoding": {"system": "https://sural.example/fhir/CodeSystem/posterior-lower-limb-answer", "code": "none"}
    }
    pain = {"linkId": "pain", "item": [{"linkId": "location_other", "answer": [none] * answers}]}
    return {**response, "status": "completed", "item": [pain] + [group] * groups}


def _extended(response: Json, **value: Any) -> Json:
    return {**response, "extension": [{"url": "urn:x", **value}]}


def heavy_contents(response: Json) -> Iterator[tuple[str, Json]]:
    """As much as fits, of what costs most to judge and to explain."""
    page = response["item"][0]
    patient = {"resourceType": "Patient", "id": "p", "name": [{"family": "a"}]}
    long = 60_000
    yield from {
        "1,900 unknown items": {**response, "item": [{"linkId": f"x{number}"} for number in range(1_900)]},
        "1,900 times the same item": {**response, "item": [page] + [{"linkId": page["linkId"]}] * 1_900},
        "1,900 misplaced items": {**response, "item": [{"linkId": "age_years"}] * 1_900},
        "10,000 answers to one question": {
            **response,
            "item": [{**page, "item": [{"linkId": "age_years", "answer": [{"valueInteger": 1}] * 10_000}]}],
        },
        "190 groups that ask one question with 3,900 answers": _gated(response, groups=190, answers=3_900),
        "20,000 wrong values": {**response, "item": [{"linkId": 7, "text": []}] * 20_000},
        "8,000 contained resources with one id": {**response, "contained": [patient] * 8_000},
        "8,000 contained resources that nobody names": {
            **response,
            "contained": [{**patient, "id": f"p{number}"} for number in range(8_000)],
        },
        "8,000 references to nothing": {**response, "basedOn": [{"reference": f"#p{n}"} for n in range(8_000)]},
        "20,000 extensions": {**response, "extension": [{"url": "urn:x"}] * 20_000},
        "5,000 names for a patient": {**response, "contained": [{**patient, "name": [{"family": ""}] * 5_000}]},
        "a narrative of 20,000 open elements": _narrative(response, XHTML + "<p>" * 20_000),
        "a narrative of 60,000 characters of &": _narrative(response, f"{XHTML}{'&' * long}</div>"),
        "a narrative of 5,000 attributes": _narrative(
            response, XHTML + "<p" + "".join(f' a{number}="1"' for number in range(5_000)) + "/></div>"
        ),
        "a code of 60,000 blanks": {**response, "status": "a " * (long // 2)},
        "a date of 60,000 digits": {**response, "authored": "2" * long},
        "a URI of 60,000 characters and a blank": {**response, "questionnaire": "a" * long + " "},
        "a reference of 60,000 slashes": {**response, "subject": {"reference": "http://" + "/" * long}},
        "base64 of 60,000 signs and one that is none": _extended(response, valueBase64Binary="A" * (long - 1) + "!"),
        "a time of 60,000 digits after the point": _extended(response, valueTime="10:00:00." + "1" * long + "x"),
        "a media type of 60,000 parameters": _extended(
            response, valueAttachment={"contentType": f"a/b{';a=b' * 15_000};"}
        ),
        "an OID of 60,000 numbers": _extended(response, valueOid="urn:oid:1" + ".1" * 30_000 + "x"),
    }.items()

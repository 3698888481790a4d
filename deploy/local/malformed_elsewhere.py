"""Hostile bodies for the other addresses that take one: Bundles, Questionnaires, updates, operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

Json = dict[str, Any]

URL: Final = "https://example.org/Questionnaire/hostile"
CHAIN: Final = 1_500


def wrong_bundles(response: Json) -> Iterator[tuple[str, Json]]:
    """Transactions that cannot be carried out, and what is no transaction."""
    create = {"request": {"method": "POST", "url": "QuestionnaireResponse"}}

    def transaction(*entries: Json) -> Json:
        return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}

    yield from {
        "no Bundle": response,
        "no type": {"resourceType": "Bundle"},
        "a collection": {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": response}]},
        "a searchset with requests": {"resourceType": "Bundle", "type": "searchset", "entry": [create]},
        "an empty entry": transaction({}),
        "an entry without request": transaction({"resource": response}),
        "a method that is none": transaction({"request": {"method": "STEAL", "url": "Patient"}}),
        "a resource that is none": transaction({**create, "resource": 7}),
        "a create without a resource": transaction(create),
        "a wrong resource": transaction({**create, "resource": {**response, "status": "banana"}}),
        "a resource of another type": transaction({**create, "resource": {"resourceType": "Patient"}}),
        "an address elsewhere": transaction(
            {"request": {"method": "GET", "url": "https://example.org/fhir/Patient/1"}}
        ),
        "an address that climbs": transaction({"request": {"method": "GET", "url": "../../etc/passwd"}}),
        "one fullUrl twice": transaction(*[{**create, "fullUrl": "urn:uuid:1", "resource": response}] * 2),
        "a Bundle in a Bundle": transaction({**create, "resource": transaction({**create, "resource": response})}),
        "nested Bundles": _nested(transaction, 30),
        "2,000 wrong entries": transaction(*[{"request": {"method": "GET", "url": ""}}] * 2_000),
        "6,000 empty entries": transaction(*[{}] * 6_000),
        "100 responses that are wrong": transaction(*[{**create, "resource": {**response, "status": "a"}}] * 100),
    }.items()


def _nested(transaction: Any, levels: int) -> Json:
    inner: Json = transaction()
    for _ in range(levels):
        inner = transaction({"resource": inner, "request": {"method": "POST", "url": "Bundle"}})
    return inner


def wrong_questionnaires() -> Iterator[tuple[str, Json]]:
    """Forms that must not be published: most could not be judged, some could not even be walked."""

    def form(*items: Json, **more: Any) -> Json:
        head = {"resourceType": "Questionnaire", "url": URL, "version": "1", "status": "active"}
        return {**head, **more, "item": list(items)}

    def asked(link_id: str, gate: str = "", **more: Any) -> Json:
        condition = {"enableWhen": [{"question": gate, "operator": "=", "answerBoolean": True}]} if gate else {}
        return {"linkId": link_id, "type": "boolean", "text": link_id, **condition, **more}

    deep: Json = asked("leaf")
    for number in range(45):
        deep = {"linkId": f"g{number}", "type": "group", "item": [deep]}
    yield from {
        "a status that is none": form(asked("a"), status="banana"),
        "a type that is none": form(asked("a", type="banana")),
        "a linkId twice": form(asked("a"), asked("a")),
        "an empty group": form({"linkId": "a", "type": "group"}),
        "a gate that is not there": form(asked("a", gate="b")),
        "a gate that gates itself": form(asked("a", gate="a")),
        "a circle of gates": form(asked("a", gate="b"), asked("b", gate="c"), asked("c", gate="a")),
        f"{CHAIN} gates in a row": form(asked("q0"), *(asked(f"q{n}", gate=f"q{n - 1}") for n in range(1, CHAIN))),
        f"{CHAIN} gates in a circle": form(
            *(asked(f"q{n}", gate=f"q{n - 1 if n else CHAIN - 1}") for n in range(CHAIN))
        ),
        "1,900 items with one linkId": form(*[asked("a")] * 1_900),
        "1,900 items without type": form(*({"linkId": f"q{number}"} for number in range(1_900))),
        "2,001 items": form(*(asked(f"q{number}") for number in range(2_001))),
        "45 groups in each other, and a wrong one": form(deep, {"linkId": "a", "type": "group"}),
        "a choice of nothing": form({"linkId": "a", "type": "choice", "answerOption": []}),
        "options for a boolean": form(asked("a", answerOption=[{"valueString": "a"}])),
        "a display that is required": form({"linkId": "a", "type": "display", "required": True}),
        "20,000 options, one of them empty": form(
            {"linkId": "a", "type": "choice", "answerOption": [*[{"valueInteger": 1}] * 14_000, {}]}
        ),
    }.items()

"""What the terminology operations answer, from a CodeSystem or a ValueSet with its expansion. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Json = dict[str, Any]


class Coded(NamedTuple):
    """What somebody asks about: a code of a system, and the words that they have for it."""

    system: str
    code: str
    display: str | None = None


def looked_up(system: Mapping[str, Any], code: str) -> Json | None:
    """What a CodeSystem says of a code, as Parameters; None when it has no such code."""
    for concept in system["concept"]:
        if concept["code"] == code:
            return _parameters(
                {"name": "name", "valueString": system["name"]},
                {"name": "version", "valueString": system["version"]},
                {"name": "display", "valueString": concept["display"]},
                *(_designation(one["value"]) for one in concept.get("designation", ())),
                *([_property("definition", concept["definition"])] if "definition" in concept else []),
                *(_marked(one) for one in concept.get("property", ())),
            )
    return None


def validated(coded: Coded, contains: Iterable[Mapping[str, Any]]) -> Json:
    """Whether a code is among those of an expansion, as Parameters. Other words than its own are a message."""
    for entry in contains:
        if (entry["system"], entry["code"]) == (coded.system, coded.code):
            right = coded.display in (None, entry["display"])
            message = [] if right else [{"name": "message", "valueString": "The display is not the one of this code."}]
            shown = {"name": "display", "valueString": entry["display"]}
            return _parameters({"name": "result", "valueBoolean": right}, *message, shown)
    message = [{"name": "message", "valueString": "The code is not in it, or not with this system."}]
    return _parameters({"name": "result", "valueBoolean": False}, *message)


def expanded(value_set: Mapping[str, Any], *, text: str, offset: int, count: int | None) -> Json:
    """The ValueSet with those codes of its expansion whose words or code hold the text; of these one page."""
    expansion = value_set["expansion"]
    wanted = text.casefold()
    found = [
        one for one in expansion["contains"] if wanted in one["display"].casefold() or wanted in one["code"].casefold()
    ]
    page = found[offset:] if count is None else found[offset : offset + count]
    new = {"timestamp": expansion["timestamp"], "total": len(found)}
    if offset or count is not None:
        new["offset"] = offset
    return {**value_set, "expansion": new | ({"contains": page} if page else {})}


def _parameters(*parameters: Json) -> Json:
    return {"resourceType": "Parameters", "parameter": list(parameters)}


def _designation(value: str) -> Json:
    return {"name": "designation", "part": [{"name": "value", "valueString": value}]}


def _property(code: str, value: str) -> Json:
    return {"name": "property", "part": [{"name": "code", "valueCode": code}, {"name": "value", "valueString": value}]}


def _marked(mark: Mapping[str, Any]) -> Json:
    [value] = [{name: part} for name, part in mark.items() if name.startswith("value")]
    return {"name": "property", "part": [{"name": "code", "valueCode": mark["code"]}, {"name": "value", **value}]}

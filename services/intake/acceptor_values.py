"""What an acceptor knows about the answers to one question: its listed codings, and a check per other type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from services.intake.answer_rules import find_fault
from shared.fhir.answer_values import Coding, typed
from shared.fhir.primitives import PRIMITIVES
from shared.fhir.questionnaire import QuestionItem
from shared.fhir.strict_json import FORBIDDEN
from shared.fhir.structure import is_sound

Check = Callable[[Any], bool]
"""True if this JSON value is well-formed and permitted."""

CODED: Final = frozenset(("choice", "open-choice"))

PRIMITIVE_KINDS: Final = {
    "Boolean": "boolean",
    "Date": "date",
    "DateTime": "dateTime",
    "Decimal": "decimal",
    "Integer": "integer",
    "String": "string",
    "Time": "time",
    "Uri": "uri",
}
"""``value[x]`` by kind: the primitive type that judges it. Quantity is the only other one known here."""


def listed_codings(item: QuestionItem) -> dict[str, dict[str, str]]:
    """The options as they stand in an answer, by code. Empty if any of them is not a full and unambiguous coding."""
    found: dict[str, dict[str, str]] = {}
    for option in item.options:
        value = option.value
        if not isinstance(value, Coding) or value.system is None or value.code is None or value.code in found:
            return {}
        coding = {"system": value.system, "code": value.code}
        if value.display is not None:
            coding["display"] = value.display
        if not all(map(sound_text, coding.values())) or not is_sound(coding, "Coding"):
            return {}
        found[value.code] = coding
    return found


def checks_of(item: QuestionItem) -> dict[str, Check]:
    """JSON name -> check, for each type but Coding that may answer the item and that is known here."""
    return {f"value{kind}": _check(item, kind) for kind in item.answer_kinds if _is_known(kind)}


def answers_are_known(item: QuestionItem) -> bool:
    """True if every permitted answer has its codings or its check, so that no rule about it can be overlooked."""
    if item.type in CODED:
        return bool(listed_codings(item)) and all(kind == "Coding" or _is_known(kind) for kind in item.answer_kinds)
    return not item.options and all(map(_is_known, item.answer_kinds))


def sound_text(text: object) -> bool:
    """True for a string that may stand anywhere in a resource."""
    return type(text) is str and PRIMITIVES["string"](text) is None and FORBIDDEN.search(text) is None


def _is_known(kind: str) -> bool:
    return kind in PRIMITIVE_KINDS or kind == "Quantity"


def _check(item: QuestionItem, kind: str) -> Check:
    if kind == "Quantity":
        return lambda value: is_sound(value, "Quantity") and find_fault(item, typed("Quantity", value)) is None
    well_formed = PRIMITIVES[PRIMITIVE_KINDS[kind]]
    return lambda value: well_formed(value) is None and find_fault(item, value) is None

"""Is one answer permitted: an option of the question, in its unit, range, precision and length?

The type was checked before. A sentence names what was found and expected, never the answer itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from services.intake.patterns import matches
from shared.fhir.answer_values import AnswerValue, Coding, Quantity, is_number
from shared.fhir.enable_when import is_within
from shared.fhir.questionnaire import QuestionItem

LISTED_OPTIONS: Final = 10
"""How many permitted options a sentence names."""


class Fault(NamedTuple):
    """Why an answer is refused: our code, FHIR's issue code, and the sentence after the question's words."""

    code: str
    issue_code: str
    text: str


def find_fault(item: QuestionItem, value: AnswerValue) -> Fault | None:
    """The first rule that a value of the right type breaks, None when it breaks none."""
    if isinstance(value, Coding):
        return None if value.key in item.option_keys else _wrong_option(item, value)
    if isinstance(value, Quantity):
        return _wrong_unit(item, value) or (_wrong_number(item, value.value))
    if is_number(value) and not item.option_keys:
        return _wrong_number(item, value)
    if isinstance(value, Mapping):
        return _wrong_reference(item, value) if item.type != "attachment" else _wrong_attachment(item, value)
    if item.option_keys and item.type == "choice":
        return None if value in item.option_keys else _wrong_option(item, value)
    if isinstance(value, str) and (fault := _wrong_text(item, value)):
        return fault
    return None if is_within(item, value) else _out_of_range(item)


def _wrong_text(item: QuestionItem, value: str) -> Fault | None:
    if item.max_length is not None and len(value) > item.max_length:
        text = f"found {len(value)} characters, expected at most {item.max_length}. Shorten it"
        return Fault("max-length", "value", text)
    if item.min_length is not None and len(value) < item.min_length:
        text = f"found {len(value)} characters, expected at least {item.min_length}. Give the whole answer"
        return Fault("min-length", "value", text)
    if item.pattern is not None and not matches(item.pattern, value):
        text = "found a text of another form than the question asks for. Correct it"
        return Fault("pattern", "value", text)
    return None


def _wrong_reference(item: QuestionItem, value: Mapping[str, Any]) -> Fault | None:
    if item.option_keys and value.get("reference") not in item.option_keys:
        return _wrong_option(item, value)
    named = {str(value["type"])} if "type" in value else set(str(value.get("reference", "")).split("/")[-2:-1])
    if item.targets and named and not named & item.targets:
        text = f"found a reference to another type, expected {' or '.join(sorted(item.targets))}. Send one to these"
        return Fault("reference-target", "value", text)
    return None


def _wrong_attachment(item: QuestionItem, value: Mapping[str, Any]) -> Fault | None:
    kind = str(value.get("contentType", "")).partition(";")[0].strip().lower()
    if item.mime_types and not any(_is_kind(kind, each.lower()) for each in item.mime_types):
        text = f"found an attachment of another kind, expected {' or '.join(item.mime_types)}. Send one of these"
        return Fault("attachment-type", "value", text)
    size = value.get("size", len(str(value.get("data", ""))) * 3 // 4)
    if item.max_bytes is not None and is_number(size) and size > item.max_bytes:
        text = f"found {size} bytes, expected at most {item.max_bytes}. Send a smaller attachment"
        return Fault("attachment-size", "too-long", text)
    return None


def _is_kind(kind: str, wanted: str) -> bool:
    """`image/*` takes every image."""
    return kind == wanted or (wanted.endswith("/*") and kind.startswith(wanted[:-1]))


def _wrong_option(item: QuestionItem, value: AnswerValue) -> Fault:
    codings = [option.value for option in item.options if isinstance(option.value, Coding)]
    if isinstance(value, Coding) and any(coding.code == value.code for coding in codings):
        systems = ", ".join(dict.fromkeys(str(each.system) for each in codings if each.code == value.code))
        text = f"found a listed code with another system or none, expected {systems}. Send system and code"
        return Fault("answer-option-system", "code-invalid", text)
    listed = [words(option.value) for option in item.options]
    names = ", ".join(listed[:LISTED_OPTIONS]) + (", …" if len(listed) > LISTED_OPTIONS else "")
    text = f"found an answer that is no option, expected one of: {names}. Send a listed one"
    return Fault("answer-option", "code-invalid", text)


def _wrong_unit(item: QuestionItem, value: Quantity) -> Fault | None:
    if not item.units:
        return None
    if any(
        (value.code == unit.code and value.system == unit.system)
        if value.code
        else value.unit is not None and value.unit in (unit.code, unit.display)
        for unit in item.units
    ):
        return None
    names = ", ".join(words(unit) for unit in item.units)
    found = "another unit" if value.unit_key != (None, None) else "no unit"
    text = f"found {found}, expected one of: {names}. Send the unit that was measured in"
    return Fault("unit", "value", text)


def _wrong_number(item: QuestionItem, value: int | Decimal | None) -> Fault | None:
    if value is not None and not is_within(item, value):
        return _out_of_range(item)
    limit = item.max_decimal_places
    if limit is not None and isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        if isinstance(exponent, int) and -exponent > limit:
            text = f"found {-exponent} decimal places, expected at most {limit}. Round it"
            return Fault("decimal-places", "value", text)
    return None


def _out_of_range(item: QuestionItem) -> Fault:
    low, high = item.min_value, item.max_value
    unit = f" {words(item.unit)}" if item.unit else ""
    wanted = (
        f"{low} to {high}{unit}"
        if low is not None and high is not None
        else (f"at least {low}{unit}" if low is not None else f"at most {high}{unit}")
    )
    text = f"found a value out of range, expected {wanted}. Check the value and its unit"
    return Fault("out-of-range", "value", text)


def words(value: AnswerValue) -> str:
    """A value that the Questionnaire itself names, as people read it."""
    if isinstance(value, Coding):
        return value.code or value.display or ""
    if isinstance(value, Quantity):
        return f"{value.value} {value.unit or value.code or ''}".strip()
    return "yes" if value is True else "no" if value is False else str(value)

"""What one answer can hold, and how a held value compares with an expected one.

The two FHIR R4 elements with this choice of types are ``QuestionnaireResponse.item.answer.value[x]`` and
``Questionnaire.item.enableWhen.answer[x]`` (https://hl7.org/fhir/R4/questionnaireresponse.html).
Numbers stay ``int`` or ``Decimal``, so that 36.60 keeps its two places; dates stay the text that was sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final, NamedTuple, TypeGuard

from shared.fhir.codes import NOT_SURE

DATA_ABSENT_REASON: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

UNKNOWN_CODES: Final = frozenset({NOT_SURE, "UNK", "NI", "NASK", "NAV", "MSK", "asked-unknown", "asked-declined"})
"""Codes of HL7 v2-0532, NullFlavor and data-absent-reason that say: the answer is not known."""

COMPARISONS: Final = {"=": eq, "!=": ne, ">": gt, "<": lt, ">=": ge, "<=": le}
ORDERED_KINDS: Final = frozenset({"Integer", "Decimal", "Date", "DateTime", "Time", "Quantity"})
"""Kinds for which FHIR defines "greater than"."""

_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
_TIME_START = len("2026-01-31T")


class Coding(NamedTuple):
    """A coded answer. Two codings mean the same when their keys agree; the display is for people."""

    system: str | None
    code: str | None
    display: str | None = None

    @property
    def key(self) -> tuple[str | None, str | None]:
        """What is compared."""
        return self.system, self.code


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a unit. `comparator` ("<", ">") means that the true value is not known exactly."""

    value: Decimal | int | None
    unit: str | None = None
    system: str | None = None
    code: str | None = None
    comparator: str | None = None

    @property
    def unit_key(self) -> tuple[str | None, str | None]:
        """Coded unit when there is one, otherwise the printed unit."""
        return (self.system, self.code) if self.code else (None, self.unit)


AnswerValue = bool | int | Decimal | str | Coding | Quantity | Mapping[str, Any]
"""Mapping only for attachments and references, which are carried and never interpreted."""


def is_number(value: object) -> TypeGuard[int | Decimal]:
    """True for an exact number. A boolean is none, although Python counts with it."""
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def read_value(element: Mapping[str, Any], *, prefix: str = "value") -> tuple[str, AnswerValue] | None:
    """Kind ("Coding", "Decimal", ...) and value of a ``value[x]`` or ``answer[x]``, None when it has none."""
    coding = element.get("valueCoding")
    if isinstance(coding, dict):
        return "Coding", Coding(coding.get("system"), coding.get("code"), coding.get("display"))
    for name, raw in element.items():
        if name.startswith(prefix) and len(name) > len(prefix):
            kind = name[len(prefix) :]
            return kind, typed(kind, raw)
    return None


def typed(kind: str, raw: Any) -> AnswerValue:
    """A JSON value as the value of its kind; what does not fit its kind passes, for the type check."""
    if isinstance(raw, dict):
        if kind == "Coding":
            return Coding(raw.get("system"), raw.get("code"), raw.get("display"))
        if kind == "Quantity":
            return Quantity(
                exact(raw.get("value")),
                raw.get("unit"),
                raw.get("system"),
                raw.get("code"),
                raw.get("comparator"),
            )
        return raw
    if isinstance(raw, float):
        return Decimal(repr(raw))
    return raw if isinstance(raw, (str, int, Decimal)) else str(raw)


def exact(raw: object) -> Decimal | int | None:
    """A JSON number without loss, None for anything else. Floats come only from parsers other than ours."""
    if isinstance(raw, float):
        return Decimal(repr(raw))
    return raw if is_number(raw) else None


def is_absence(element: Mapping[str, Any]) -> bool:
    """True for an answer that says why it has no value (extension data-absent-reason): "asked, not known"."""
    parts = [element, *(part for name, part in element.items() if name.startswith("_value"))]
    return any(
        isinstance(extension, Mapping) and extension.get("url") == DATA_ABSENT_REASON
        for part in parts
        if isinstance(part, Mapping)
        for extension in part.get("extension") or ()
    )


def says_unknown(value: AnswerValue) -> bool:
    """True for "not sure" and its kin: the question was answered, the fact is not known."""
    return isinstance(value, Coding) and value.code in UNKNOWN_CODES


def compare(
    actual_kind: str, actual: AnswerValue, operator: str, expected_kind: str, expected: AnswerValue
) -> bool | None:
    """Apply one enableWhen operator (not ``exists``); None when the two cannot be compared.

    Codings compare by system and code, by code alone when the expected one has no system. Quantities compare
    only in the same unit, dates only as far as both are precise. A value of another type differs (``!=``).
    """
    pair = _comparable(actual_kind, actual, expected_kind, expected)
    if pair is None:
        return True if operator == "!=" and _kin(actual_kind) != _kin(expected_kind) else None
    if operator not in ("=", "!=") and expected_kind not in ORDERED_KINDS:
        return None
    return bool(COMPARISONS[operator](*pair))


def _kin(kind: str) -> str:
    """Kinds that compare with each other share a name."""
    return {"Integer": "number", "Decimal": "number", "DateTime": "Date", "Uri": "String"}.get(kind, kind)


def _comparable(
    actual_kind: str, actual: AnswerValue, expected_kind: str, expected: AnswerValue
) -> tuple[Any, Any] | None:
    if isinstance(expected, Coding):
        if not isinstance(actual, Coding):
            return None
        return (actual.code, expected.code) if expected.system is None else (actual.key, expected.key)
    if isinstance(expected, Quantity):
        if not isinstance(actual, Quantity) or actual.unit_key != expected.unit_key or actual.comparator:
            return None
        return None if actual.value is None or expected.value is None else (actual.value, expected.value)
    if _kin(actual_kind) != _kin(expected_kind):
        return None
    if is_number(expected):
        return (actual, expected) if is_number(actual) else None
    if isinstance(actual, str) and isinstance(expected, str) and _kin(expected_kind) == "Date":
        return comparable_dates(actual, expected)
    return (actual, expected) if type(actual) is type(expected) else None


def comparable_dates(left: str, right: str) -> tuple[Any, Any] | None:
    """Two FHIR dates or dateTimes as a pair that compares rightly; None when precision leaves it open.

    "2026-03" is before "2026-04-01", but neither before, after nor equal to "2026-03-15".
    """
    if len(left) > _TIME_START and len(right) > _TIME_START:
        try:
            instants = datetime.fromisoformat(left), datetime.fromisoformat(right)
        except ValueError:
            return None
        return instants if all(instant.tzinfo for instant in instants) else None
    known_left, known_right = _DATE.match(left), _DATE.match(right)
    if known_left is None or known_right is None:
        return None
    shared = min(len(known_left[0]), len(known_right[0]))
    if left[:shared] == right[:shared] and left != right:
        return None
    return left[:shared], right[:shared]

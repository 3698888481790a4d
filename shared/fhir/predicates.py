"""Predicates over one JSON object, from which the table of invariants is made.

All of them bear any JSON below the object: what is malformed is told elsewhere, and a rule that cannot be
judged counts as kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

Node = dict[str, Any]
Predicate = Callable[[Node], bool]
UCUM = "http://unitsofmeasure.org"


def has(node: Node, name: str) -> bool:
    """True if the element exists, also as a primitive that has extensions and no value."""
    return name in node or f"_{name}" in node


def has_choice(node: Node, name: str) -> bool:
    return any(key.lstrip("_").startswith(name) and key.lstrip("_")[len(name) :][:1].isupper() for key in node)


def entries(node: Any, name: str) -> list[Node]:
    value = node.get(name) if type(node) is dict else None
    return [entry for entry in value if type(entry) is dict] if type(value) is list else []


def part(node: Node, name: str) -> Node:
    """The object at this element; an empty one where there is none."""
    value = node.get(name)
    return value if type(value) is dict else {}


def texts(node: Node, name: str) -> set[str]:
    """The strings of an array."""
    value = node.get(name)
    return {each for each in value if type(each) is str} if type(value) is list else set()


def codings(concept: Node) -> set[tuple[str, str]]:
    """System and code of each coding of a CodeableConcept."""
    return {(str(each.get("system")), str(each.get("code"))) for each in entries(concept, "coding")}


def number(value: Any) -> Decimal | None:
    return Decimal(str(value)) if type(value) in (int, float, Decimal) else None


def distinct(values: Iterator[Any]) -> bool:
    seen: set[str] = set()
    for value in values:
        if type(value) is str:
            if value in seen:
                return False
            seen.add(value)
    return True


def in_order(start: Any, end: Any) -> bool:
    """True unless a FHIR date or dateTime `start` is certainly later than `end`."""
    if type(start) is not str or type(end) is not str:
        return True
    if "T" in start and "T" in end:
        try:
            return _moment(start) <= _moment(end)
        except ValueError:
            return True
    shared = min(len(start.partition("T")[0]), len(end.partition("T")[0]))
    if "T" in start + end and shared == len("2000-01-01"):
        return start[:shared] <= end[:shared] or _one_day_apart(start[:shared], end[:shared])
    return start[:shared] <= end[:shared]


def _moment(text: str) -> datetime:
    """For comparing only: the first and the last day of the calendar may have no date in UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _one_day_apart(later: str, earlier: str) -> bool:
    """A date has no zone: beside a date with time, one day of difference proves nothing."""
    try:
        return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).days <= 1
    except ValueError:
        return True


def low_not_above_high(node: Node) -> bool:
    low, high = part(node, "low"), part(node, "high")
    first, second = number(low.get("value")), number(high.get("value"))
    same_unit = all(low.get(key) == high.get(key) for key in ("system", "code"))
    return first is None or second is None or not same_unit or first <= second


def percent(node: Node) -> bool:
    ends = (part(node, "probabilityRange").get(name) for name in ("low", "high"))
    return all(type(end) is not dict or (end.get("code") == "%" and end.get("system") == UCUM) for end in ends if end)


def at_most_100(node: Node) -> bool:
    probability = number(node.get("probabilityDecimal"))
    return probability is None or probability <= 100


def link_ids(node: Node) -> Iterator[Any]:
    waiting = [node]
    while waiting:
        items = entries(waiting.pop(), "item")
        for item in items:
            yield item.get("linkId")
        waiting.extend(items)


def concept_codes(node: Node) -> Iterator[Any]:
    waiting = [node]
    while waiting:
        concepts = entries(waiting.pop(), "concept")
        for concept in concepts:
            yield concept.get("code")
        waiting.extend(concepts)


def group_or_display(node: Node) -> bool:
    kind, has_items = node.get("type"), bool(node.get("item"))
    return has_items if kind == "group" else not (kind == "display" and has_items)


WITH_OPTIONS = (
    "choice",
    "open-choice",
    "decimal",
    "integer",
    "date",
    "dateTime",
    "time",
    "string",
    "quantity",
)
WITH_LENGTH = ("boolean", "decimal", "integer", "string", "text", "url", "open-choice")


def ratio(node: Node) -> bool:
    both = ("numerator" in node) == ("denominator" in node)
    return both and ("numerator" in node or "extension" in node)


def positive_in_ucum(node: Node) -> bool:
    value = number(node.get("value"))
    return ucum_coded(node) and (value is None or value > 0)


def ucum_coded(node: Node) -> bool:
    return (has(node, "code") or not has(node, "value")) and (not has(node, "system") or node.get("system") == UCUM)


def whole_count(node: Node) -> bool:
    value = node.get("value")
    return ucum_coded(node) and node.get("code") in (None, "1") and type(value) not in (Decimal, float)


def parameter_content(node: Node) -> bool:
    parts = [has(node, "part"), has_choice(node, "value"), "resource" in node]
    return sum(parts) == 1


def entry_requests(node: Node) -> bool:
    expected = node.get("type") in ("batch", "transaction", "history")
    return all(("request" in entry) == expected for entry in entries(node, "entry"))


def entry_responses(node: Node) -> bool:
    expected = node.get("type") in ("batch-response", "transaction-response", "history")
    return all(("response" in entry) == expected for entry in entries(node, "entry"))


def starts_with(bundle_type: str, resource_type: str) -> Predicate:
    """A Bundle of this type has a resource of that type in its first entry."""

    def holds(node: Node) -> bool:
        found = entries(node, "entry")
        return node.get("type") != bundle_type or (
            bool(found) and part(found[0], "resource").get("resourceType") == resource_type
        )

    return holds


def value_beside_component(node: Node) -> bool:
    """No component repeats the code of an Observation that has a value itself."""
    own = codings(part(node, "code"))
    inner = (codings(part(each, "code")) for each in entries(node, "component"))
    return not has_choice(node, "value") or all(own.isdisjoint(each) for each in inner)


VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def abated_is_over(node: Node) -> bool:
    over = {(CLINICAL, code) for code in ("inactive", "resolved", "remission")}
    return not has_choice(node, "abatement") or not over.isdisjoint(codings(part(node, "clinicalStatus")))


def error_has_no_course(node: Node) -> bool:
    wrong = (VERIFICATION, "entered-in-error") in codings(part(node, "verificationStatus"))
    return not wrong or "clinicalStatus" not in node


def full_urls(node: Node) -> Iterator[Any]:
    for entry in entries(node, "entry"):
        version = part(part(entry, "resource"), "meta").get("versionId", "")
        if type(entry.get("fullUrl")) is str and type(version) is str:
            yield f"{entry['fullUrl']} {version}"


def needs(*names: str) -> Callable[[Node], bool]:
    """At least one of the elements exists."""
    return lambda node: any(has(node, name) for name in names)


def not_both(first: str, second: str) -> Callable[[Node], bool]:
    return lambda node: not (has(node, first) and has(node, second))


def one_of(first: str, second: str) -> Callable[[Node], bool]:
    return lambda node: has(node, first) != has(node, second)


def implies(first: str, second: str) -> Callable[[Node], bool]:
    return lambda node: not has(node, first) or has(node, second)


def not_negative(name: str) -> Callable[[Node], bool]:
    def holds(node: Node) -> bool:
        value = number(node.get(name))
        return value is None or value >= 0

    return holds

"""Which events of a topic a subscriber wants: `Task?patient=Patient/7391&priority=stat,urgent`. Pure.

The form is that of a search: values apart by commas are alternatives, parameters and filters must all hold. What is not
understood is refused when the Subscription is made, never passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from services.notify.alert import State
from services.notify.subscriptions.topics import PATIENT, Topic
from shared.fhir.codes import REVIEW_TAG, Urgency

Filter: TypeAlias = tuple[str, tuple[str, ...]]
"""A parameter and its alternatives."""


POSSIBLE: Mapping[str, tuple[str, ...]] = {
    "priority": ("routine", "urgent", "asap", "stat"),
    "status": tuple(State),
    "_tag": (*Urgency, REVIEW_TAG),
}
"""What a parameter can be compared with: anything else would hold for nothing, for ever, and in silence."""


class FilterError(ValueError):
    """A filter that is not understood. The text says why."""


def read_filter(text: str, topic: Topic) -> list[Filter]:
    """The conditions in one filter. Raises FilterError."""
    kind, mark, query = text.partition("?")
    if not mark or kind != topic.resource_type:
        raise FilterError(f"a filter of this topic begins with {topic.resource_type}?")
    try:
        pairs = parse_qsl(query, strict_parsing=True, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise FilterError("it cannot be read as parameters, name=value, joined by &") from None
    found = []
    for name, value in pairs:
        if name not in topic.filters:
            raise FilterError(f"this topic is filtered by {', '.join(topic.filters)}, without modifiers, and no others")
        values = tuple(value.split(","))
        if not all(values):
            raise FilterError(f"{name} has an empty value")
        if name in POSSIBLE and (odd := [each for each in values if each.rpartition("|")[2] not in POSSIBLE[name]]):
            raise FilterError(f"{name} is never {odd[0][:40]}, but one of {', '.join(POSSIBLE[name])}")
        found.append((name, values))
    return found


def wants(filters: Sequence[Filter], resource: Mapping[str, Any] | None) -> bool:
    """Whether a resource passes every filter. None: it cannot be read, and is told rather than held back."""
    return resource is None or all(
        any(_has(resource, name, value) for value in alternatives) for name, alternatives in filters
    )


def _has(resource: Mapping[str, Any], name: str, value: str) -> bool:
    if name == PATIENT:
        return _is_of(resource.get("for") or resource.get("subject") or {}, value)
    if name == "_tag":
        return any(_is_coded(tag, value) for tag in resource.get("meta", {}).get("tag", ()))
    return bool(resource.get(name) == value.rpartition("|")[2])


def _is_of(subject: Mapping[str, Any], value: str) -> bool:
    """`Patient/7391`, `7391`, or an address in full."""
    reference = str(subject.get("reference", ""))
    wanted = value if "/" in value else f"Patient/{value}"
    return reference == wanted or reference.endswith(f"/{wanted}")


def _is_coded(coding: Mapping[str, Any], value: str) -> bool:
    system, bar, code = value.rpartition("|")
    return coding.get("code") == code and (not bar or coding.get("system", "") == system)

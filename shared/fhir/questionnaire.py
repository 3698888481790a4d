"""A Questionnaire compiled once per version, so that judging a response needs no interpretation of it.

What must not be published is refused here with all reasons at once: afterwards every condition can be
evaluated, every choice has its codes, and no gate depends on itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from shared.fhir.answer_values import COMPARISONS, Coding, Quantity, compare, says_unknown
from shared.fhir.questionnaire_item import Condition, ItemReader, Option, QuestionItem
from shared.problems import ProblemError

__all__ = ["Coding", "Condition", "Option", "Quantity", "QuestionItem", "QuestionnaireIndex"]

MAX_GATE_CHAIN: Final = 50
"""Longest chain of items that gate each other; longer ones are refused rather than recursed into."""

_COMPARABLE: Final = {
    "Integer": {"Integer", "Decimal"},
    "Decimal": {"Integer", "Decimal"},
    "Date": {"Date", "DateTime"},
    "DateTime": {"Date", "DateTime"},
}


@dataclass(frozen=True, slots=True)
class QuestionnaireIndex:
    """One published version. `items` is in document order; `roots` are the top-level linkIds."""

    url: str
    version: str
    items: Mapping[str, QuestionItem]
    roots: tuple[str, ...]
    required_roots: tuple[str, ...]
    effective: tuple[str, str] = ("", "")
    """Start and end of the period in which it is meant to be used, as FHIR dateTimes; '' is open."""

    @property
    def canonical(self) -> str:
        """What a response names: ``url|version``."""
        return f"{self.url}|{self.version}"

    @classmethod
    def build(
        cls, questionnaire: Mapping[str, Any], value_sets: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    ) -> QuestionnaireIndex:
        """Compile a structurally valid R4 Questionnaire. `value_sets`: by canonical, beside those that it contains.

        Raises ProblemError with every reason why it must not be published, in document order per rule.
        """
        reader = ItemReader({**value_sets, **_contained_value_sets(questionnaire)})
        for name in ("url", "version"):
            if not questionnaire.get(name):
                reader.refuse(
                    f"{name}-missing",
                    f"A published Questionnaire needs a {name}: responses name it by url and version.",
                    "Questionnaire",
                    None,
                    issue_code="required",
                )
        items = _read_items(questionnaire, reader)
        expressions = {link_id: expression for link_id, (_, expression) in items.items()}
        compiled = _with_gates(_with_relatives({link_id: item for link_id, (item, _) in items.items()}))
        for item in compiled.values():
            _check_gates(item, compiled, reader, expressions[item.link_id])
        for link_id in _entangled(compiled):
            reader.refuse(
                "enable-when-cycle",
                f"{compiled[link_id].label}: whether it is asked depends on itself, or on more than "
                f"{MAX_GATE_CHAIN} gates in a row. Break the chain.",
                expressions[link_id],
                link_id,
            )
        if reader.problems:
            raise ProblemError(reader.problems)
        roots = tuple(item.link_id for item in compiled.values() if item.parent is None)
        return cls(
            url=questionnaire["url"],
            version=questionnaire["version"],
            items=MappingProxyType(compiled),
            roots=roots,
            required_roots=tuple(link_id for link_id in roots if compiled[link_id].required),
            effective=_effective(questionnaire),
        )


def _effective(questionnaire: Mapping[str, Any]) -> tuple[str, str]:
    period = questionnaire.get("effectivePeriod") or {}
    return str(period.get("start", "")), str(period.get("end", ""))


def _contained_value_sets(questionnaire: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {
        f"#{resource.get('id')}": resource
        for resource in questionnaire.get("contained") or ()
        if resource.get("resourceType") == "ValueSet"
    }


def _read_items(questionnaire: Mapping[str, Any], reader: ItemReader) -> dict[str, tuple[QuestionItem, str]]:
    """Every item with its FHIRPath, by linkId, in document order."""
    items: dict[str, tuple[QuestionItem, str]] = {}
    for raw, path, expression in _walk(questionnaire, (), "Questionnaire"):
        link_id = raw.get("linkId")
        if not isinstance(link_id, str) or not link_id:
            reader.refuse("link-id-missing", "An item has no linkId; give it one.", expression, None)
        elif link_id in items:
            reader.refuse(
                "duplicate-link-id",
                f"The linkId {link_id} is used more than once; each item needs its own (que-2).",
                expression,
                link_id,
            )
        else:
            item = reader.read(raw, link_id=link_id, index=len(items), path=path, expression=expression)
            items[link_id] = (item, expression)
    return items


def _walk(
    parent: Mapping[str, Any], path: tuple[str, ...], expression: str
) -> Iterator[tuple[Mapping[str, Any], tuple[str, ...], str]]:
    for number, raw in enumerate(parent.get("item") or ()):
        here = f"{expression}.item[{number}]"
        yield raw, path, here
        yield from _walk(raw, (*path, str(raw.get("linkId"))), here)


def _with_relatives(items: dict[str, QuestionItem]) -> dict[str, QuestionItem]:
    children: dict[str, list[QuestionItem]] = {link_id: [] for link_id in items}
    ancestors = {link_id: [items[name] for name in item.path if name in items] for link_id, item in items.items()}
    for item in items.values():
        if item.parent in children:
            children[item.parent].append(item)
    return {
        link_id: replace(
            item,
            children=tuple(child.link_id for child in children[link_id]),
            required_children=tuple(child.link_id for child in children[link_id] if child.required),
            gated=bool(item.enable_when) or any(above.enable_when for above in ancestors[link_id]),
            singular=not any(above.repeats or above.is_question for above in ancestors[link_id]),
        )
        for link_id, item in items.items()
    }


def _with_gates(items: dict[str, QuestionItem]) -> dict[str, QuestionItem]:
    """The items with their conditions worked out as far as possible without a response."""
    numbers: dict[str, int] = {}
    return {
        link_id: replace(
            item,
            enable_when=(
                conditions := tuple(_worked_out(each, items.get(each.question), numbers) for each in item.enable_when)
            ),
            rule=(item.enable_behavior == "any", *(each.number for each in conditions))
            if all(items[each.question].singular for each in conditions if each.question in items)
            else None,
        )
        for link_id, item in items.items()
    }


def _worked_out(condition: Condition, gate: QuestionItem | None, numbers: dict[str, int]) -> Condition:
    """The condition with its number, and its outcome for each option of its gate."""
    number = numbers.setdefault(repr(condition), len(numbers))
    outcomes: dict[object, bool | None] = {}
    for option in gate.options if gate is not None and condition.operator in COMPARISONS else ():
        holds = compare(option.kind, option.value, condition.operator, condition.kind, condition.expected)
        outcomes[option.key] = None if holds is False and says_unknown(option.value) else holds
    return replace(condition, outcomes=outcomes, number=number)


def _check_gates(item: QuestionItem, items: Mapping[str, QuestionItem], reader: ItemReader, expression: str) -> None:
    """Each condition must name a question, in a type and with a code that its answers can have."""
    for number, condition in enumerate(item.enable_when):
        where = (f"{expression}.enableWhen[{number}]", item.link_id)
        gate = items.get(condition.question)
        if gate is None or not gate.is_question:
            reader.refuse(
                "enable-when-unknown-question",
                f"{item.label}: the condition names no question of this Questionnaire; correct the linkId.",
                *where,
                issue_code="not-found",
            )
        elif condition.operator == "exists":
            continue
        elif not _COMPARABLE.get(condition.kind, {condition.kind}) & set(gate.answer_kinds):
            reader.refuse(
                "enable-when-wrong-type",
                f"{item.label}: found answer{condition.kind}, {gate.label} is answered otherwise.",
                *where,
            )
        elif gate.type == "choice" and not _can_be_answered(gate, condition):
            reader.refuse(
                "enable-when-unknown-option",
                f"{item.label}: the expected code is no option of {gate.label}; correct it.",
                *where,
                issue_code="code-invalid",
            )


def _can_be_answered(gate: QuestionItem, condition: Condition) -> bool:
    expected = condition.expected
    if not isinstance(expected, Coding):
        return expected in gate.option_keys
    if expected.system is not None:
        return expected.key in gate.option_keys
    return any(isinstance(o.value, Coding) and o.value.code == expected.code for o in gate.options)


def _entangled(items: Mapping[str, QuestionItem]) -> list[str]:
    """Items whose enablement cannot be computed: behind a cycle or too long a chain."""
    needs = {
        link_id: {
            name for name in (item.parent, *(condition.question for condition in item.enable_when)) if name in items
        }
        for link_id, item in items.items()
    }
    settled: set[str] = set()
    for _ in range(MAX_GATE_CHAIN):
        ready = {link_id for link_id, names in needs.items() if link_id not in settled and names <= settled}
        if not ready:
            break
        settled |= ready
    return [link_id for link_id in items if link_id not in settled]

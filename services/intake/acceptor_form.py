"""A Questionnaire compiled for acceptor.py: its items, what a sound answer to each looks like, its conditions.

By construction nothing is overlooked: an item with a property that is not listed in KNOWN, or that does not fit the
short walk, is not compiled, and whatever holds an item that is not compiled is looked at closer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Final, NamedTuple

from services.intake.acceptor_values import Check, answers_are_known, checks_of, listed_codings, sound_text
from shared.fhir.answer_values import AnswerValue, Coding, compare
from shared.fhir.questionnaire import Condition, Option, QuestionItem, QuestionnaireIndex
from shared.fhir.strict_json import JSON_DEPTH

KNOWN: Final = {
    QuestionItem: frozenset(
        {
            *("link_id", "type", "text", "index", "is_question", "required", "repeats", "read_only", "hidden"),
            *("parent", "path", "children", "required_children", "enable_when", "enable_behavior"),
            *(
                "options",
                "option_keys",
                "answer_kinds",
                "min_length",
                "max_length",
                "pattern",
                "min_value",
                "max_value",
            ),
            *("max_decimal_places", "unit", "units", "gated", "singular", "rule"),
        }
    ),
    Option: frozenset({"kind", "value", "exclusive"}),
    Condition: frozenset({"question", "operator", "kind", "expected", "outcomes", "number"}),
}
"""The properties that an acceptor takes into account. Any other must have its default."""

ANSWERED: Final = "an answer, whatever it is"

Key = tuple[str, str]

Given = dict[Key, list[tuple[str, AnswerValue]]]
"""What was answered: (linkId, code) of a coding; (linkId, ANSWERED) of any answer, with kind and value if not coded."""

Holds = Callable[[Given], bool]


class Whole(NamedTuple):
    """A complete item with one listed coding, its key in Given, and how many names and strings it has."""

    item: dict[str, Any]
    key: Key
    tokens: int


@dataclass(slots=True, eq=False)
class Entry:
    """One item. `wholes` is by code; `rule` is the number of its conditions in Form.rules.

    `is_gate`: conditions of other items ask for its answers.
    """

    link_id: str
    text: str | None
    index: int
    is_group: bool
    is_question: bool
    is_required: bool
    repeats: bool
    is_gate: bool
    codings: dict[str, dict[str, str]]
    checks: dict[str, Check]
    exclusive: frozenset[str]
    rule: int | None = None
    children: dict[str, Entry] = field(default_factory=dict)
    required: tuple[Entry, ...] = ()
    wholes: dict[str, Whole] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Form:
    """The compiled items that stand at the top, those that must, and every set of conditions once.

    `is_short`: judging the conditions takes no longer than reading the response. Elsewhere each of many answers may be
    compared in each of many conditions, which whoever writes a Questionnaire can make take many seconds.
    """

    roots: dict[str, Entry]
    required: tuple[Entry, ...]
    rules: tuple[Holds, ...]
    is_short: bool


def compile_form(index: QuestionnaireIndex) -> Form:
    """Items that are not compiled are left out of `roots` and `children`, but never out of `required`."""
    gates = {condition.question for item in index.items.values() for condition in item.enable_when}
    entries = {link_id: _entry(item, is_gate=link_id in gates) for link_id, item in index.items.items()}
    rules: list[Holds] = []
    numbers: dict[object, int] = {}

    def compiled(names: tuple[str, ...]) -> dict[str, Entry]:
        return {name: entries[name] for name in names if _fits(index.items[name], index)}

    for link_id, item in index.items.items():
        entry = entries[link_id]
        entry.children = compiled(item.children)
        entry.required = tuple(entries[name] for name in item.required_children)
        if item.rule is not None and item.enable_when:
            if item.rule not in numbers:
                numbers[item.rule] = len(rules)
                rules.append(_rule(item, entries))
            entry.rule = numbers[item.rule]
        if not entry.required:
            entry.wholes = {code: _whole(entry, code) for code in entry.codings}
    required = tuple(entries[name] for name in index.required_roots)
    is_short = not any(entries[name].repeats and entries[name].checks for name in gates if name in entries)
    return Form(compiled(index.roots), required, tuple(rules), is_short)


def _entry(item: QuestionItem, *, is_gate: bool) -> Entry:
    return Entry(
        link_id=item.link_id,
        text=item.text,
        index=item.index,
        is_group=item.type == "group",
        is_question=item.is_question,
        is_required=item.required,
        repeats=item.repeats,
        is_gate=is_gate,
        codings=listed_codings(item) if item.is_question else {},
        checks=checks_of(item),
        exclusive=frozenset(str(o.value.code) for o in item.options if o.exclusive and isinstance(o.value, Coding)),
    )


def _whole(entry: Entry, code: str) -> Whole:
    """As most systems send it: with the question's text and the option's display."""
    coding = entry.codings[code]
    text = {"text": entry.text} if entry.text is not None else {}
    item = {"linkId": entry.link_id, **text, "answer": [{"valueCoding": coding}]}
    return Whole(item, (entry.link_id, code), 4 + 2 * len(text) + 2 * len(coding))


def _fits(item: QuestionItem, index: QuestionnaireIndex) -> bool:
    """True if the walk takes everything into account that the Questionnaire says about this item."""
    parts: list[QuestionItem | Option | Condition] = [item, *item.options, *item.enable_when]
    if not all(map(_only_known, parts)):
        return False
    if not sound_text(item.link_id) or not (item.text is None or sound_text(item.text)):
        return False
    if item.enable_when and item.rule is None:
        return False
    above = (index.items[name] for name in item.path)
    if 6 + sum(4 if each.is_question else 2 for each in above) > JSON_DEPTH:
        return False
    return answers_are_known(item) if item.is_question else item.type in ("group", "display")


def _only_known(part: QuestionItem | Option | Condition) -> bool:
    """True if whatever is not KNOWN about it has its default."""
    known = KNOWN[type(part)]
    return all(getattr(part, each.name) == each.default for each in fields(part) if each.name not in known)


def _rule(item: QuestionItem, entries: dict[str, Entry]) -> Holds:
    """The conditions of an item as one function. Right only where every answered question is one that is asked."""
    tests = [_test(each, entries[each.question]) for each in item.enable_when]
    keys = [test for test in tests if isinstance(test, frozenset)]
    others = [test for test in tests if not isinstance(test, frozenset)]
    if item.enable_behavior == "any":
        keys = [frozenset[Key]().union(*keys)]
    if not others and len(keys) == 1:
        return _one_of(keys[0])
    if item.enable_behavior == "any":
        any_of = keys[0]
        return lambda given: not given.keys().isdisjoint(any_of) or any(holds(given) for holds in others)
    return lambda given: (
        all(not given.keys().isdisjoint(each) for each in keys) and all(holds(given) for holds in others)
    )


def _one_of(keys: frozenset[Key]) -> Holds:
    """Nearly all conditions are this: one question has one of these answers, mostly a certain one."""
    if len(keys) == 1:
        [key] = keys
        return lambda given: key in given
    return lambda given: not given.keys().isdisjoint(keys)


def _test(condition: Condition, gate: Entry) -> frozenset[Key] | Holds:
    """The keys of Given of which one suffices, or a function where that does not tell."""
    operator, kind, expected = condition.operator, condition.kind, condition.expected
    answered = (gate.link_id, ANSWERED)
    if operator == "exists":
        return frozenset({answered}) if expected is True else lambda given: answered not in given
    codes = frozenset(
        (gate.link_id, str(key[1])) for key, holds in condition.outcomes.items() if holds and isinstance(key, tuple)
    )
    if not gate.checks:
        return codes
    return lambda given: (
        not given.keys().isdisjoint(codes)
        or any(
            compare(actual_kind, actual, operator, kind, expected) is True
            for actual_kind, actual in given.get(answered, ())
        )
    )

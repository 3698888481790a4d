"""A Questionnaire compiled for acceptor.py: its items, what a sound answer to each looks like, its conditions.

By construction nothing is overlooked: an item with a property that is not listed in KNOWN, or that does not fit the
short walk, is not compiled, and whatever holds an item that is not compiled is looked at closer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from functools import reduce
from operator import or_
from typing import Any, Final, NamedTuple

from services.intake.acceptor_values import Check, answers_are_known, checks_of, listed_codings, sound_text
from shared.fhir.answer_values import COMPARISONS, AnswerValue, Coding, compare
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

Values = dict[str, list[tuple[str, AnswerValue]]]
"""By linkId: kind and value of the answers that are not coded."""

Holds = Callable[[int, Values], bool]
"""Whether conditions hold, given the bits and the values of what was answered."""


class Rule(NamedTuple):
    """The conditions of an item. Without `holds` one of the bits suffices."""

    bits: int
    holds: Holds | None


class Bits:
    """What was answered, as one number: one bit for (linkId, code) of a coding, one for (linkId, ANSWERED)."""

    def __init__(self) -> None:
        self._places: dict[Key, int] = {}

    def of(self, keys: Iterable[Key]) -> int:
        """These keys together."""
        return sum(1 << self._places.setdefault(key, len(self._places)) for key in frozenset(keys))


class Whole(NamedTuple):
    """A complete item with one listed coding: how many names and strings it has, and all that the walk notes of it."""

    item: dict[str, Any]
    tokens: int
    order: int
    is_required: bool
    given: int
    rule: int | None


@dataclass(slots=True, eq=False)
class Entry:
    """One item. `rule` is the number of its conditions in Form.rules.

    `is_gate`: conditions of other items ask for its answers; `given` are their bits by code, `answered` that of any.
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
    given: dict[str, int]
    answered: int
    rule: int | None = None
    children: Children = field(default_factory=lambda: Children({}, {}))
    required: tuple[Entry, ...] = ()


class Children(NamedTuple):
    """The compiled items of one place by linkId, and the whole items of those that have some by linkId and code."""

    entries: dict[str, Entry]
    wholes: dict[str, dict[str, Whole]]


@dataclass(frozen=True, slots=True)
class Form:
    """The compiled items that stand at the top, those that must, and every set of conditions once.

    `is_short`: judging the conditions takes no longer than reading the response. Elsewhere each of many answers may be
    compared in each of many conditions, which whoever writes a Questionnaire can make take many seconds.
    """

    roots: Children
    required: tuple[Entry, ...]
    rules: tuple[Rule, ...]
    is_short: bool


def compile_form(index: QuestionnaireIndex) -> Form:
    """Items that are not compiled are left out of `roots` and `children`, but never out of `required`."""
    bits = Bits()
    gates = {condition.question for item in index.items.values() for condition in item.enable_when}
    entries = {link_id: _entry(item, bits, is_gate=link_id in gates) for link_id, item in index.items.items()}
    rules: list[Rule] = []
    numbers: dict[object, int] = {}
    for link_id, item in index.items.items():
        entry = entries[link_id]
        entry.required = tuple(entries[name] for name in item.required_children)
        if item.rule is not None and item.enable_when:
            if item.rule not in numbers:
                numbers[item.rule] = len(rules)
                rules.append(_rule(item, entries, bits))
            entry.rule = numbers[item.rule]

    def compiled(names: tuple[str, ...]) -> Children:
        found = {name: entries[name] for name in names if _fits(index.items[name], index)}
        return Children(found, {name: _wholes(entry) for name, entry in found.items()})

    for link_id, item in index.items.items():
        entries[link_id].children = compiled(item.children)
    required = tuple(entries[name] for name in index.required_roots)
    is_short = not any(entries[name].repeats and entries[name].checks for name in gates if name in entries)
    return Form(compiled(index.roots), required, tuple(rules), is_short)


def _entry(item: QuestionItem, bits: Bits, *, is_gate: bool) -> Entry:
    codings = listed_codings(item) if item.is_question else {}
    answered = (item.link_id, ANSWERED)
    return Entry(
        link_id=item.link_id,
        text=item.text,
        index=item.index,
        is_group=item.type == "group",
        is_question=item.is_question,
        is_required=item.required,
        repeats=item.repeats,
        is_gate=is_gate,
        codings=codings,
        checks=checks_of(item),
        exclusive=frozenset(str(o.value.code) for o in item.options if o.exclusive and isinstance(o.value, Coding)),
        given={code: bits.of([(item.link_id, code), answered]) for code in codings} if is_gate else {},
        answered=bits.of([answered]) if is_gate else 0,
    )


def _wholes(entry: Entry) -> dict[str, Whole]:
    return {} if entry.required else {code: _whole(entry, code) for code in entry.codings}


def _whole(entry: Entry, code: str) -> Whole:
    """As most systems send it: with the question's text and the option's display."""
    coding = entry.codings[code]
    text = {"text": entry.text} if entry.text is not None else {}
    item = {"linkId": entry.link_id, **text, "answer": [{"valueCoding": coding}]}
    tokens = 4 + 2 * len(text) + 2 * len(coding)
    return Whole(item, tokens, entry.index, entry.is_required, entry.given.get(code, 0), entry.rule)


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


def _rule(item: QuestionItem, entries: dict[str, Entry], bits: Bits) -> Rule:
    """The conditions of an item. Right only where every answered question is one that is asked."""
    tests = [_test(each, entries[each.question], bits) for each in item.enable_when]
    some = [test for test in tests if isinstance(test, int)]
    others = [test for test in tests if not isinstance(test, int)]
    if item.enable_behavior == "any":
        some = [reduce(or_, some, 0)]
    if not others and len(some) == 1:  # nearly all conditions: one question has one of these answers
        return Rule(some[0], None)
    return Rule(0, _any_of(some[0], others) if item.enable_behavior == "any" else _all_of(some, others))


def _any_of(bits: int, others: Sequence[Holds]) -> Holds:
    def holds(given: int, values: Values) -> bool:
        if given & bits:
            return True
        for other in others:  # noqa: SIM110 - a generator costs more than what it goes through
            if other(given, values):
                return True
        return False

    return holds


def _all_of(some: Sequence[int], others: Sequence[Holds]) -> Holds:
    def holds(given: int, values: Values) -> bool:
        for bits in some:
            if not given & bits:
                return False
        for other in others:  # noqa: SIM110
            if not other(given, values):
                return False
        return True

    return holds


def _test(condition: Condition, gate: Entry, bits: Bits) -> int | Holds:
    """The bits of which one suffices, or a function where that does not tell."""
    link_id, answered = gate.link_id, gate.answered
    if condition.operator == "exists":
        return answered if condition.expected is True else lambda given, _values: given & answered == 0
    codes = bits.of(
        (link_id, str(key[1])) for key, holds in condition.outcomes.items() if holds and isinstance(key, tuple)
    )
    if not gate.checks:
        return codes
    fits = _comparison(condition)

    def holds(given: int, values: Values) -> bool:
        if given & codes:
            return True
        for kind, value in values.get(link_id, ()):  # noqa: SIM110
            if fits(kind, value):
                return True
        return False

    return holds


def _comparison(condition: Condition) -> Callable[[str, AnswerValue], bool]:
    """What `compare` says; of whole numbers, which nearly all are, without its questions about kinds."""
    operator, kind, expected = condition.operator, condition.kind, condition.expected

    def fits(actual_kind: str, actual: AnswerValue) -> bool:
        return compare(actual_kind, actual, operator, kind, expected) is True

    if kind != "Integer" or type(expected) is not int:
        return fits
    of_numbers = COMPARISONS[operator]
    return lambda actual_kind, actual: (
        of_numbers(actual, expected) if actual_kind == "Integer" and type(actual) is int else fits(actual_kind, actual)
    )

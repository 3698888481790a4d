"""One item of a Questionnaire, read once into immutable values, with everything that is wrong in it.

Implements the rules of ``Questionnaire.item`` (https://hl7.org/fhir/R4/questionnaire.html, invariants que-1
to que-12) that a response is judged by. An item that could not be judged is refused here, at publication.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from shared.fhir.answer_values import ORDERED_KINDS, AnswerValue, Coding, is_number, read_value
from shared.problems import Category, Problem

EXTENSION: Final = "http://hl7.org/fhir/StructureDefinition/"
ENABLE_WHEN_EXPRESSION: Final = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-enableWhenExpression"

ANSWER_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "boolean": ("Boolean",),
    "decimal": ("Decimal",),
    "integer": ("Integer",),
    "date": ("Date",),
    "dateTime": ("DateTime",),
    "time": ("Time",),
    "string": ("String",),
    "text": ("String",),
    "url": ("Uri",),
    "choice": ("Coding",),
    "open-choice": ("Coding", "String"),
    "attachment": ("Attachment",),
    "reference": ("Reference",),
    "quantity": ("Quantity",),
}
"""Which ``value[x]`` answers a question of each type. Groups and displays are not answered."""

LABEL_LENGTH: Final = 80


@dataclass(frozen=True, slots=True)
class Option:
    """One permitted answer. `exclusive`: no other answer beside it ("none of these")."""

    kind: str
    value: AnswerValue
    exclusive: bool = False

    @property
    def key(self) -> object:
        """What an answer must equal: system and code of a coding, the text of a reference, else the value itself."""
        if isinstance(self.value, Mapping):
            return str(self.value.get("reference"))
        return self.value.key if isinstance(self.value, Coding) else self.value


@dataclass(frozen=True, slots=True)
class Condition:
    """One ``enableWhen``: `question` names the gate. For ``exists`` the expected value is a boolean.

    `outcomes` is worked out beforehand for every option of a coded gate: True when that answer holds, False
    when it rules the item out, None when it leaves it open ("not sure"). Conditions of one Questionnaire that
    say the same have the same `number`.
    """

    question: str
    operator: str
    kind: str
    expected: AnswerValue
    outcomes: Mapping[object, bool | None] = field(default_factory=dict)
    number: int = -1


@dataclass(frozen=True, slots=True)
class QuestionItem:
    """One item as it is judged by. `path` holds its ancestors, outermost first; `index` is document order.

    Bounds are inclusive: numbers for integer, decimal and quantity, FHIR text for dates and times.
    `pattern` (extension ``regex``) must describe a whole text. `unit` is the fixed unit of a number; `units` are the
    units that a quantity may come in (empty: any). `targets` are the types that a reference may point to, `mime_types`
    and `max_bytes` those of an attachment (none: any).
    `gated`: the item or an ancestor has a condition. `singular`: there is one place where it can stand.
    `rule`: items with the same conditions share it; None when a gate can stand in several places.
    """

    link_id: str
    type: str
    text: str | None
    index: int
    is_question: bool
    required: bool = False
    repeats: bool = False
    read_only: bool = False
    hidden: bool = False
    parent: str | None = None
    path: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    required_children: tuple[str, ...] = ()
    enable_when: tuple[Condition, ...] = ()
    enable_behavior: str = "all"
    options: tuple[Option, ...] = ()
    option_keys: frozenset[object] = field(default_factory=frozenset)
    answer_kinds: tuple[str, ...] = ()
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    min_value: int | Decimal | str | None = None
    max_value: int | Decimal | str | None = None
    max_decimal_places: int | None = None
    min_occurs: int | None = None
    max_occurs: int | None = None
    unit: Coding | None = None
    units: tuple[Coding, ...] = ()
    targets: frozenset[str] = frozenset()
    mime_types: tuple[str, ...] = ()
    max_bytes: int | None = None
    gated: bool = False
    singular: bool = True
    rule: tuple[int, ...] | None = None

    @property
    def label(self) -> str:
        """The question's text, shortened to 80 characters; the linkId when it has none."""
        text = self.text or self.link_id
        return text if len(text) <= LABEL_LENGTH else f"{text[: LABEL_LENGTH - 1].rstrip()}…"


class ItemReader:
    """Reads single items of one Questionnaire and collects what is wrong with them."""

    def __init__(self, value_sets: Mapping[str, Mapping[str, Any]]) -> None:
        self.problems: list[Problem] = []
        self._value_sets = value_sets

    def refuse(
        self, code: str, message: str, expression: str, link_id: str | None, *, issue_code: str = "invariant"
    ) -> None:
        """Note one reason why the Questionnaire must not be published."""
        self.problems.append(Problem(Category.UNPROCESSABLE, code, message, expression, link_id, issue_code=issue_code))

    def read(
        self, raw: Mapping[str, Any], *, link_id: str, index: int, path: tuple[str, ...], expression: str
    ) -> QuestionItem:
        """The item without its children's names, which only the whole Questionnaire knows."""
        item_type = str(raw.get("type"))
        extensions = _extensions(raw)
        options = tuple(self._options(raw, item_type, link_id, expression))
        kinds = ANSWER_KINDS.get(item_type, ())
        if options and item_type in ("choice", "open-choice"):
            kinds = tuple(dict.fromkeys(option.kind for option in options))
            kinds += ("String",) if item_type == "open-choice" and "String" not in kinds else ()
        unit = extensions.get("questionnaire-unit")
        units = [unit, *_all(raw, "questionnaire-unitOption"), *self._unit_codes(extensions, link_id, expression)]
        if extensions.get("questionnaire-unitOpen") in ("optionsOrType", "optionsOrString"):
            units = []
        item = QuestionItem(
            link_id=link_id,
            type=item_type,
            text=raw.get("text"),
            index=index,
            is_question=item_type in ANSWER_KINDS,
            required=raw.get("required") is True,
            repeats=raw.get("repeats") is True,
            read_only=raw.get("readOnly") is True,
            hidden=extensions.get("questionnaire-hidden") is True,
            parent=path[-1] if path else None,
            path=path,
            enable_when=tuple(self._conditions(raw, link_id, expression)),
            enable_behavior=raw.get("enableBehavior", "all"),
            options=options,
            option_keys=frozenset(option.key for option in options),
            answer_kinds=kinds,
            min_length=_count(extensions.get("minLength")),
            max_length=raw.get("maxLength"),
            pattern=pattern if isinstance(pattern := extensions.get("regex"), str) else None,
            min_value=_bound(extensions.get("minValue")),
            max_value=_bound(extensions.get("maxValue")),
            max_decimal_places=_count(extensions.get("maxDecimalPlaces")),
            min_occurs=_count(extensions.get("questionnaire-minOccurs")),
            max_occurs=_count(extensions.get("questionnaire-maxOccurs")),
            unit=unit if isinstance(unit, Coding) else None,
            units=tuple(each for each in units if isinstance(each, Coding)),
            targets=frozenset(str(each) for each in _all(raw, "questionnaire-referenceResource")),
            mime_types=tuple(str(each) for each in _all(raw, "mimeType")),
            max_bytes=int(megabytes * 1_000_000) if is_number(megabytes := extensions.get("maxSize")) else None,
        )
        self._check(raw, item, expression)
        return item

    def _check(self, raw: Mapping[str, Any], item: QuestionItem, expression: str) -> None:
        """Rules that need nothing but the item itself."""
        where = (expression, item.link_id)
        if not item.is_question and item.type not in ("group", "display"):
            self.refuse(
                "unknown-item-type",
                f"{item.label}: the type is none that can be answered. Use a type of the R4 item-type list.",
                *where,
                issue_code="code-invalid",
            )
        if item.type == "group" and not raw.get("item"):
            self.refuse("empty-group", f"{item.label}: a group needs at least one item (que-1).", *where)
        if item.type == "display" and raw.get("item"):
            self.refuse("display-with-items", f"{item.label}: a display cannot hold items (que-1).", *where)
        if item.type == "display" and (item.required or item.repeats):
            self.refuse("display-required", f"{item.label}: a display is never required or repeated.", *where)
        if item.type in ("choice", "open-choice") and not item.options and "answerValueSet" not in raw:
            self.refuse(
                "choice-without-options",
                f"{item.label}: found no options, expected answerOption or a contained, expanded ValueSet.",
                *where,
            )
        if len(item.enable_when) > 1 and "enableBehavior" not in raw:
            self.refuse(
                "enable-behavior-missing",
                f"{item.label}: found several enableWhen conditions and no enableBehavior; say all or any.",
                *where,
            )
        low, high = item.min_value, item.max_value
        if is_number(low) and is_number(high) and low > high:
            self.refuse("bounds-reversed", f"{item.label}: minValue is greater than maxValue.", *where)
        for least, most in ((item.min_length, item.max_length), (item.min_occurs, item.max_occurs)):
            if least is not None and most is not None and least > most:
                self.refuse("bounds-reversed", f"{item.label}: a least length or number exceeds the most.", *where)
        if ENABLE_WHEN_EXPRESSION in _urls(raw):
            self.refuse(
                "enable-when-expression",
                f"{item.label}: enableWhenExpression is not evaluated here; use enableWhen.",
                *where,
                issue_code="not-supported",
            )

    def _options(self, raw: Mapping[str, Any], item_type: str, link_id: str, expression: str) -> Iterator[Option]:
        given, value_set = raw.get("answerOption") or (), raw.get("answerValueSet")
        if given and value_set:
            self.refuse(
                "two-option-lists",
                f"{link_id}: found answerOption and answerValueSet, expected one of them (que-4).",
                expression,
                link_id,
            )
        if (given or value_set) and item_type not in ("choice", "open-choice"):
            self.refuse(
                "options-without-choice",
                f"{link_id}: options are checked for choice and open-choice only; change the type.",
                expression,
                link_id,
            )
        for each in given:
            value = read_value(each)
            if value is not None:
                yield Option(*value, exclusive=_extensions(each).get("questionnaire-optionExclusive") is True)
        if value_set:
            codings = _expand(self._value_sets.get(value_set, {}))
            if codings is None:
                self.refuse(
                    "value-set-not-expanded",
                    f"{link_id}: the ValueSet is not contained with all its codes; list them in contained.",
                    f"{expression}.answerValueSet",
                    link_id,
                    issue_code="not-found",
                )
            yield from (Option("Coding", coding) for coding in codings or ())

    def _unit_codes(self, extensions: Mapping[str, AnswerValue], link_id: str, expression: str) -> Iterator[Coding]:
        """The units of the value set that a quantity is bound to."""
        value_set = extensions.get("questionnaire-unitValueSet")
        if not isinstance(value_set, str):
            return
        codings = _expand(self._value_sets.get(value_set, {}))
        if codings is None:
            self.refuse(
                "value-set-not-expanded",
                f"{link_id}: the ValueSet of the units is not known here with all its codes; contain it.",
                expression,
                link_id,
                issue_code="not-found",
            )
        yield from codings or ()

    def _conditions(self, raw: Mapping[str, Any], link_id: str, expression: str) -> Iterator[Condition]:
        for number, each in enumerate(raw.get("enableWhen") or ()):
            where = (f"{expression}.enableWhen[{number}]", link_id)
            value = read_value(each, prefix="answer")
            operator = each.get("operator")
            if value is None:
                self.refuse("enable-when-without-answer", f"{link_id}: it names no answer.", *where)
                continue
            kind, expected = value
            if operator == "exists" and kind != "Boolean":
                self.refuse("exists-not-boolean", f"{link_id}: exists needs answerBoolean (que-7).", *where)
            elif operator not in ("=", "!=", "exists") and kind not in ORDERED_KINDS:
                self.refuse(
                    "operator-without-order",
                    f"{link_id}: this type of answer has no order; use =, != or exists.",
                    *where,
                )
            yield Condition(str(each.get("question")), str(operator), kind, expected)


def _extensions(raw: Mapping[str, Any]) -> dict[str, AnswerValue]:
    """Values of HL7's core extensions by the last part of their URL; the first of each wins."""
    found: dict[str, AnswerValue] = {}
    for extension in raw.get("extension") or ():
        url, value = str(extension.get("url")), read_value(extension)
        if url.startswith(EXTENSION) and value is not None:
            found.setdefault(url[len(EXTENSION) :], value[1])
    return found


def _all(raw: Mapping[str, Any], name: str) -> Iterator[AnswerValue]:
    for extension in raw.get("extension") or ():
        value = read_value(extension)
        if extension.get("url") == f"{EXTENSION}{name}" and value is not None:
            yield value[1]


def _urls(raw: Mapping[str, Any]) -> set[str]:
    return {str(extension.get("url")) for extension in raw.get("extension") or ()}


def _bound(value: AnswerValue | None) -> int | Decimal | str | None:
    return value if is_number(value) or isinstance(value, str) else None


def _count(value: AnswerValue | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _expand(value_set: Mapping[str, Any]) -> tuple[Coding, ...] | None:
    """All codes of a contained ValueSet, or None when they are not all written in it."""
    expansion = value_set.get("expansion", {}).get("contains")
    if expansion:
        return tuple(_contains(expansion))
    compose = value_set.get("compose", {})
    includes = compose.get("include") or ()
    if not includes or compose.get("exclude") or any(not each.get("concept") for each in includes):
        return None
    return tuple(
        Coding(include.get("system"), concept.get("code"), concept.get("display"))
        for include in includes
        for concept in include["concept"]
    )


def _contains(entries: list[Mapping[str, Any]]) -> Iterator[Coding]:
    """Selectable codes of an expansion, depth first."""
    for entry in entries:
        if entry.get("code") and entry.get("abstract") is not True:
            yield Coding(entry.get("system"), entry["code"], entry.get("display"))
        yield from _contains(entry.get("contains") or [])

"""The sound response is recognised at once; everything else is left to those who explain.

An acceptor says "certainly sound" or "look closer", never what is wrong. What it takes, parse_resource and
check_conformance take without one problem or warning; tests/intake/test_acceptor.py tries that on thousands of
responses. Where it can, it has no rules of its own: the elements beside the items are judged by check_structure,
values by PRIMITIVES and find_fault, conditions by compare. Its speed comes from comparing whole items with what the
Questionnaire says: an item that equals the one with a listed coding is sound, without reading its parts.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from services.intake.acceptor_form import Children, Entry, Form, Rule, Values, compile_form
from services.intake.acceptor_values import sound_text
from services.intake.conformance import JUDGED
from shared.fhir.answer_values import AnswerValue, typed
from shared.fhir.plain_json import PlainJson, fractions_in, tokens_in
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.fhir.structure import check_structure

HEAD_LEVELS: Final = 10
"""How deep the elements beside `item` may nest."""


class Acceptor:
    """One Questionnaire, compiled. Many threads may use it at once."""

    def __init__(self, index: QuestionnaireIndex) -> None:
        self.index = index
        self._form = compile_form(index)

    @property
    def is_short(self) -> bool:
        """Whether `accepts` is a matter of milliseconds for every body of usual length, however hostile."""
        return self._form.is_short

    def accepts(self, plain: PlainJson) -> bool:
        """True if `plain.content` is certainly sound and fits without any remark: then it is what parse_resource reads.

        Its numbers with a fraction have become Decimal with the digits that were sent. Where it says False, the
        content must not be used.
        """
        response = plain.content
        status = response.get("status")
        if type(status) is not str or status not in JUDGED or "contained" in response:
            return False
        head = {name: value for name, value in response.items() if name != "item"}
        tokens = tokens_in(head, levels=HEAD_LEVELS)
        walk = _Walk(plain.body)
        if tokens is None or not walk.place(response.get("item"), self._form.roots, self._form.required):
            return False
        if walk.tokens + tokens + 1 != plain.tokens or not walk.agrees(self._form):
            return False
        return not check_structure(head, resource_type="QuestionnaireResponse")


class _Walk:
    """The items of one response. A method that says False means: look closer."""

    __slots__ = ("answered", "body", "fractions", "given", "hidden", "shown", "tokens", "values")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.tokens = 0
        self.answered = 0
        self.fractions: Iterator[str] | None = None
        self.given = 0
        self.values: Values = {}
        self.shown: set[int] = set()
        self.hidden: set[int] = set()

    def agrees(self, form: Form) -> bool:
        """Every answered item is asked, and every required one that is missing is not."""
        return self._all_are(form.rules, self.shown, True) and self._all_are(form.rules, self.hidden, False)

    def _all_are(self, rules: Sequence[Rule], numbers: Iterable[int], wanted: bool) -> bool:
        given, values = self.given, self.values
        for number in numbers:
            bits, holds = rules[number]
            if (given & bits != 0 if holds is None else holds(given, values)) is not wanted:
                return False
        return True

    def place(self, items: Any, expected: Children, required: tuple[Entry, ...]) -> bool:
        """The items of the response, of one group or of one answer.

        The commonest by far is a whole item, one listed coding with the texts of the Questionnaire: it is compared.
        """
        if type(items) is not list or not items:
            return False
        entries, wholes = expected
        latest, missing, tokens, answered, given = -1, len(required), 0, 0, 0
        for raw in items:
            try:
                whole = wholes[raw["linkId"]][raw["answer"][0]["valueCoding"]["code"]]
            except (KeyError, TypeError, IndexError):
                whole = None
            if whole is not None and whole.order > latest and raw == whole.item:
                latest = whole.order
                missing -= whole.is_required
                tokens += whole.tokens
                answered += 1
                given |= whole.given
                if whole.rule is not None:
                    self.shown.add(whole.rule)
                continue
            try:
                entry = entries[raw["linkId"]]
            except (KeyError, TypeError):
                return False
            if entry.index > latest:
                latest = entry.index
                missing -= entry.is_required
            elif entry.index < latest or not (entry.is_group and entry.repeats):
                return False
            if not self._item(raw, entry):
                return False
        self.tokens += tokens
        self.answered += answered
        self.given |= given
        return not missing or self._lacks(required, {raw["linkId"] for raw in items})

    def _item(self, raw: dict[str, Any], entry: Entry) -> bool:
        members, before = 1, self.answered
        self.tokens += len(raw) + 1
        if "text" in raw:
            members = 2
            self.tokens += 1
            if entry.text is None or raw["text"] != entry.text:
                return False
        if "answer" in raw:
            members += 1
            if not entry.is_question or not self._answers(raw["answer"], entry):
                return False
        elif entry.is_group:
            members += 1
            if not self.place(raw.get("item"), entry.children, entry.required):
                return False
        if len(raw) != members or (entry.is_required and self.answered == before):
            return False
        if entry.rule is not None and self.answered > before:
            self.shown.add(entry.rule)
        return True

    def _answers(self, answers: Any, entry: Entry) -> bool:
        if type(answers) is not list or not answers or (len(answers) > 1 and not entry.repeats):
            return False
        codes: set[str] = set()
        values: list[tuple[str, AnswerValue]] = []
        for answer in answers:
            if type(answer) is not dict:
                return False
            self.tokens += len(answer)
            self.answered += 1
            if "valueCoding" in answer:
                code = self._coding(answer["valueCoding"], entry)
                if code is None:
                    return False
                codes.add(code)
            else:
                value = self._value(answer, entry)
                if value is None:
                    return False
                values.append(value)
            if "item" not in answer:
                if len(answer) != 1 or (entry.required and not self._lacks(entry.required, ())):
                    return False
            elif len(answer) != 2 or not self.place(answer["item"], entry.children, entry.required):
                return False
        if len(answers) > 1 and not entry.exclusive.isdisjoint(codes):
            return False
        if entry.is_gate:
            self.given |= entry.answered
            for code in codes:
                self.given |= entry.given[code]
            self.values[entry.link_id] = values
        return True

    def _coding(self, coding: Any, entry: Entry) -> str | None:
        """The code of a listed coding, also with another display or none."""
        code = coding.get("code") if type(coding) is dict else None
        listed = entry.codings.get(code) if type(code) is str else None
        if listed is None:
            return None
        self.tokens += 2 * len(coding)
        if coding != listed:
            members = 2
            if "display" in coding:
                members = 3
                if not sound_text(coding["display"]):
                    return None
            if len(coding) != members or coding.get("system") != listed["system"]:
                return None
        return code

    def _value(self, answer: dict[str, Any], entry: Entry) -> tuple[str, AnswerValue] | None:
        """Kind and value (if others depend on it) of any other answer.

        Writes numbers with a fraction into the response as they were sent.
        """
        for name, check in entry.checks.items():
            value = answer.get(name)
            if value is None:
                continue
            if type(value) is float:
                value = answer[name] = self._exact(value)
            elif type(value) is str:
                self.tokens += 1
            elif type(value) is dict:
                self.tokens += len(value) + sum(type(part) is str for part in value.values())
                if type(value.get("value")) is float:
                    value["value"] = self._exact(value["value"])
            if not check(value):
                return None
            kind = name.removeprefix("value")
            return kind, typed(kind, value) if entry.is_gate else ""
        return None

    def _exact(self, number: float) -> Decimal | None:
        if self.fractions is None:
            self.fractions = fractions_in(self.body)
        digits = next(self.fractions, None)
        return Decimal(digits) if digits is not None and float(digits) == number else None

    def _lacks(self, required: tuple[Entry, ...], present: Container[str]) -> bool:
        """Required items that are missing may be so only if their conditions do not hold."""
        for entry in required:
            if entry.link_id not in present:
                if entry.rule is None:
                    return False
                self.hidden.add(entry.rule)
        return True

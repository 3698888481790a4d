"""Does a QuestionnaireResponse answer its Questionnaire? All problems at once, in document order.

Implements the rules of https://hl7.org/fhir/R4/questionnaireresponse.html ("must be consistent with the
Questionnaire") on a structurally valid response. A message begins with the question's own words and never
repeats an answer. How strict it is follows the status:

- completed, amended: everything is an error.
- in-progress: unanswered required questions are warnings, and so is an answer to a question whose gate is not
  answered yet: a partial form must not be refused for what comes later, it may hold an emergency.
- entered-in-error, stopped: only the shape (linkIds, places, order, repetition, type of answers).

A repeating question should be one item with several answers. Several items with one answer each lose nothing,
so they are accepted with a warning that shows the right shape. The ``regex`` extension is checked with an
engine whose time grows with the answer and no faster (patterns.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from services.intake.answer_rules import Fault, find_fault, words
from shared.fhir.answer_values import AnswerValue, Coding, is_absence
from shared.fhir.enable_when import Enablement, Node, Place, ResponseView, enablement
from shared.fhir.questionnaire import Condition, QuestionItem, QuestionnaireIndex
from shared.problems import Category, Problem, Severity

JUDGED: Final = frozenset({"completed", "amended", "in-progress"})
"""Status values whose answers are checked; in the others only the shape is."""

MOST_ERRORS: Final = 500
"""A response with more errors than this is not read to its end. Warnings do not count: an error may follow them."""

_TOKEN = re.compile(r"[A-Za-z0-9_.\-/]{1,64}")


def check_conformance(index: QuestionnaireIndex, response: dict[str, Any]) -> list[Problem]:
    """Everything in which a structurally valid response departs from its Questionnaire; empty when nothing.

    Errors and warnings are told apart by `severity`. Never raises for any such response.
    """
    checker = _Checker(index, response)
    with suppress(_EnoughError):
        checker.check_place(checker.view.root, index.required_roots, hidden=False)
    return checker.problems


class _EnoughError(Exception):
    """So many errors were found that looking for more helps nobody."""


class _Checker:
    """One walk over one response."""

    def __init__(self, index: QuestionnaireIndex, response: Mapping[str, Any]) -> None:
        self.index = index
        self.view: ResponseView = enablement(index, response)
        self.problems: list[Problem] = []
        self.errors = 0
        self.unanswered = 0
        status = response.get("status")
        self.judged = status in JUDGED
        self.in_progress = status == "in-progress"

    def report(
        self,
        code: str,
        message: str,
        expression: str,
        link_id: str | None,
        *,
        issue_code: str,
        severity: Severity = Severity.ERROR,
    ) -> None:
        self.problems.append(Problem(Category.UNPROCESSABLE, code, message, expression, link_id, severity, issue_code))
        self._count(severity)

    def _count(self, severity: Severity) -> None:
        self.errors += severity is Severity.ERROR
        if self.errors >= MOST_ERRORS:
            raise _EnoughError

    # Places: what stands where, in which order, how often, and what is missing.

    def check_place(self, place: Place, required: Sequence[str], *, hidden: bool) -> None:
        missing: list[str] = []
        if required and self.judged and not hidden:
            present = {node.link_id for node in place.nodes}
            missing = [name for name in required if name not in present]
        latest = -1
        seen: set[str] = set()
        for node in place.nodes:
            item = node.item
            if item is None:
                self._unknown(node)
                continue
            if item.parent != place.link_id:
                self._misplaced(node, item)
                continue
            while missing and self.index.items[missing[0]].index < item.index:
                self._missing(self.index.items[missing.pop(0)], place)
            if item.index < latest:
                self.report(
                    "item-order",
                    f"{item.label}: found after a later question, expected the order of the Questionnaire. "
                    "Move the item.",
                    node.expression,
                    item.link_id,
                    issue_code="structure",
                )
            latest = max(latest, item.index)
            if item.link_id not in seen:
                if item.repeats:
                    self._check_occurrences(node, item)
            elif not item.repeats:
                self.report(
                    "not-repeating",
                    f"{item.label}: found more than one item with this linkId, expected one. Send it once.",
                    node.expression,
                    item.link_id,
                    issue_code="invalid",
                )
            seen.add(item.link_id)
            self._check_node(node, item, hidden=hidden)
        for name in missing:
            self._missing(self.index.items[name], place)

    def _unknown(self, node: Node) -> None:
        link_id = node.link_id if isinstance(node.link_id, str) and _TOKEN.fullmatch(node.link_id) else None
        self.report(
            "unknown-link-id",
            f"Unknown question: found a linkId that is not in {self.index.canonical}. Correct or remove it.",
            node.expression,
            link_id,
            issue_code="structure",
        )

    def _misplaced(self, node: Node, item: QuestionItem) -> None:
        parent = f"under {item.parent}" if item.parent else "at the top level"
        self.report(
            "misplaced-item",
            f"{item.label}: found in the wrong place, expected {parent}. Nest as the Questionnaire does.",
            node.expression,
            item.link_id,
            issue_code="structure",
        )

    def _missing(self, item: QuestionItem, place: Place) -> None:
        """A required item that is not there: of a required group, its required questions are named."""
        if item.link_id in self.view.misplaced:
            return
        if self.view.state_at(item, place) is not Enablement.ENABLED:
            return
        if item.type == "group":
            before = len(self.problems)
            for name in item.required_children:
                self._missing(self.index.items[name], place)
            if len(self.problems) > before:
                return
        self._unanswered(item, place.expression)

    def _unanswered(self, item: QuestionItem, expression: str, *, at: int | None = None) -> None:
        self.unanswered += 1
        expected = "at least one answered question in this group" if item.type == "group" else "one"
        problem = Problem(
            Category.UNPROCESSABLE,
            "required",
            f"{item.label}: found no answer, expected {expected}. Answer it"
            + (" before the response is completed." if self.in_progress else "."),
            expression,
            item.link_id,
            Severity.WARNING if self.in_progress else Severity.ERROR,
            "required",
        )
        self.problems.insert(len(self.problems) if at is None else at, problem)
        self._count(problem.severity)

    def _check_occurrences(self, node: Node, item: QuestionItem) -> None:
        """Count over all items with this linkId in one place, at the first of them."""
        same = [each for each in node.place.nodes if each.link_id == item.link_id]
        if len(same) > 1 and item.is_question:
            self.report(
                "repeating-question-split",
                f"{item.label}: found several items, expected one item with several answers. "
                'Send {"linkId": ..., "answer": [{...}, {...}]}.',
                node.expression,
                item.link_id,
                issue_code="structure",
                severity=Severity.WARNING,
            )
        count = sum(len(each.answers) for each in same) if item.is_question else len(same)
        low, high = item.min_occurs or 0, item.max_occurs
        if self.judged and ((high is not None and count > high) or 0 < count < low):
            wanted = f"{low} to {high}" if high is not None else f"at least {low}"
            self.report(
                "occurrences",
                f"{item.label}: found {count} answers, expected {wanted}. Change how many are sent.",
                node.expression,
                item.link_id,
                issue_code="value",
                severity=Severity.WARNING if self.in_progress and count < low else Severity.ERROR,
            )

    # Items: may it be answered, has it the shape of its type, is it answered when it must be.

    def _check_node(self, node: Node, item: QuestionItem, *, hidden: bool) -> None:
        text = node.raw.get("text")
        if text is not None and text != item.text:
            self._wording(node, item)
        if self.judged and item.enable_when and not hidden:
            state = self.view.state_at(item, node.place)
            if state is not Enablement.ENABLED:
                hidden = True
                if _is_answered(node):
                    self._disabled(node, item, state)
        position, before = len(self.problems), self.unanswered
        if item.is_question:
            self._check_question(node, item, hidden=hidden)
        elif item.type == "group":
            self._check_group(node, item, hidden=hidden)
        else:
            self._check_display(node, item)
        told = self.unanswered > before
        if item.required and self.judged and not (hidden or told or _is_answered(node, or_absent=True)):
            self._unanswered(item, node.expression, at=position)

    def _wording(self, node: Node, item: QuestionItem) -> None:
        self.report(
            "item-text-differs",
            f"{item.label}: found another wording in item.text, expected that of the Questionnaire. "
            "Show the question as it is published.",
            f"{node.expression}.text",
            item.link_id,
            issue_code="value",
            severity=Severity.WARNING,
        )

    def _disabled(self, node: Node, item: QuestionItem, state: Enablement) -> None:
        gates = f" {'or' if item.enable_behavior == 'any' else 'and'} ".join(
            self._describe(condition) for condition in item.enable_when
        )
        waiting = self.in_progress and state is Enablement.DISABLED_UNKNOWN
        self.report(
            "enablewhen-disabled-answered",
            f"{item.label}: found an answer, expected none, because this is asked only when {gates}. "
            + ("Answer that question too." if waiting else "Correct that answer or leave this one out."),
            node.expression,
            item.link_id,
            issue_code="invalid",
            severity=Severity.WARNING if waiting else Severity.ERROR,
        )

    def _describe(self, condition: Condition) -> str:
        label = self.index.items[condition.question].label
        if condition.operator == "exists":
            return f"[{label}] is {'answered' if condition.expected is True else 'not answered'}"
        return f"[{label}] {condition.operator} {words(condition.expected)}"

    def _check_group(self, node: Node, item: QuestionItem, *, hidden: bool) -> None:
        if node.answers:
            self.report(
                "group-with-answer",
                f"{item.label}: found answers on a group, expected items. Send one item with this linkId per "
                'repetition: {"linkId": ..., "item": [...]}.',
                node.expression,
                item.link_id,
                issue_code="structure",
            )
            return
        for place in node.places:
            self.check_place(place, item.required_children, hidden=hidden)

    def _check_display(self, node: Node, item: QuestionItem) -> None:
        if node.answers or "item" in node.raw:
            self.report(
                "display-with-answer",
                f"{item.label}: found content on a text that is only displayed, expected none. Remove it.",
                node.expression,
                item.link_id,
                issue_code="structure",
            )

    def _check_question(self, node: Node, item: QuestionItem, *, hidden: bool) -> None:
        if "item" in node.raw:
            self.report(
                "question-with-items",
                f"{item.label}: found items beside the answer, expected them inside it. Send "
                '{"linkId": ..., "answer": [{..., "item": [...]}]}.',
                node.expression,
                item.link_id,
                issue_code="structure",
            )
        if len(node.answers) > 1:
            self._check_several(node, item)
        for number, given in enumerate(node.values):
            if given is not None and not _is_listed(given[1], item):
                self._check_answer(node, item, number, *given)
        for place in node.places:
            if place.answer_number is not None:
                self.check_place(place, item.required_children, hidden=hidden)

    # Answers: type, option, range.

    def _check_several(self, node: Node, item: QuestionItem) -> None:
        if not item.repeats:
            self.report(
                "not-repeating",
                f"{item.label}: found more than one answer, expected one. Send the one that holds.",
                f"{node.expression}.answer",
                item.link_id,
                issue_code="invalid",
            )
        elif self.judged and (alone := {option.key for option in item.options if option.exclusive}):
            given = [value for _, value in filter(None, node.values)]
            if any((value.key if isinstance(value, Coding) else value) in alone for value in given):
                self.report(
                    "exclusive-option",
                    f"{item.label}: found an answer that excludes all others, and others. "
                    "Expected it alone. Send one or the other.",
                    f"{node.expression}.answer",
                    item.link_id,
                    issue_code="invalid",
                )

    def _check_answer(self, node: Node, item: QuestionItem, number: int, kind: str, value: AnswerValue) -> None:
        fault: Fault | None = None
        if kind not in item.answer_kinds:
            wanted = " or ".join(f"value{each}" for each in item.answer_kinds)
            fault = Fault("answer-type", "value", f"found value{kind}, expected {wanted}. Change the type")
        elif self.judged:
            fault = find_fault(item, value)
        if fault is not None:
            self.report(
                fault.code,
                f"{item.label}: {fault.text}.",
                f"{node.expression}.answer[{number}].value",
                item.link_id,
                issue_code=fault.issue_code,
            )


def _is_listed(value: AnswerValue, item: QuestionItem) -> bool:
    """True for a coding among the options: the commonest answer, with nothing more to check."""
    return isinstance(value, Coding) and value.key in item.option_keys


def _is_answered(node: Node, *, or_absent: bool = False) -> bool:
    """True when this item or one below holds a value (or, if asked, says why it has none)."""
    for answer, value in zip(node.answers, node.values, strict=True):
        if value is not None or (or_absent and is_absence(answer)):
            return True
    return any(_is_answered(inner, or_absent=or_absent) for place in node.places for inner in place.nodes)

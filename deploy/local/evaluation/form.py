"""A form that is being filled in: which questions are open under its answers, and the finished response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from deploy.local.evaluation.mapping import Value, codes_of
from shared.fhir.answer_values import DATA_ABSENT_REASON, Coding
from shared.fhir.enable_when import Enablement, ResponseView, enablement
from shared.fhir.questionnaire import QuestionItem, QuestionnaireIndex

ABSENT = "asked-unknown"


class Form:
    """The answers by linkId, in any order. A value of None says that the question was asked and is not known."""

    def __init__(self, index: QuestionnaireIndex, answers: Mapping[str, Value | None]) -> None:
        self.index = index
        self.answers = dict(answers)
        self._view: ResponseView | None = None

    def answer(self, link_id: str, value: Value | None) -> None:
        """Give or change an answer."""
        self.answers[link_id] = value
        self._view = None

    def withdraw(self, link_id: str) -> None:
        """Take an answer back."""
        del self.answers[link_id]
        self._view = None

    def state(self, link_id: str) -> Enablement:
        """Whether the question is asked, as intake and triage judge it."""
        if self._view is None:
            self._view = enablement(self.index, self.response("in-progress"))
        return self._view.state(link_id)

    def is_open(self, link_id: str) -> bool:
        """True when the question is asked."""
        return self.state(link_id) is Enablement.ENABLED

    def response(self, status: str) -> dict[str, Any]:
        """The QuestionnaireResponse, nested and ordered as the Questionnaire is."""
        return {
            "resourceType": "QuestionnaireResponse",
            "questionnaire": self.index.canonical,
            "status": status,
            "item": list(self._items(self.index.roots)),
        }

    def _items(self, link_ids: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        for link_id in link_ids:
            item = self.index.items[link_id]
            if item.type == "group":
                if inner := list(self._items(item.children)):
                    yield {"linkId": link_id, "item": inner}
            elif link_id in self.answers:
                yield {"linkId": link_id, "answer": list(_answers(item, self.answers[link_id]))}


def _answers(item: QuestionItem, value: Value | None) -> Iterator[dict[str, Any]]:
    if value is None:
        yield {"extension": [{"url": DATA_ABSENT_REASON, "valueCode": ABSENT}]}
    elif isinstance(value, Decimal):
        yield {"valueInteger": int(value)} if item.type == "integer" else {"valueDecimal": value}
    else:
        offered = codes_of(item)
        yield from ({"valueCoding": _coding(offered[code])} for code in value)


def _coding(coding: Coding) -> dict[str, str]:
    return {name: value for name, value in coding._asdict().items() if value is not None}

"""Patients never seen: shipped examples with other answers, each different, and each allowed by its Questionnaire.

The load generator repeats seven examples, and triage keeps what came of the same values before. What it costs to assess
somebody who answers as nobody did is a figure of its own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import orjson

from deploy.local.benchmark.bodies import CALM, URGENT, body_of
from deploy.local.triage import shipped_form
from shared.fhir.answer_values import Coding
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.fhir.questionnaire_item import QuestionItem

SEED = 20261129
CHANGED = 0.3
"""The part of the answers that is another one than in the example."""


def strangers(number: int) -> list[dict[str, Any]]:
    """So many responses, the same ones every time."""
    chance = random.Random(SEED)  # noqa: S311 - the same ones every time is what is wanted
    examples = cycle([orjson.loads(body_of(name).marked("stranger")) for name in (*CALM, *URGENT)])
    forms: dict[str, _Form] = {}
    found: list[dict[str, Any]] = []
    while len(found) < number:
        example = next(examples)
        canonical = str(example["questionnaire"])
        form = forms[canonical] = forms.get(canonical) or _Form.of(shipped_form(canonical))
        found.append(example | {"item": list(form.answered(example["item"], chance))})
    return found


@dataclass(frozen=True, slots=True)
class _Form:
    """Which other answers are allowed. `gates`: questions that decide what else is asked; they keep their answers."""

    index: QuestionnaireIndex
    gates: frozenset[str]

    @classmethod
    def of(cls, index: QuestionnaireIndex) -> _Form:
        return cls(index, frozenset(one.question for item in index.items.values() for one in item.enable_when))

    def answered(self, items: list[dict[str, Any]], chance: random.Random) -> Iterator[dict[str, Any]]:
        """The items, some of those with one answer answered otherwise."""
        for item in items:
            changed = dict(item)
            if "item" in item:
                changed["item"] = list(self.answered(item["item"], chance))
            answers = item.get("answer", ())
            if len(answers) == 1 and item["linkId"] not in self.gates and chance.random() < CHANGED:
                changed["answer"] = [{**answers[0], **_other(answers[0], self.index.items[item["linkId"]], chance)}]
            yield changed


def _other(answer: Mapping[str, Any], item: QuestionItem, chance: random.Random) -> Mapping[str, Any]:
    codes = [option.value for option in item.options if isinstance(option.value, Coding)]
    if "valueBoolean" in answer:
        return {"valueBoolean": not answer["valueBoolean"]}
    if "valueCoding" in answer and codes:
        chosen = chance.choice(codes)
        return {"valueCoding": {"system": chosen.system, "code": chosen.code}}
    return {}

"""What triage can be asked about while somebody still types: the answers that the form allows. Pure.

One answer that cannot be right (an age of 400) must not keep an emergency among the others from being seen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from services.intake.conformance import check_conformance
from services.intake.judge import stops
from shared.fhir.client import exact_digits
from shared.fhir.parse import parse_resource
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.problems import Problem, ProblemError

TYPE = "QuestionnaireResponse"
_STEP = re.compile(r"\.(item|answer)\[(\d+)\]")
Path = tuple[tuple[str, int], ...]
"""From the response to an item: the names and indexes of the lists on the way."""


def sound_part(index: QuestionnaireIndex, response: Mapping[str, Any]) -> dict[str, Any] | None:
    """The response without the items that R4 or the form does not allow, and what stands below them.

    What was left out is unknown to triage, never "no". None where nothing sound is left, or where what is wrong stands
    outside of the items.
    """
    left = dict(response)
    while left.get("item"):
        wrong = _wrong(index, left)
        if not wrong:
            return left
        if None in wrong:
            return None
        before, left = left, _without(left, {path for path in wrong if path is not None})
        if left == before:
            return None
    return None


def _wrong(index: QuestionnaireIndex, response: Mapping[str, Any]) -> set[Path | None]:
    """Where the items stand in which something is wrong; None for what stands in no item."""
    try:
        read = parse_resource(orjson.dumps(response, default=exact_digits), resource_type=TYPE).resource
    except ProblemError as error:
        problems: Sequence[Problem] = error.problems
    else:
        problems = check_conformance(index, read)
    return {_item(problem) for problem in problems if stops([problem])}


def _item(problem: Problem) -> Path | None:
    """The innermost item that the problem is about."""
    steps = [(name, int(number)) for name, number in _STEP.findall(problem.expression or "")]
    while steps and steps[-1][0] != "item":
        steps.pop()
    return tuple(steps) or None


def _without(element: Mapping[str, Any], paths: set[Path]) -> dict[str, Any]:
    """The response, item or answer without the items at these paths."""
    kept = dict(element)
    for name in {path[0][0] for path in paths}:
        parts = []
        for number, part in enumerate(element[name]):
            below = {path[1:] for path in paths if path[0] == (name, number)}
            if () not in below:
                parts.append(_without(part, below) if below else part)
        kept[name] = parts
        if not parts:
            del kept[name]
    return kept

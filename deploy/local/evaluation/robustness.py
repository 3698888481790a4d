"""Robustness: a record that says one thing less must not become less urgent merely because silence was read as no."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.local.evaluation.cases import Case, without_each_fact
from deploy.local.evaluation.measures import is_under_triage
from deploy.local.evaluation.run import Evaluator, Reading
from shared.fhir.codes import Urgency

READINGS = (Reading.AS_GIVEN, Reading.WITHOUT_FLOOR)


@dataclass(frozen=True, slots=True)
class Fall:
    """A case that is within what is accepted, and below it without one of its facts."""

    case: Case
    fact: str
    before: Urgency
    after: Urgency


def falls_without_a_fact(evaluator: Evaluator, cases: Sequence[Case]) -> dict[Reading, list[Fall]]:
    """Every fall, with and without the floor for an incomplete screen. What is dropped is unknown, not denied."""
    found: dict[Reading, list[Fall]] = {reading: [] for reading in READINGS}
    for case in cases:
        before = evaluator.results(case, READINGS)
        for fact, rest in without_each_fact(case):
            for reading, after in evaluator.results(rest, READINGS).items():
                if is_under_triage(after) and not is_under_triage(before[reading]):
                    found[reading].append(Fall(case, fact, before[reading].urgency, after.urgency))
    return found

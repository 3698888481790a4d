"""`sural evaluate`: what the command does, from the file to the words."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from deploy.local.evaluation import report
from deploy.local.evaluation.cases import Case, CaseError, read_cases
from deploy.local.evaluation.measures import Judge
from deploy.local.evaluation.robustness import falls_without_a_fact
from deploy.local.evaluation.run import Evaluator, Reading, Result, open_evaluator

BAD_INPUT = 2


def evaluate_file(path: Path, *, as_json: bool, reading: str | None, drop_facts: bool) -> int:
    """Run the cases of the file and print what came out. The exit code: 0, or 2 when the file cannot be used."""
    if reading is not None and reading not in [*Reading]:
        print(f"There is no reading {reading}; choose {', '.join(Reading)}.", file=sys.stderr)
        return BAD_INPUT
    try:
        cases = read_cases(path)
        evaluator = open_evaluator()
        evaluator.check(cases)
    except CaseError as error:
        print(*error.faults, sep="\n", file=sys.stderr)
        return BAD_INPUT
    for warning in _warnings(evaluator, cases):
        print(warning, file=sys.stderr)
    judge = Judge(evaluator.names)
    results = evaluate_cases(evaluator, cases, [Reading(reading)] if reading else [*Reading])
    if as_json:
        print(orjson.dumps(report.as_json(judge, results), option=orjson.OPT_INDENT_2).decode())
    else:
        for each, found in results.items():
            print(*report.in_words(judge, each, found), sep="\n")
        print(*report.remarks(next(iter(results.values()))), sep="\n")
    if drop_facts:
        dropped = sum(len(case.facts) for case in cases)
        where = sys.stderr if as_json else sys.stdout
        print(*report.falls(falls_without_a_fact(evaluator, cases), dropped), sep="\n", file=where)
    return 0


def evaluate_cases(
    evaluator: Evaluator, cases: Sequence[Case], readings: Sequence[Reading]
) -> dict[Reading, list[Result]]:
    """Every case under these readings."""
    found = [evaluator.results(case, readings) for case in cases]
    return {reading: [one[reading] for one in found] for reading in readings}


def _warnings(evaluator: Evaluator, cases: Sequence[Case]) -> Iterator[str]:
    for case in cases:
        for fault in evaluator.names.unknown(case.gold, evaluator.mapping.scores):
            yield f"line {case.line}: case {case.id}: {fault}."

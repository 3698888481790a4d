"""What `sural triage` prints for one file: the assessment in words, or its FHIR resources."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from deploy.local.triage import in_words, triage_file
from shared.problems import ProblemError


def print_triaged(file: Path, *, as_json: bool) -> bool:
    """Print one file's outcome; its problems go to standard error. False when it cannot be assessed."""
    try:
        triaged = triage_file(file)
    except ProblemError as error:
        for problem in error.problems:
            print(f"{file}: {problem.message} {problem.expression or ''}".rstrip(), file=sys.stderr)
        return False
    for warning in triaged.warnings:
        print(f"{file}: {warning.message}", file=sys.stderr)
    if as_json:
        print(orjson.dumps(list(triaged.resources)).decode())
    else:
        print(f"{file}", *in_words(triaged.resources[0]), "", sep="\n")
    return True

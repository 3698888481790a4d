"""What `sural triage` prints for one file: the assessment in words, or its FHIR resources."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import fill

import orjson

from deploy.local.triage import Triaged, triage_file
from services.triage.predictions import Prediction, Role
from shared.problems import ProblemError

WIDEST = 110
"""Longer lines are hard to read, however wide the terminal is."""


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
        print(f"{file}", *in_words(triaged), "", sep="\n")
    return True


def in_words(triaged: Triaged) -> Iterator[str]:
    """The assessment as lines for a terminal: urgency, dangers, candidates, what is not known, what to say."""
    words, text = triaged.explanation, triaged.pack.text
    yield from _lines([words.urgency.upper(), words.disposition])
    yield from _lines(words.reasons)
    dangers = [one for one in words.predictions if one.role is Role.MUST_NOT_MISS]
    yield from _section(text("heading.flags"), [*_predicted(dangers), *_items(words.review)])
    candidates = [one for one in words.predictions if one.role is Role.CANDIDATE]
    yield from _section(text("heading.candidates"), [*_predicted(candidates), *_items(words.ranking)])
    yield from _section(text("heading.not_excluded"), _items(words.not_excluded))
    yield from _section(text("heading.changes"), _items(words.changes))
    for kind, sentences in words.advice:
        yield from _section(text(f"heading.advice.{kind.value}"), _items(sentences))
    yield from _section(text("heading.quality"), _items(words.quality))
    yield from _section(text("heading.scores"), _items(words.scores))
    yield from _section(text("heading.notes"), _items([words.limits, words.safety_net]))


def _predicted(predictions: Iterable[Prediction]) -> Iterator[str]:
    for one in predictions:
        yield wrapped(f"{one.outcome[:1].upper()}{one.outcome[1:]}", first="  * ", then="    ")
        yield from (wrapped(sentence, first="    ", then="    ") for sentence in one.rationale)


def _section(heading: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield from ("", heading, *found)


def _items(sentences: Iterable[str]) -> Iterator[str]:
    return (wrapped(sentence, first="  - ", then="    ") for sentence in sentences)


def _lines(sentences: Iterable[str]) -> Iterator[str]:
    return (wrapped(sentence) for sentence in sentences)


def wrapped(text: str, *, first: str = "", then: str = "") -> str:
    """The text in lines that fit the terminal. `first`, `then`: what the first and the other lines begin with."""
    width = min(shutil.get_terminal_size().columns, WIDEST)
    return fill(
        text, width, initial_indent=first, subsequent_indent=then, break_on_hyphens=False, break_long_words=False
    )

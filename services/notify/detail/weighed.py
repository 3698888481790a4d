"""Scores, ranked conditions and the must-not-miss panel, as triage wrote them. Pure.

The order is triage's and is normative: what must not be missed first, then candidates by support. It is a place and
"strong, moderate, weak", never a probability.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.notify.detail.parts import (
    Element,
    Reading,
    codings,
    extensions,
    first,
    parts_of,
    texts,
    urgency_or_none,
    value_of,
)
from shared.fhir.codes import CANONICAL, CS_CONDITION, EXT_SCORE, Urgency

EXT_ROLE = f"{CANONICAL}/StructureDefinition/prediction-role"
EXT_SUPPORT = f"{CANONICAL}/StructureDefinition/relative-support"
EXT_EVIDENCE = f"{CANONICAL}/StructureDefinition/evidence"
EXT_MUST_NOT_MISS = f"{CANONICAL}/StructureDefinition/must-not-miss"
MUST_NOT_MISS = "must-not-miss"
INDETERMINATE = "indeterminate"


@dataclass(frozen=True, slots=True)
class Score:
    """A score as far as it is known: least and most points that it can have, and the points of what is known.

    `outcome`: the class, or "" while what is missing could change it; `at_least`: the class that is reached already.
    """

    id: str
    title: str
    minimum: str
    maximum: str
    known: str
    outcome: str
    at_least: str
    missing: tuple[str, ...]
    exclusions: tuple[str, ...]
    citations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Weight:
    """What one finding says of a condition: `polarity` is for, against or unknown; `ratio` "": it weighs nothing."""

    polarity: str
    link_ids: tuple[str, ...]
    ratio: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A condition that triage names. `place` None: ranking was withheld, or it is no condition of the pack."""

    code: str
    outcome: str
    title: str
    danger: bool
    support: str
    place: int | None
    urgency: Urgency | None
    rationale: str
    weights: tuple[Weight, ...]

    def saying(self, polarity: str) -> tuple[Weight, ...]:
        """The findings that speak so."""
        return tuple(weight for weight in self.weights if weight.polarity == polarity)


@dataclass(frozen=True, slots=True)
class Panel:
    """Conditions that must not be missed, by what is known of each: ids of the pack, likeliest first."""

    standing: str
    conditions: tuple[str, ...]


def read_scores(resource: Element, reading: Reading) -> tuple[Score, ...]:
    """The scores that apply, in triage's order."""
    found: list[Element] = reading.one("scores", lambda: list(extensions(resource, EXT_SCORE)), [])
    return reading.each("scores", found, lambda one: _score(parts_of(one)))


def read_candidates(resource: Element, reading: Reading) -> tuple[Candidate, ...]:
    """What triage predicts, in its order."""
    return reading.each("conditions", resource.get("prediction", ()), _candidate)


def read_panel(resource: Element, reading: Reading) -> tuple[Panel, ...]:
    """The must-not-miss panel, in triage's order of standings."""

    def read() -> tuple[Panel, ...]:
        return tuple(
            Panel(standing, tuple(map(str, conditions)))
            for extension in extensions(resource, EXT_MUST_NOT_MISS)
            for standing, conditions in parts_of(extension).items()
        )

    return reading.one("must-not-miss panel", read, ())


def _score(parts: Mapping[str, list[Any]]) -> Score:
    outcome = str(first(parts, "class") or "")
    return Score(
        id=str(parts["score"][0]),
        title=str(parts["title"][0]),
        minimum=str(parts["minimum"][0]),
        maximum=str(parts["maximum"][0]),
        known=str(parts["known"][0]),
        outcome="" if outcome == INDETERMINATE else outcome,
        at_least=str(first(parts, "atLeast") or ""),
        missing=texts(parts, "unknownItem"),
        exclusions=texts(parts, "exclusion"),
        citations=texts(parts, "citation"),
    )


def _candidate(prediction: Element) -> Candidate:
    role = value_of(next(extensions(prediction, EXT_ROLE)))
    support: Mapping[str, list[Any]] = {}
    for extension in extensions(prediction, EXT_SUPPORT):
        support = parts_of(extension)
    outcome = prediction["outcome"]
    own = next(_own(outcome), {})
    return Candidate(
        code=str(own.get("code", "")),
        outcome=str(outcome.get("text") or own["display"]),
        title=str(own.get("display", "")),
        danger=role == MUST_NOT_MISS,
        support=str(first(support, "support") or ""),
        place=first(support, "rank"),
        urgency=urgency_or_none(first(support, "urgency")),
        rationale=str(prediction.get("rationale", "")),
        weights=tuple(_weight(parts_of(one)) for one in extensions(prediction, EXT_EVIDENCE)),
    )


def _own(outcome: Element) -> Iterator[Element]:
    return (coding for coding in codings(outcome) if coding.get("system") == CS_CONDITION)


def _weight(parts: Mapping[str, list[Any]]) -> Weight:
    ratio = first(parts, "likelihoodRatio")
    return Weight(
        polarity=str(parts["polarity"][0]),
        link_ids=texts(parts, "linkId"),
        ratio="" if ratio is None else f"{ratio:g}",
        sources=texts(parts, "source"),
    )

"""Scores of a pack as PlanDefinition actions: entry criterion, items with their points, classes, exclusions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from services.triage.basis import Resource, extension, number
from services.triage.engine.model import ScoreClass, ScoreDefinition
from services.triage.engine.pack import Pack
from services.triage.plan_parts import documented, when
from shared.fhir.codes import CANONICAL

EXT_SCORE_PART: Final = f"{CANONICAL}/StructureDefinition/score-part"


def score_action(pack: Pack, score: ScoreDefinition) -> Resource:
    """One score. Where its entry criterion is known to be no there are no points; where it is unknown there are."""
    action: Resource = {
        "id": f"score.{score.id}",
        "title": score.title,
        "description": f"{score.purpose} {score.population} {score.performance}",
        "action": [*_items(score), *_classes(pack, score), *_exclusions(pack, score)],
    }
    return action | when(score.applies_when) | documented(pack, score.evidence)


def _items(score: ScoreDefinition) -> Iterator[Resource]:
    for item in score.items:
        part = extension(
            EXT_SCORE_PART,
            ("points", "Decimal", number(item.points)),
            ("answeredBy", "Code", item.answered_by.value),
        )
        yield {"id": f"{score.id}.item.{item.id}", "extension": [part], "title": item.label, **when(item.when)}


def _classes(pack: Pack, score: ScoreDefinition) -> Iterator[Resource]:
    for place, one in enumerate(score.classes, start=1):
        yield {
            "id": f"{score.id}.class.{place}",
            "extension": [_bounds(one)],
            "title": one.code,
            "description": pack.text(one.text),
            **when(one.when),
        }


def _bounds(one: ScoreClass) -> Resource:
    """Inclusive bounds; one that is missing is open."""
    return extension(
        EXT_SCORE_PART,
        ("class", "Code", one.code),
        ("atLeast", "Decimal", None if one.at_least is None else number(one.at_least)),
        ("atMost", "Decimal", None if one.at_most is None else number(one.at_most)),
        ("reassures", "Boolean", True if one.reassures else None),
    )


def _exclusions(pack: Pack, score: ScoreDefinition) -> Iterator[Resource]:
    for place, exclusion in enumerate(score.exclusions, start=1):
        part = extension(
            EXT_SCORE_PART,
            ("withholds", "Code", exclusion.withholds.value),
            ("unknownCounts", "Boolean", exclusion.unknown_counts),
        )
        yield {
            "id": f"{score.id}.exclusion.{place}",
            "extension": [part],
            "title": "Exclusion",
            "description": pack.text(exclusion.text),
            **when(exclusion.when),
        }

"""Scores in words: which are worth reading for this patient, what they say, and what keeps them open.

A score that red flags use is said as soon as it has a point. Another one is said when it is known to apply and somebody
knows its items: an examination where it takes one, a clinician where it is for clinicians only. Everything else stands
in the coded result alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.triage.engine.model import Presence, Respondent
from services.triage.engine.results import ScoreResult
from services.triage.words import Words


def scores_in_words(words: Words) -> Iterator[str]:
    """One paragraph per score that is worth reading."""
    for score in words.assessment.scores:
        if score.minimum is not None and _is_said(words, score):
            yield " ".join(_score(words, score))


def _is_said(words: Words, score: ScoreResult) -> bool:
    definition = score.definition
    if definition.coded_only:
        return False
    if definition.known_points_fact in words.pack.used_points and (
        score.known_points or score.score_class or score.reached
    ):
        return True
    by_clinician = words.assessment.findings.respondent is Respondent.CLINICIAN
    return score.applies is Presence.PRESENT and score.examined and (by_clinician or not definition.clinician_only)


def _score(words: Words, score: ScoreResult) -> Iterator[str]:
    definition = score.definition
    yield _points(words, score)
    if score.score_class is not None:
        yield words.text(score.score_class.text)
    elif score.reached is not None:
        yield words.text("score.reached", text=words.text(score.reached.text))
    for text in score.exclusions:
        yield words.text(text)
    if score.score_class is None and score.reached is None and not score.exclusions:
        open_text = definition.indeterminate
        yield words.text(open_text) if open_text else words.text("score.indeterminate", title=definition.title)
    if score.unknown_items:
        labels = [item.label for item in definition.items if item.id in score.unknown_items]
        yield words.text("score.unknown_items", items=words.joined(labels))
    if score.unchecked:
        yield words.text("score.unchecked", texts=words.joined(words.text(text) for text in score.unchecked))


def _points(words: Words, score: ScoreResult) -> str:
    """Between which points it lies, the one value that it can have, or the title alone where there are no points."""
    title = score.definition.title
    if not any(item.points for item in score.definition.items):
        return words.text("score.no_points", title=title)
    if score.minimum == score.maximum:
        return words.text("score.exact", title=title, points=str(score.minimum))
    return words.text(
        "score",
        title=title,
        minimum=str(score.minimum),
        maximum=str(score.maximum),
        known=str(score.known_points),
    )

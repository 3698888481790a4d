"""Which sentences every pack must hold in texts.en.toml, and which words in braces each may use.

Short texts that flags, classes, floors and contradictions name by key are checked by the loader too; they
take no words in braces, but for the screen texts, which may use ``{items}``.
"""

from __future__ import annotations

from services.triage.engine.advice import AdviceKind
from services.triage.engine.criteria import Operator

_URGENCIES = ("emergency", "same_day", "within_2_weeks", "routine", "self_care")

REQUIRED_TEXTS: dict[str, frozenset[str]] = {
    # one answer inside a sentence, and how several are joined
    "answer": frozenset({"question", "answer"}),
    "answer.unknown": frozenset({"question"}),
    "answer.not_applicable": frozenset({"question"}),
    "answer.separator": frozenset(),
    # rationale of a prediction, one sentence per line that fired
    "finding.fired": frozenset({"text", "answers"}),
    # a more urgent line of the same flag that could not be decided
    "finding.open": frozenset({"text", "answers"}),
    # a flag that could not be decided at all
    "not_excluded": frozenset({"guards", "answers"}),
    # free text that a clinician must read
    "review": frozenset({"text"}),
    # answers that could not be used
    "quality.contradictory": frozenset(),
    "quality.out_of_range": frozenset({"question"}),
    "quality.wrong_unit": frozenset({"question"}),
    "quality.unreadable": frozenset({"question"}),
    # scores
    "score": frozenset({"title", "minimum", "maximum", "known"}),
    "score.exact": frozenset({"title", "points"}),
    "score.no_points": frozenset({"title"}),
    "score.indeterminate": frozenset({"title"}),
    "score.unknown_items": frozenset({"items"}),
    "score.reached": frozenset({"text"}),
    "score.unchecked": frozenset({"texts"}),
    # why the urgency is higher than these answers alone: an earlier assessment, wording that nobody has reviewed
    "floor.earlier": frozenset(),
    "floor.wording": frozenset(),
    # the text that every output carries
    "every_output": frozenset({"time"}),
    # page 1 alone, no flag fired: there is no urgency yet
    "disposition.none": frozenset(),
    "safety_net.none": frozenset(),
    "urgency.none": frozenset(),
    # predictions: place and support, what speaks for and against, what is not known, what to do
    "prediction.strong": frozenset({"rank"}),
    "prediction.moderate": frozenset({"rank"}),
    "prediction.weak": frozenset({"rank"}),
    "prediction.for": frozenset({"answers"}),
    "prediction.against": frozenset({"answers"}),
    "prediction.unknown": frozenset({"questions"}),
    "prediction.never_excluded": frozenset({"text"}),
    "prediction.next_step": frozenset({"text"}),
    "prediction.if_so": frozenset({"text"}),
    "prediction.likeliest": frozenset({"text"}),
    # why the urgency is what it is, where no flag and no floor says it
    "reason.conditions": frozenset({"conditions"}),
    "reason.coded": frozenset(),
    # what the order of candidates means, and what answers alone do not exclude
    "ranking.note": frozenset(),
    "ranking.withheld": frozenset(),
    "must_not_miss": frozenset({"conditions"}),
    # what would change the urgency; the value that an answer would have to have
    "change.rests_on": frozenset({"answer", "urgency"}),
    "change.not_answered": frozenset({"changes"}),
    "change.not_examined": frozenset({"changes"}),
    "change.most_telling": frozenset({"question"}),
    "change": frozenset({"question", "value", "urgency"}),
    "change.others": frozenset({"number"}),
    "change.yes": frozenset(),
    "change.no": frozenset(),
    **{f"change.{one.name.lower()}": frozenset({"value", "unit"}) for one in Operator},
    # headings of the narrative and of the advice
    **{f"heading.advice.{kind.value}": frozenset() for kind in AdviceKind},
    "heading.candidates": frozenset(),
    "heading.changes": frozenset(),
    "heading.flags": frozenset(),
    "heading.not_excluded": frozenset(),
    "heading.quality": frozenset(),
    "heading.scores": frozenset(),
    "heading.notes": frozenset(),
    # what to do, what should make the patient come back, and the urgency in words
    **{f"disposition.{urgency}": frozenset() for urgency in _URGENCIES},
    **{f"safety_net.{urgency}": frozenset() for urgency in _URGENCIES},
    **{f"urgency.{urgency}": frozenset() for urgency in _URGENCIES},
}

OPTIONAL_TEXTS = frozenset({"not_excluded.more", "not_excluded.less_urgent", "not_excluded.note"})
"""Texts that a pack may leave out; what they do is said in `explanation.py`."""

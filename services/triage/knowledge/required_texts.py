"""Which sentences every pack must hold in texts.en.toml, and which words in braces each may use.

Short texts that flags, classes, floors and contradictions name by key are checked by the loader too; they
take no words in braces, but for the screen texts, which may use ``{items}``.
"""

from __future__ import annotations

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
    # flags that are open only because nobody examined the patient, in one sentence
    "not_examined": frozenset({"flags"}),
    # free text that a clinician must read
    "review": frozenset({"text"}),
    # answers that could not be used
    "quality.contradictory": frozenset(),
    "quality.out_of_range": frozenset({"question"}),
    "quality.wrong_unit": frozenset({"question"}),
    "quality.unreadable": frozenset({"question"}),
    # scores
    "score": frozenset({"title", "minimum", "maximum", "known"}),
    "score.indeterminate": frozenset({"title"}),
    "score.unknown_items": frozenset({"items"}),
    "score.not_computed": frozenset({"title"}),
    # the text that every output carries
    "every_output": frozenset({"time"}),
    # page 1 alone, no flag fired: there is no urgency yet
    "disposition.none": frozenset(),
    "safety_net.none": frozenset(),
    "urgency.none": frozenset(),
    # headings of the narrative
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

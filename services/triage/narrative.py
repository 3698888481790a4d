"""The generated narrative of a RiskAssessment: XHTML, escaped, from the explanation's sentences alone."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from services.triage.basis import Resource
from services.triage.engine.pack import Pack
from services.triage.explanation import Explanation
from services.triage.predictions import Prediction, Role
from services.triage.words import printable


def narrative(pack: Pack, explanation: Explanation, every_output: str) -> Resource:
    """The `text` element: urgency first, then flags with their reasons, what stays open, and the notes."""
    dangers = _predictions(explanation.predictions, Role.MUST_NOT_MISS)
    dangers += [_safe(sentence) for sentence in explanation.review]
    candidates = _predictions(explanation.predictions, Role.CANDIDATE)
    notes = (explanation.limits, every_output, explanation.safety_net)
    parts = [
        f"<p><b>{_safe(explanation.urgency)}</b> {_safe(explanation.disposition)}</p>",
        *(f"<p>{_safe(reason)}</p>" for reason in explanation.reasons),
        *_section(pack.text("heading.flags"), dangers),
        *_section(pack.text("heading.candidates"), [*candidates, *map(_safe, explanation.ranking)]),
        *_section(pack.text("heading.not_excluded"), map(_safe, explanation.not_excluded)),
        *_section(pack.text("heading.changes"), map(_safe, explanation.changes)),
        *(
            part
            for kind, sentences in explanation.advice
            for part in _section(pack.text(f"heading.advice.{kind.value}"), map(_safe, sentences))
        ),
        *_section(pack.text("heading.quality"), map(_safe, explanation.quality)),
        *_section(pack.text("heading.scores"), map(_safe, explanation.scores)),
        *_section(pack.text("heading.notes"), map(_safe, notes)),
    ]
    return text_element(parts)


def text_element(parts: Iterable[str]) -> Resource:
    """A narrative of these XHTML parts."""
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{"".join(parts)}</div>'}


def paragraph(text: str) -> str:
    """One paragraph, escaped."""
    return f"<p>{_safe(text)}</p>"


def _predictions(predictions: Iterable[Prediction], role: Role) -> list[str]:
    """What is predicted and why in short: the flags' sentences, or the support; the rationale of each has all of it."""
    return [
        f"<b>{_safe(one.outcome)}</b> {_safe(' '.join(one.flagged or one.weighed[:1]))}"
        for one in predictions
        if one.role is role
    ]


def _section(heading: str, items: Iterable[str]) -> list[str]:
    rows = "".join(f"<li>{item}</li>" for item in items)
    return [f"<p><b>{_safe(heading)}</b></p><ul>{rows}</ul>"] if rows else []


def _safe(text: str) -> str:
    return escape(printable(text), quote=False)

"""The generated narrative of a RiskAssessment: XHTML, escaped, from the explanation's sentences alone.

The class of each list says what it holds, whatever the language of its heading; so does the class of an item that is
no prediction.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from services.triage.basis import Resource
from services.triage.engine.pack import Pack
from services.triage.explanation import Explanation
from services.triage.predictions import Prediction, Role
from services.triage.told import printable


def narrative(pack: Pack, explanation: Explanation, every_output: str) -> Resource:
    """The `text` element: urgency first, then flags with their reasons, what stays open, and the notes."""
    dangers = _predictions(explanation.predictions, Role.MUST_NOT_MISS)
    dangers += _items("review", explanation.review)
    candidates = _predictions(explanation.predictions, Role.CANDIDATE)
    candidates += _items("ranking", explanation.ranking)
    notes = (explanation.limits, every_output, explanation.safety_net)
    parts = [
        f"<p><b>{_safe(explanation.urgency)}</b> {_safe(explanation.disposition)}</p>",
        *(f"<p>{_safe(reason)}</p>" for reason in explanation.reasons),
        *_section(pack, "flags", dangers),
        *_section(pack, "candidates", candidates),
        *_section(pack, "not_excluded", _items("", explanation.not_excluded)),
        *_section(pack, "changes", _items("", explanation.changes)),
        *(
            part
            for kind, sentences in explanation.advice
            for part in _section(pack, f"advice.{kind.value}", _items("", sentences))
        ),
        *_section(pack, "quality", _items("", explanation.quality)),
        *_section(pack, "scores", _items("", explanation.scores)),
        *_section(pack, "notes", _items("", notes)),
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
        f"<li><b>{_safe(one.outcome)}</b> {_safe(' '.join(one.flagged or one.weighed[:1]))}</li>"
        for one in predictions
        if one.role is role
    ]


def _items(kind: str, sentences: Iterable[str]) -> list[str]:
    marked = f' class="{kind}"' if kind else ""
    return [f"<li{marked}>{_safe(sentence)}</li>" for sentence in sentences]


def _section(pack: Pack, name: str, items: list[str]) -> list[str]:
    """The list of that name under the pack's heading for it; its class is the name with a hyphen for the dot."""
    heading = _safe(pack.text(f"heading.{name}"))
    return [f'<p><b>{heading}</b></p><ul class="{name.replace(".", "-")}">{"".join(items)}</ul>'] if items else []


def _safe(text: str) -> str:
    return escape(printable(text), quote=False)

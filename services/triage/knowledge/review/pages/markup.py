"""Building blocks of the pages: headings, links, criteria with their names in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from services.triage.engine.criteria import Criterion, names_in
from services.triage.engine.criteria_text import criterion_text
from services.triage.engine.model import DerivedFact, Urgency
from services.triage.engine.pack import Pack
from services.triage.knowledge.review.edition import Edition
from shared.fhir.questionnaire import QuestionnaireIndex

RED_FLAGS: Final = "red-flags.md"
SCORES: Final = "scores.md"
CONDITIONS: Final = "conditions.md"
SAFETY: Final = "safety-rules.md"
ADVICE: Final = "advice.md"
FACTS: Final = "facts.md"
TEXTS: Final = "texts.md"
EVIDENCE: Final = "evidence.md"
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Book:
    """A pack that is being written down. `linked`: pages refer to each other; otherwise names stand alone."""

    edition: Edition
    form: QuestionnaireIndex | None
    linked: bool

    @property
    def pack(self) -> Pack:
        """The pack itself."""
        return self.edition.pack

    def link(self, text: str, page: str, heading: str) -> str:
        """The text, leading to a heading of a page."""
        return f"[{text}]({page}#{anchor(heading)})" if self.linked else text

    def sources(self, keys: Iterable[str]) -> str:
        """Evidence keys, each leading to its citation."""
        return ", ".join(self.link(key, EVIDENCE, key) for key in keys)

    def text(self, key: str) -> str:
        """The sentence of that key, its words in braces as they stand."""
        return self.pack.content.texts[key]

    def urgency(self, urgency: Urgency | None) -> str:
        """In the pack's own words."""
        return "Clinician review" if urgency is None else self.pack.text(f"urgency.{urgency.value}")

    def question(self, name: str) -> str:
        """The question behind a fact of the pack, as it is asked; its label where the form does not have it."""
        fact = self.pack.facts[name]
        item = None if self.form is None else self.form.items.get(fact.link_id)
        return fact.label if item is None or not item.text else item.text

    def meaning(self, name: str) -> str:
        """What a name of a criterion stands for, in words."""
        pack = self.pack
        if name in pack.facts:
            fact = pack.facts[name]
            return f"“{self.question(name)}”" + (" answered with No" if fact.negated else "")
        if name in pack.text_matches:
            return f"one of the listed words in “{self.question(pack.text_matches[name].fact)}”"
        computed = pack.computed[name]
        return computed.label if isinstance(computed, DerivedFact) else f"known points of: {computed.title}"

    def criterion(self, when: Criterion) -> Iterator[str]:
        """The criterion as it is written, and below it what each name stands for."""
        yield from paragraph(f"`{criterion_text(when)}`")
        for name in dict.fromkeys(names_in(when)):
            yield f"- `{name}`: {self.meaning(name)}"
        yield ""


def anchor(heading: str) -> str:
    """How a heading is linked to, by the rule that most readers of Markdown share."""
    return _NOT_IN_ANCHORS.sub("", heading.lower()).replace(" ", "-")


def heading(level: int, text: str) -> Iterator[str]:
    """A heading and the empty line after it."""
    yield f"{'#' * level} {text}"
    yield ""


def paragraph(text: str) -> Iterator[str]:
    """A paragraph and the empty line after it; nothing for an empty text."""
    if text:
        yield text
        yield ""


def items(texts: Iterable[str]) -> Iterator[str]:
    """A list and the empty line after it; nothing for an empty list."""
    found = [f"- {text}" for text in texts if text]
    if found:
        yield from found
        yield ""


def labelled(name: str, text: str) -> str:
    """``name: text``, or nothing without text."""
    return f"{name}: {text}" if text else ""

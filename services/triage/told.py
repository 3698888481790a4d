"""One answer as it is told: in a sentence, as the evidence of an issue, and as an element for machines.

What the Questionnaire itself says is told once and kept with the pack: an option in its words, or that nothing was
answered. What a sender wrote, be it free text or another display of an option, is never kept.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from typing import Final

import orjson

from services.triage.basis import Resource
from services.triage.engine.keeping import keep
from services.triage.engine.model import Finding, Visibility
from services.triage.engine.pack import Pack

ANSWER_LENGTH = 300
_BRACKETS = re.compile(r"\([^()]*\)")
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ROOM: Final = 5_000
"""How many answers are kept at most: several times as many as a form has options."""


def answer_words(finding: Finding) -> str:
    """The answer as it is shown: without control characters, and not longer than `ANSWER_LENGTH`."""
    answer = printable(finding.answer).strip()
    return answer if len(answer) <= ANSWER_LENGTH else f"{answer[:ANSWER_LENGTH]}…"


def printable(text: str) -> str:
    """The text without characters that XML (and so a narrative) cannot hold."""
    return text if text.isprintable() else _NOT_XML.sub("", text)


@lru_cache(maxsize=4096)
def without_hints(question: str) -> str:
    """A question up to the question mark, without what stands in brackets."""
    short = " ".join(_BRACKETS.sub(" ", question).split()).replace(" ?", "?").replace(" ,", ",")
    return short[: short.index("?") + 1] if "?" in short else short


class Told:
    """What is said of one answer; each way of saying it is made when it is first asked for."""

    def __init__(self, pack: Pack, name: str, finding: Finding) -> None:
        self.finding = finding
        self._pack = pack
        self._name = name
        self._asked = finding.question or pack.facts[name].label

    @cached_property
    def question(self) -> str:
        """The question as it was asked, without remarks and hints on how to answer; else the label of the fact."""
        return without_hints(self._asked) if self.finding.question else self._asked

    @cached_property
    def sentence(self) -> str:
        """Question and answer; it says so when the fact is not known or does not apply."""
        finding, text = self.finding, self._pack.text
        if finding.is_unknown:
            return text("answer.unknown", question=self.question)
        if finding.visibility in (Visibility.HIDDEN_NO, Visibility.NOT_PUT) and not finding.answer:
            return text("answer.not_applicable", question=self.question)
        return text("answer", question=self.question, answer=answer_words(finding))

    @cached_property
    def in_full(self) -> str:
        """The same with the question in full."""
        finding, text = self.finding, self._pack.text
        if finding.is_unknown or not finding.answer:
            return text("answer.unknown" if finding.is_unknown else "answer.not_applicable", question=self._asked)
        return text("answer", question=self._asked, answer=answer_words(finding))

    @cached_property
    def element(self) -> bytes:
        """As it stands in the extension of a red flag, as JSON text."""
        finding, words = self.finding, answer_words(self.finding)
        link_ids = finding.link_ids or (self._pack.facts[self._name].link_id,)
        inner: list[Resource] = [
            *[{"url": "linkId", "valueString": link_id} for link_id in link_ids],
            {"url": "question", "valueString": self._asked},
            *([{"url": "answer", "valueString": words}] if words else ()),
            {"url": "fact", "valueCode": self._name},
            *([{"url": "unknown", "valueBoolean": True}] if finding.is_unknown else ()),
        ]
        return orjson.dumps({"url": "answer", "extension": inner})


class _Kept(dict[tuple[str, int], Told]):
    """Answers by fact and by the finding, which they hold, so its id stays its own."""


def told(pack: Pack, name: str, finding: Finding) -> Told:
    """What is said of this answer to the question behind the fact."""
    kept: _Kept | None = pack.kept.get(_Kept)
    if kept is None:
        kept = pack.kept[_Kept] = _Kept()
    known = kept.get((name, id(finding)))
    if known is not None:
        return known
    made = Told(pack, name, finding)
    if finding.lasting:
        keep(kept, (name, id(finding)), made, room=ROOM)
    return made

"""How answers and questions are put into words: by the pack's texts, each answer as the person gave it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from services.triage.engine.model import Finding, Visibility
from services.triage.engine.pack import Pack
from services.triage.engine.results import Assessment
from services.triage.engine.weighing import Weighing

ANSWER_LENGTH = 300
OPEN_QUESTIONS = 3
"""How many open questions are named in one sentence; the others are counted."""
_BRACKETS = re.compile(r"\([^()]*\)")
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def answer_words(finding: Finding) -> str:
    """The answer as it is shown: without control characters, and not longer than `ANSWER_LENGTH`."""
    answer = printable(finding.answer).strip()
    return answer if len(answer) <= ANSWER_LENGTH else f"{answer[:ANSWER_LENGTH]}…"


def printable(text: str) -> str:
    """The text without characters that XML (and so a narrative) cannot hold."""
    return text if text.isprintable() else _NOT_XML.sub("", text)


@lru_cache(maxsize=4096)
def _without_hints(question: str) -> str:
    """Up to the question mark, without what stands in brackets."""
    short = " ".join(_BRACKETS.sub(" ", question).split()).replace(" ?", "?")
    return short[: short.index("?") + 1] if "?" in short else short


class Words:
    """The texts of a pack, and the questions and answers of one assessment."""

    def __init__(self, pack: Pack, assessment: Assessment) -> None:
        self.pack = pack
        self.assessment = assessment
        self.weighing = Weighing(pack, assessment)
        self._answers: dict[str, str] = {}

    def text(self, key: str, **words: str) -> str:
        """The pack's sentence of that key."""
        return self.pack.content.texts[key].format_map(words)

    def optional(self, key: str) -> str | None:
        """A sentence that a pack may leave out."""
        return self.pack.content.texts.get(key)

    def worded(self, key: str) -> str:
        """The key, or the same with the urgency of the whole assessment after it where the pack has such a text."""
        urgency = self.assessment.urgency
        own = f"{key}.{urgency.value}" if urgency is not None else key
        return own if own in self.pack.content.texts else key

    def question(self, name: str) -> str:
        """The question behind a fact as it was asked, without remarks and hints on how to answer; else its label."""
        asked = self.assessment.findings.get(name).question
        return _without_hints(asked) if asked else self.pack.facts[name].label

    def sayable(self, names: Iterable[str]) -> list[str]:
        """The facts that a sentence may name (SR-17), none twice."""
        return [name for name in dict.fromkeys(names) if name not in self.pack.confidential_facts]

    def is_unknown(self, name: str) -> bool:
        """True when the fact has no known value."""
        return self.assessment.findings.get(name).is_unknown

    def answer(self, name: str) -> str:
        """Question and answer; it says so when the fact is not known or does not apply."""
        known = self._answers.get(name)
        if known is None:
            known = self._answers[name] = self._answer(name)
        return known

    def _answer(self, name: str) -> str:
        finding = self.assessment.findings.get(name)
        question = self.question(name)
        if finding.is_unknown:
            return self.text("answer.unknown", question=question)
        if finding.visibility in (Visibility.HIDDEN_NO, Visibility.NOT_PUT) and not finding.answer:
            return self.text("answer.not_applicable", question=question)
        return self.text("answer", question=question, answer=answer_words(finding))

    def answers(self, names: Iterable[str]) -> str:
        """All of these answers, joined, none twice."""
        return self.joined(self.answer(name) for name in self.sayable(names))

    def few(self, names: Iterable[str]) -> str:
        """The first open questions, and how many more there are."""
        questions = list(dict.fromkeys(self.answer(name) for name in self.sayable(names)))
        more = len(questions) - OPEN_QUESTIONS
        if more > 0:
            word = self.optional("not_excluded.more")
            questions[OPEN_QUESTIONS:] = [f"+{more}" if word is None else f"{more} {word}"]
        return self.joined(questions)

    def joined(self, parts: Iterable[str]) -> str:
        """The parts with the pack's separator between them, none twice."""
        return self.text("answer.separator").join(dict.fromkeys(parts))

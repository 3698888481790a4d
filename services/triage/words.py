"""How answers and questions are put into words: by the pack's texts, each answer as the person gave it."""

from __future__ import annotations

from collections.abc import Iterable

from services.triage.engine.pack import Pack
from services.triage.engine.results import Assessment
from services.triage.engine.weighing import Weighing
from services.triage.told import Told, told

OPEN_QUESTIONS = 3
"""How many open questions are named in one sentence; the others are counted."""


class Words:
    """The texts of a pack, and the questions and answers of one assessment."""

    def __init__(self, pack: Pack, assessment: Assessment) -> None:
        self.pack = pack
        self.assessment = assessment
        self.weighing = Weighing(pack, assessment)
        self._told: dict[str, Told] = {}

    def text(self, key: str, **words: str) -> str:
        """The pack's sentence of that key. A question in it ends with its own mark, and with no full stop after it."""
        said = self.pack.content.texts[key].format_map(words)
        for word in words.values():
            if word.endswith("?"):
                said = said.replace(f"{word}.", word)
        return said

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
        return self._of(name).question

    def sayable(self, names: Iterable[str]) -> list[str]:
        """The facts that a sentence may name (SR-17), none twice."""
        confidential = self.pack.confidential_facts
        return [name for name in dict.fromkeys(names) if name not in confidential]

    def is_unknown(self, name: str) -> bool:
        """True when the fact has no known value."""
        return self.assessment.findings.get(name).is_unknown

    def answer(self, name: str) -> str:
        """Question and answer; it says so when the fact is not known or does not apply."""
        return self._of(name).sentence

    def option(self, name: str, code: str) -> str:
        """An answer that could have been chosen, in the words of its option where it has them."""
        words = dict(self.assessment.findings.get(name).options).get(code)
        return words or code.replace("_", " ")

    def _of(self, name: str) -> Told:
        known = self._told.get(name)
        if known is None:
            known = self._told[name] = told(self.pack, name, self.assessment.findings.get(name))
        return known

    def answers(self, names: Iterable[str]) -> str:
        """All of these answers, joined, none twice."""
        return self.joined([self._of(name).sentence for name in self.sayable(names)])

    def few(self, names: Iterable[str]) -> str:
        """The first open questions, and how many more there are."""
        questions = list(dict.fromkeys([self._of(name).sentence for name in self.sayable(names)]))
        more = len(questions) - OPEN_QUESTIONS
        if more > 0:
            word = self.optional("not_excluded.more")
            questions[OPEN_QUESTIONS:] = [f"+{more}" if word is None else f"{more} {word}"]
        return self.joined(questions)

    def joined(self, parts: Iterable[str]) -> str:
        """The parts with the pack's separator between them, none twice."""
        return self.text("answer.separator").join(dict.fromkeys(parts))

"""An assessment in words: ordered sentences from the pack's texts, each naming the answers that it stands on.

Only what a patient or carer may read is put into sentences here: lines for clinicians only are left out, and
a flag that has such a line is never named by what it guards against (SR-17). Every sentence is the pack's;
this module decides which are said, about which answers, and in which order. It is kept short, because what is
not read helps nobody: the coded result (`rule_results.py`) has every line, question and score.

Texts that a pack may leave out: `not_excluded.more` (the word after the number of further open questions),
`not_excluded.less_urgent` (names the flags that are not decided and would not be urgent, in one sentence),
`not_excluded.note` (said at the end of that list, always), and, for the text of a floor, the same key with
".emergency" (and so on) after it: what is said instead when the whole assessment is of that urgency.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.triage.engine.criteria import names_in
from services.triage.engine.model import Finding, ScoreDefinition, Urgency, Visibility
from services.triage.engine.pack import Pack
from services.triage.engine.results import Assessment, FlagResult, FloorKind, LineVerdict, ScoreResult

ANSWER_LENGTH = 300
OPEN_QUESTIONS = 3
"""How many of the questions that keep a flag open are named; the others are counted."""
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Prediction:
    """A red flag that fired: what must not be missed, and why, one sentence per line and reason."""

    result: FlagResult
    outcome: str
    rationale: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """All sentences of an assessment, in the order in which they are read."""

    urgency: str
    disposition: str
    predictions: tuple[Prediction, ...]
    review: tuple[str, ...]
    reasons: tuple[str, ...]
    not_excluded: tuple[str, ...]
    quality: tuple[str, ...]
    scores: tuple[str, ...]
    limits: str
    every_output: str
    safety_net: str


def explain(pack: Pack, assessment: Assessment, *, answered_on: str) -> Explanation:
    """Put the assessment into words. `answered_on`: when the answers were given, as it is shown."""
    words = _Words(pack, assessment)
    key = "none" if assessment.urgency is None else assessment.urgency.value
    return Explanation(
        urgency=pack.text(f"urgency.{key}"),
        disposition=pack.text(f"disposition.{key}"),
        predictions=tuple(words.predictions()),
        review=tuple(words.review()),
        reasons=tuple(words.reasons()),
        not_excluded=tuple(words.not_excluded()),
        quality=tuple(words.quality()),
        scores=tuple(words.scores()),
        limits=pack.head.note,
        every_output=pack.text("every_output", time=answered_on),
        safety_net=pack.text(f"safety_net.{key}"),
    )


def answer_words(finding: Finding) -> str:
    """The answer as it is shown: without control characters, and not longer than `ANSWER_LENGTH`."""
    answer = printable(finding.answer).strip()
    return answer if len(answer) <= ANSWER_LENGTH else f"{answer[:ANSWER_LENGTH]}…"


def printable(text: str) -> str:
    """The text without characters that XML (and so a narrative) cannot hold."""
    return _NOT_XML.sub("", text)


class _Words:
    def __init__(self, pack: Pack, assessment: Assessment) -> None:
        self._pack = pack
        self._assessment = assessment

    def predictions(self) -> Iterator[Prediction]:
        for result in self._assessment.fired:
            fired = _public(line for line in result.fired if line.line.urgency is not None)
            if not fired:
                continue
            sentences = list(self._fired(fired))
            sentences += [self._open("finding.open", line.facts, line.line.text) for line in _public(result.open)]
            confidential = result.flag.confidential
            outcome = self._pack.text(fired[0].line.text) if confidential else result.flag.guards
            yield Prediction(result, outcome, tuple(sentences))

    def review(self) -> Iterator[str]:
        for result in self._assessment.fired:
            for line in _public(result.fired):
                if line.line.urgency is None:
                    yield self._pack.text("review", text=self._pack.text(line.line.text))

    def reasons(self) -> Iterator[str]:
        """Why the urgency has a floor: incomplete screen, and the pack's own rules."""
        for floor in self._assessment.floors:
            if floor.kind is FloorKind.SCREEN:
                items = self._joined(self._question(name) for name in floor.facts)
                yield self._pack.text(floor.text, items=items)
            elif floor.kind is FloorKind.RULE:
                yield self._pack.text(self._worded(floor.text))

    def not_excluded(self) -> Iterator[str]:
        """The urgent flags with what keeps them open, the others by name, and what all of this does not mean."""
        open_flags = [result for result in self._assessment.undecided if not result.flag.confidential]
        in_short = self._optional("not_excluded.less_urgent")
        by_name: dict[str, None] = {}
        for result in open_flags:
            if result.examination_only:
                continue
            urgent = _public(line for line in result.lines if _is_urgent(line))
            if in_short is not None and not urgent:
                by_name[result.flag.guards] = None
                continue
            facts = dict.fromkeys(name for line in urgent or result.lines for name in line.facts)
            yield self._pack.text("not_excluded", guards=result.flag.guards, answers=self._few(facts))
        if by_name:
            yield f"{in_short}: {self._joined(by_name)}."
        unexamined = dict.fromkeys(result.flag.guards for result in open_flags if result.examination_only)
        if unexamined:
            yield self._pack.text("not_examined", flags=self._joined(unexamined))
        note = self._optional("not_excluded.note")
        if note is not None:
            yield note

    def quality(self) -> Iterator[str]:
        quality = self._assessment.quality
        if quality.contradictions or quality.conflicting:
            yield self._pack.text("quality.contradictory")
        for contradiction in quality.contradictions:
            yield self._pack.text(contradiction.text)
        if quality.conflicting:
            yield self._pack.text(self._pack.content.safety.conflict_text)
            yield self._answers(quality.conflicting)
        for name in quality.unusable:
            problem = self._assessment.findings.get(name).problem
            if problem is not None:
                yield self._pack.text(f"quality.{problem.value}", question=self._question(name))

    def scores(self) -> Iterator[str]:
        """The scores that a flag uses. One that is for information only stands in the coded result."""
        for score in self._assessment.scores:
            if _is_used(self._pack, score.definition):
                yield from self._score(score)

    def _score(self, score: ScoreResult) -> Iterator[str]:
        title = score.definition.title
        if score.minimum is None:
            yield self._pack.text("score.not_computed", title=title)
            return
        yield self._pack.text(
            "score",
            title=title,
            minimum=str(score.minimum),
            maximum=str(score.maximum),
            known=str(score.known_points),
        )
        for text in score.exclusions:
            yield self._pack.text(text)
        if score.score_class is not None:
            yield self._pack.text(score.score_class.text)
        elif not score.exclusions:
            yield self._pack.text("score.indeterminate", title=title)
        if score.unknown_items:
            labels = [item.label for item in score.definition.items if item.id in score.unknown_items]
            yield self._pack.text("score.unknown_items", items=self._joined(labels))

    def _fired(self, lines: Iterable[LineVerdict]) -> Iterator[str]:
        """One sentence per line, the most urgent first. An answer is named where it is first used, and once."""
        named: set[str] = set()
        for line in lines:
            text = self._pack.text(line.line.text)
            facts = [name for name in line.facts if name not in named]
            named.update(facts)
            yield self._pack.text("finding.fired", text=text, answers=self._answers(facts)) if facts else text

    def _open(self, key: str, facts: Iterable[str], text: str) -> str:
        return self._pack.text(key, text=self._pack.text(text), answers=self._few(facts))

    def _few(self, names: Iterable[str]) -> str:
        """The first open questions, and how many more there are."""
        questions = list(dict.fromkeys(self._answer(name) for name in names))
        more = len(questions) - OPEN_QUESTIONS
        if more > 0:
            word = self._optional("not_excluded.more")
            questions[OPEN_QUESTIONS:] = [f"+{more}" if word is None else f"{more} {word}"]
        return self._joined(questions)

    def _worded(self, key: str) -> str:
        urgency = self._assessment.urgency
        own = f"{key}.{urgency.value}" if urgency is not None else key
        return own if own in self._pack.content.texts else key

    def _optional(self, key: str) -> str | None:
        return self._pack.content.texts.get(key)

    def _answers(self, names: Iterable[str]) -> str:
        return self._joined(self._answer(name) for name in names)

    def _answer(self, name: str) -> str:
        finding = self._assessment.findings.get(name)
        question = self._question(name)
        if finding.is_unknown:
            return self._pack.text("answer.unknown", question=question)
        if finding.visibility is Visibility.HIDDEN_NO and not finding.answer:
            return self._pack.text("answer.not_applicable", question=question)
        return self._pack.text("answer", question=question, answer=answer_words(finding))

    def _question(self, name: str) -> str:
        return self._assessment.findings.get(name).question or self._pack.facts[name].label

    def _joined(self, parts: Iterable[str]) -> str:
        return self._pack.text("answer.separator").join(dict.fromkeys(parts))


def _is_urgent(line: LineVerdict) -> bool:
    return line.line.urgency in (Urgency.EMERGENCY, Urgency.SAME_DAY)


def _is_used(pack: Pack, score: ScoreDefinition) -> bool:
    rules = [line.when for flag in pack.content.flags for line in flag.lines]
    rules += [derived.when for derived in pack.content.derived]
    return any(score.known_points_fact in names_in(when) for when in rules)


def _public(lines: Iterable[LineVerdict]) -> list[LineVerdict]:
    """The lines that anybody may read, most urgent first."""
    public = [line for line in lines if not line.line.clinician_only]
    return sorted(public, key=lambda line: len(Urgency) if line.line.urgency is None else line.line.urgency.rank)

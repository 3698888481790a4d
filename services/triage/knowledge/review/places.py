"""Where a pack says what: its criteria, sources, texts, names and sentences, each with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.triage.engine.content import Content
from services.triage.engine.criteria import All, AnyOf, Criterion, Not, OrUnknown, names_in
from services.triage.engine.model import Contradiction, Floor, ScoreDefinition
from services.triage.engine.pack import Pack, criteria_of

PACK: Final = "pack.toml"
FACTS: Final = "facts.toml"
FLAGS: Final = "red_flags.toml"
SCORES: Final = "scores.toml"
SAFETY: Final = "safety_rules.toml"
DIFFERENTIAL: Final = "differential.toml"
CONDITIONS: Final = "conditions/*.toml"
ADVICE: Final = "advice.toml"
EVIDENCE: Final = "evidence.toml"
CASES: Final = "cases/*.toml"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A table in a file of a pack. `about`: its id; empty for the file as a whole."""

    file: str
    about: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.about}" if self.about else self.file


def texts_file(content: Content) -> str:
    """The name of the file with the sentences."""
    return f"texts.{content.head.language}.toml"


def criteria(content: Content) -> Iterator[tuple[Place, Criterion]]:
    """Every criterion, in file order."""
    for derived in content.derived:
        yield Place(FACTS, derived.name), derived.when
    for flag in content.flags:
        for line in flag.lines:
            yield Place(FLAGS, line.id), line.when
    for score in content.scores:
        for when in criteria_of(score):
            yield Place(SCORES, score.id), when
    yield Place(SAFETY, "screen"), content.safety.screen.raised_when
    for rule in _safety_rules(content):
        yield Place(SAFETY, rule.id), rule.when
    for condition in content.conditions:
        for finding in condition.findings:
            yield Place(CONDITIONS, condition.id), finding.when
        if condition.only_when is not None:
            yield Place(CONDITIONS, condition.id), condition.only_when
    for one in content.advice:
        for when in (*(() if one.when is None else (one.when,)), *one.unless):
            yield Place(ADVICE, one.id), when


def cited(content: Content) -> Iterator[tuple[Place, str]]:
    """Every key of evidence that is named."""
    for flag in content.flags:
        yield from ((Place(FLAGS, flag.id), key) for key in flag.evidence)
    for score in content.scores:
        yield from ((Place(SCORES, score.id), key) for key in score.evidence)
    for floor in content.safety.floors:
        yield from ((Place(SAFETY, floor.id), key) for key in floor.evidence)
    for condition in content.conditions:
        keys = (*condition.evidence, *(key for finding in condition.findings for key in finding.evidence))
        yield from ((Place(CONDITIONS, condition.id), key) for key in dict.fromkeys(keys))
    for one in content.advice:
        yield from ((Place(ADVICE, one.id), key) for key in one.evidence)


def text_keys(content: Content) -> Iterator[tuple[Place, str]]:
    """Every key of a text that a table names."""
    for flag in content.flags:
        yield from ((Place(FLAGS, line.id), line.text) for line in flag.lines)
    for score in content.scores:
        yield from ((Place(SCORES, score.id), key) for key in _score_texts(score))
    safety = content.safety
    for key in (safety.screen.page_1_text, safety.screen.required_text, safety.screen.raised_text):
        yield Place(SAFETY, "screen"), key
    yield Place(SAFETY, "contradictions"), safety.conflict_text
    for rule in _safety_rules(content):
        yield Place(SAFETY, rule.id), rule.text
    for one in content.advice:
        yield Place(ADVICE, one.id), one.text


def raised(content: Content) -> Iterator[tuple[Place, str]]:
    """Every name that flags and safety rules report. Conditions and cases may only use these."""
    for flag in content.flags:
        for line in flag.lines:
            yield from ((Place(FLAGS, line.id), name) for name in line.raises)
    safety = content.safety
    yield from ((Place(SAFETY, "contradictions"), name) for name in safety.conflict_raises)
    for rule in _safety_rules(content):
        yield from ((Place(SAFETY, rule.id), name) for name in rule.raises)


def sentences(content: Content) -> Iterator[tuple[Place, str]]:
    """Everything that a reader of assessments sees, and what the head of the published pack says."""
    head = content.head
    for text in (head.title, head.note, head.description, head.purpose, head.usage, *head.topics):
        yield Place(PACK), text
    for fact in content.facts:
        yield Place(FACTS, fact.name), fact.label
    for flag in content.flags:
        yield from ((Place(FLAGS, flag.id), text) for text in (flag.guards, flag.rationale))
    for score in content.scores:
        labels = (item.label for item in score.items)
        for text in (score.title, score.purpose, score.population, score.performance, *labels):
            yield Place(SCORES, score.id), text
    for condition in content.conditions:
        for text in (condition.title, condition.next_step, condition.never_excluded_by):
            yield Place(CONDITIONS, condition.id), text
    yield from ((Place(texts_file(content), key), text) for key, text in content.texts.items())


def names_behind(pack: Pack, criterion: Criterion) -> frozenset[str]:
    """All names that the criterion depends on: those it mentions, those behind them, and so on."""
    found: set[str] = set()
    pending = list(names_in(criterion))
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            if name in pack.computed:
                pending += (other for when in criteria_of(pack.computed[name]) for other in names_in(when))
    return frozenset(found)


def criteria_behind(pack: Pack, criterion: Criterion) -> tuple[Criterion, ...]:
    """The criterion itself and those of every derived fact and score behind it."""
    computed = (pack.computed[name] for name in sorted(names_behind(pack, criterion)) if name in pack.computed)
    return (criterion, *(when for one in computed for when in criteria_of(one)))


def parts_of(criterion: Criterion) -> Iterator[Criterion]:
    """The criterion and all its parts."""
    yield criterion
    match criterion:
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from parts_of(part)
        case Not(part) | OrUnknown(part):
            yield from parts_of(part)


def _safety_rules(content: Content) -> tuple[Contradiction | Floor, ...]:
    return (*content.safety.contradictions, *content.safety.floors)


def _score_texts(score: ScoreDefinition) -> Iterator[str]:
    yield from (one.text for one in score.classes)
    yield from (exclusion.text for exclusion in score.exclusions)
    if score.indeterminate is not None:
        yield score.indeterminate

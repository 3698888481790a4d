"""The counterfactual in words: which missing answer could make this more urgent, and what the urgency rests on."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from services.triage.engine.counterfactual import Change, Counterfactual, counterfactual
from services.triage.engine.model import Presence
from services.triage.words import Words

NAMED = 3
"""How many missing answers are named for the questions, and for the examination; the others are counted."""


def what_would_change(words: Words) -> tuple[str, ...]:
    """Sentences, the most important first; none for page 1 alone."""
    found = counterfactual(words.pack, words.assessment, words.weighing)
    return tuple(_sentences(words, found))


def _sentences(words: Words, found: Counterfactual) -> Iterator[str]:
    facts = words.pack.facts
    asked = [change for change in found.raising if not facts[change.fact].clinician]
    examined = [change for change in found.raising if facts[change.fact].clinician]
    for change in found.lowering:
        yield words.text(
            "change.rests_on", answer=words.answer(change.fact), urgency=words.text(f"urgency.{change.urgency.value}")
        )
    for key, changes in (("change.not_answered", asked), ("change.not_examined", examined)):
        if changes:
            yield words.text(key, changes=_changes(words, changes))
    if found.most_telling is not None:
        yield words.text("change.most_telling", question=words.question(found.most_telling))


def _changes(words: Words, changes: list[Change]) -> str:
    parts = [
        words.text(
            "change",
            question=words.question(change.fact),
            value=_value(words, change),
            urgency=words.text(f"urgency.{change.urgency.value}"),
        )
        for change in changes[:NAMED]
    ]
    if len(changes) > NAMED:
        parts.append(words.text("change.others", number=str(len(changes) - NAMED)))
    return words.joined(parts)


def _value(words: Words, change: Change) -> str:
    fact = words.pack.facts[change.fact]
    if change.comparison is None:
        yes = (change.value is Presence.PRESENT) is not fact.negated
        return words.text("change.yes" if yes else "change.no")
    literal = change.comparison.literal
    unit = fact.unit or ""
    shown = f"{literal.normalize():f}" if isinstance(literal, Decimal) else words.option(change.fact, literal)
    words_for = words.text(f"change.{change.comparison.operator.name.lower()}", value=shown, unit=_readable(unit))
    return " ".join(words_for.split())


def _readable(unit: str) -> str:
    """A UCUM unit as people write it; annotations in braces are no unit."""
    return "" if unit.startswith("{") else unit.replace("Cel", "°C").replace("mm[Hg]", "mmHg")

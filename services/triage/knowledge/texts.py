"""Checks of a pack's sentences: all there, known words in braces only, nothing that must never be said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from string import Formatter

from services.triage.knowledge.required_texts import REQUIRED_TEXTS

SCREEN_WORDS = frozenset({"items"})
"""Words in braces that the texts of the screen rule may use."""


def never_said(shown: Mapping[str, str], never_say: Sequence[str]) -> Iterator[str]:
    """Which of these sentences holds a phrase that the pack must never say. Keys tell where it stands."""
    for place, text in shown.items():
        for phrase in never_say:
            if phrase.casefold() in text.casefold():
                yield f"{place} says {phrase!r}, which this pack must never say"


def check_texts(
    texts: Mapping[str, str], named: Mapping[str, frozenset[str]], never_say: Sequence[str]
) -> Iterator[str]:
    """What is wrong with the texts. `named`: the keys that the pack's tables name, and words each may use."""
    expected = {**named, **REQUIRED_TEXTS}
    for key in sorted(expected.keys() - texts.keys()):
        yield f"texts: {key!r} is missing"
    for key, text in texts.items():
        try:
            parts = [part for part in Formatter().parse(text) if part[1] is not None]
        except ValueError as error:
            yield f"texts: {key!r}: {error}"
            continue
        if any(form or conversion for _, _, form, conversion in parts):
            yield f"texts: {key!r}: a word in braces stands alone, without {{word:...}} or {{word!...}}"
        words = {word for _, word, _, _ in parts if word is not None}
        for word in sorted(words - expected.get(key, frozenset())):
            yield f"texts: {key!r} may not use {{{word}}}"
    yield from never_said({f"texts: {key!r}": text for key, text in texts.items()}, never_say)

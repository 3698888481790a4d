"""How hard a text is to read: the Flesch-Kincaid grade, with syllables counted by their vowels.

Kincaid, Fishburne, Rogers, Chissom: Derivation of new readability formulas for Navy enlisted personnel, 1975. A
colon or semicolon ends a sentence here, because the parts of a list are read one by one.
"""

from __future__ import annotations

import re


def reading_grade(text: str) -> float:
    """The US school grade at which the text is understood. Counting vowels overrates some words a little."""
    sentences = [part for part in re.split(r"[.:;!?]", text) if part.strip()]
    words = re.findall(r"[A-Za-z]+(?:['’-][A-Za-z]+)*|\d+", text)
    syllables = sum(_syllables(word) for word in words)
    return 0.39 * len(words) / len(sentences) + 11.8 * syllables / len(words) - 15.59


def _syllables(word: str) -> int:
    plain = re.sub(r"(?:[^laeiouy]es|[^td]ed|[^l]e)$", lambda end: end[0][0], word.casefold())
    return max(1, len(re.findall(r"[aeiouy]+", plain)))

"""The one door to RE2: patterns of Questionnaires, matched in time that grows with the answer and no faster.

A pattern comes from whoever wrote the Questionnaire. Python's own engine can be kept busy for years by a short one;
RE2 cannot, and refuses what it cannot compute (look-around, back-references). https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

MOST_CHARACTERS = 1000
"""Of a pattern; with RE2's own limit on memory this keeps compiling cheap."""


def can_compute(pattern: str) -> bool:
    """Whether answers can be held against this pattern."""
    return len(pattern) <= MOST_CHARACTERS and _compiled(pattern) is not None


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern describes the whole text. A pattern that cannot be computed describes every text."""
    compiled = _compiled(pattern)
    return compiled is None or compiled.fullmatch(text) is not None


@lru_cache(maxsize=1000)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error:
        return None

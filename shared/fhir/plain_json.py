"""JSON that needs no second look: read in a few microseconds, or left to strict_json.py.

Nothing is refused and no problem is worded here. `read_plain_json` knows bodies that strict_json.read_json takes,
if only no name is sent twice in one object. Its caller, who meets every object anyway, finds that out by counting: a
name that was sent twice leaves more tokens in the text than in the content. Whatever is unusual, even if it is
permitted, gives None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from shared.fhir.strict_json import ITEMS, NUMBER_CHARACTERS, STRING_CHARACTERS, SUSPICIOUS_ESCAPE

_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_FRACTION = re.compile(rb'"value(?:Decimal)?"[ \t\r\n]*:[ \t\r\n]*(-?[0-9]+\.[0-9]+)(?=[ \t\r\n]*[,}])')


class PlainJson(NamedTuple):
    """A body, its content, and how many names and strings its text has.

    Numbers with a fraction are float here; how they were written, `fractions_in` tells.
    """

    body: bytes
    content: dict[str, Any]
    tokens: int


def read_plain_json(body: bytes) -> PlainJson | None:
    """An object without any doubt but repeated names, depth and inexact numbers; None for every other body."""
    if len(body) > STRING_CHARACTERS or body.count(b"{") > ITEMS:
        return None
    quotes = body
    if b"\\" in body:
        if SUSPICIOUS_ESCAPE.search(body):
            return None
        quotes = _ESCAPE.sub(b"", body)
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return PlainJson(body, content, quotes.count(b'"') // 2) if type(content) is dict else None


def tokens_in(content: Any, *, levels: int) -> int | None:
    """How many names and strings this content has; None if it nests deeper, or has a number that is no whole one."""
    count, level = 0, [content]
    for _ in range(levels):
        inner: list[Any] = []
        for value in level:
            kind = type(value)
            if kind is str:
                count += 1
            elif kind is dict:
                count += len(value)
                inner.extend(value.values())
            elif kind is list:
                inner.extend(value)
            elif kind is float:
                return None
        if not inner:
            return count
        level = inner
    return None


def fractions_in(body: bytes) -> Iterator[str]:
    """How the numbers of ``valueDecimal`` and ``value`` are written that have a fraction and no exponent, in order.

    Each one is a member of the content, and no other text looks like one: if there are as many as the content has
    floats under these names, they are those. Longer ones than strict_json.py takes are left out.
    """
    for match in _FRACTION.finditer(body):
        if len(match[1]) <= NUMBER_CHARACTERS:
            yield match[1].decode()

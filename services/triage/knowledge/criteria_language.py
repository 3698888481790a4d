"""The language in which clinicians write criteria, and its parser.

    criterion  = and { "|" and }                 yes when one part is yes
    and        = unary { "&" unary }             yes when all parts are; binds tighter than "|"
    unary      = "!" unary | primary             no becomes yes; unknown stays unknown
    primary    = "(" criterion ")"
               | name                            the fact is present
               | name "~"                        the fact is present or unknown
               | name operator number            quantity;  operator: >= <= > < = !=
               | name ("=" | "!=") code          choice: one of the chosen codes is this one (or none is)
               | "text_match" "(" name ")"       the free text holds one of the pack's words

The grammar is closed: there is nothing else, and nothing is ever passed to Python. ``!x~`` is refused because
it can be read in two ways; name the negation as a derived fact and write ``not_x~``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn

from services.triage.engine.criteria import All, AnyOf, Compare, Criterion, Fact, Not, Operator, OrUnknown
from services.triage.engine.model import FactKind

MAX_DEPTH = 40
_TEXT_MATCH = "text_match"
_TOKEN = re.compile(
    r"\s*(?:(?P<operator>>=|<=|!=|[><=])|(?P<sign>[&|!~()])|(?P<word>[A-Za-z0-9_.-]+)|(?P<other>\S))",
    re.ASCII,
)
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?\Z", re.ASCII)
_CODE_OPERATORS = (Operator.EQUAL, Operator.NOT_EQUAL)


class CriterionError(ValueError):
    """A criterion that cannot be read. The message begins with the column (from 1)."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What criteria may speak of: every name with its kind, and the codes of each choice."""

    kinds: Mapping[str, FactKind]
    codes: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


def parse_criterion(text: str, vocabulary: Vocabulary) -> Criterion:
    """Read a criterion. Raises CriterionError at the first thing that does not fit, with its column."""
    parser = _Parser(_tokens(text), vocabulary)
    criterion = parser.criterion(0)
    parser.expect_end()
    return criterion


def _tokens(text: str) -> list[_Token]:
    tokens, position, end = [], 0, len(text.rstrip())
    while position < end:
        found = _TOKEN.match(text, position)
        assert found is not None  # <other> takes whatever is left
        assert found.lastgroup is not None
        tokens.append(_Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup) + 1))
        position = found.end()
    tokens.append(_Token("end", "the end", end + 1))
    return tokens


class _Parser:
    def __init__(self, tokens: list[_Token], vocabulary: Vocabulary) -> None:
        self._tokens = tokens
        self._at = 0
        self._vocabulary = vocabulary

    def criterion(self, depth: int) -> Criterion:
        parts = [self._and(depth)]
        while self._take("|"):
            parts.append(self._and(depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def expect_end(self) -> None:
        if self._next.kind != "end":
            self._fail("& or | or the end")

    def _and(self, depth: int) -> Criterion:
        parts = [self._unary(depth)]
        while self._take("&"):
            parts.append(self._unary(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _unary(self, depth: int) -> Criterion:
        if depth > MAX_DEPTH:
            raise CriterionError(f"column {self._next.column}: nested more than {MAX_DEPTH} deep")
        sign = self._next
        if not self._take("!"):
            return self._primary(depth)
        part = self._unary(depth + 1)
        if isinstance(part, OrUnknown):
            raise CriterionError(
                f"column {sign.column}: !{part.part.name}~ can be read in two ways; "
                f"define the negation as a derived fact and use that with ~"
            )
        return Not(part)

    def _primary(self, depth: int) -> Criterion:
        if self._take("("):
            inner = self.criterion(depth + 1)
            self._expect(")")
            return inner
        token = self._next
        if token.kind != "word" or not _NAME.match(token.text):
            self._fail("a fact, ! or (")
        self._at += 1
        if token.text == _TEXT_MATCH and self._take("("):
            return self._text_match()
        kind = self._kind(token.text, token)
        if self._next.kind == "operator":
            return self._comparison(token, kind)
        if kind is not FactKind.PRESENCE:
            self._fail(f"a comparison, because {token.text} is a {kind}")
        fact = Fact(token.text)
        return OrUnknown(fact) if self._take("~") else fact

    def _text_match(self) -> Criterion:
        token = self._next
        name = f"{_TEXT_MATCH}({token.text})"
        if token.kind != "word" or name not in self._vocabulary.kinds:
            self._fail("a free text for which the pack lists words")
        self._at += 1
        self._expect(")")
        return Fact(name)

    def _comparison(self, name: _Token, kind: FactKind) -> Criterion:
        sign = self._next
        relation = Operator(sign.text)
        if kind not in (FactKind.QUANTITY, FactKind.CHOICE):
            raise CriterionError(f"column {sign.column}: {name.text} is a {kind} fact and cannot be compared")
        if kind is FactKind.CHOICE and relation not in _CODE_OPERATORS:
            self._fail(f"= or !=, because {name.text} is a choice")
        self._at += 1
        value = self._next
        if kind is FactKind.QUANTITY:
            if value.kind != "word" or not _NUMBER.match(value.text):
                self._fail("a number")
            self._at += 1
            return Compare(name.text, relation, Decimal(value.text))
        if value.kind != "word" or value.text not in self._vocabulary.codes[name.text]:
            self._fail(f"a code of {name.text}")
        self._at += 1
        return Compare(name.text, relation, value.text)

    def _kind(self, name: str, token: _Token) -> FactKind:
        try:
            return self._vocabulary.kinds[name]
        except KeyError:
            raise CriterionError(f"column {token.column}: unknown fact {name!r}") from None

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self, sign: str) -> bool:
        if self._next.kind == "sign" and self._next.text == sign:
            self._at += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            self._fail(sign)

    def _fail(self, expected: str) -> NoReturn:
        found = self._next
        shown = found.text if found.kind == "end" else repr(found.text)
        raise CriterionError(f"column {found.column}: expected {expected}, found {shown}")

"""JSON as FHIR R4 means it, with limits that keep a hostile body cheap.

https://hl7.org/fhir/R4/json.html and RFC 8259. Two readings: orjson tells whether it is JSON at all and how
deep, which no input can make expensive; only a body with fractions or repeated names is read a second time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any, NamedTuple, TypeGuard

import orjson

from shared.problems import Category, Problem, ProblemError, Severity

JSON_DEPTH = 100
ITEMS = 2000
LISTED = {"item": ITEMS, "answer": 4000}
"""How many entries all arrays of a name may hold together."""
VALUES = 50_000
"""How many JSON values one body may hold: more than 2,000 items with all their answers have."""
NUMBER_CHARACTERS = 64
NUMBER_EXPONENT = 308
STRING_CHARACTERS = 64 * 1024
MOST_PROBLEMS = 1000

FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_ELEMENT_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9_]{0,39}")
SUSPICIOUS_ESCAPE = re.compile(rb"\\(?:[bf]|u(?:00[01]|[dD][89a-fA-F]))")
"""Every escape that stands for a control character or half of a surrogate pair, and a few that do not."""
_NAMES = re.compile(rb'"[ \t\r\n]*:')
_SPACE_BEFORE_COLON = (b" :", b"\n:", b"\t:", b"\r:")
_NOT_A_NUMBER = re.compile(r"\s*-?(?:NaN|Infinity)")


def read_json(body: bytes) -> Any:
    """JSON with the limits and strictness of this system, of any top-level type; raises ProblemError.

    Refused: what is not UTF-8 or not JSON, NaN and Infinity, a name twice in one object, control
    characters, lone surrogates, and whatever exceeds the limits above. Numbers with a fraction or an
    exponent become Decimal.
    """
    if body.count(b"{") + body.count(b"[") > VALUES:
        raise ProblemError(_too_large(f"The body has more than {VALUES} brackets and braces; send less at once."))
    text = _decoded(body)
    content = _well_formed(body, text)
    measured = _measure(content, large=len(body) > STRING_CHARACTERS or body.count(b"{") > ITEMS)
    for name, most in LISTED.items():
        if (number := measured.listed[name]) > most:
            message = f"The resource has {number} {name}s, at most {most} are accepted; send a smaller one."
            raise ProblemError(_too_large(message))
    repeated = names_in_text(body) != measured.names
    reader = _Reader()
    if repeated or measured.inexact:
        content = reader.read(text, repeated=repeated)
    if reader.suspicious or measured.longest > STRING_CHARACTERS or SUSPICIOUS_ESCAPE.search(body):
        problems = list(islice(_faults(content), MOST_PROBLEMS))
        if problems:
            raise ProblemError(problems)
    return content


def names_in_text(body: bytes) -> int:
    """How many names JSON text has, and now and then a string that starts with a colon: never fewer than there are."""
    if any(spaced in body for spaced in _SPACE_BEFORE_COLON):
        return len(_NAMES.findall(body))
    return body.count(b'":')


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProblemError(
            _unreadable("not-utf-8", f"The body is not UTF-8 (at byte {error.start}); encode it as UTF-8.")
        ) from None


def _well_formed(body: bytes, text: str) -> Any:
    """First reading, by a parser that no nesting can exhaust."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ProblemError(_syntax(error, text)) from None


def _syntax(error: orjson.JSONDecodeError, text: str) -> Problem:
    place = f"line {error.lineno}, column {error.colno}"
    reason = error.msg.lower()
    if not text.strip():
        return _unreadable("not-json", "The body is empty; send one resource as JSON.")
    if text.startswith("\ufeff"):
        return _unreadable("not-json", "The body starts with a byte order mark; send UTF-8 without one.")
    if "depth" in reason:
        return _too_deep()
    if "surrogate" in reason:
        return _unreadable("lone-surrogate", f"Half of a surrogate pair at {place}; send whole characters.")
    if "control character" in reason:
        message = f"A control character at {place}; remove it, or write a line break as \\n."
        return _unreadable("control-character", message)
    if "infinity" in reason:
        return _unreadable("number-out-of-range", "A number is too large; correct its exponent.")
    if _NOT_A_NUMBER.match(text, max(error.pos - 1, 0)):
        return _unreadable("not-json", f"NaN or Infinity at {place}; JSON has no such number, leave it out.")
    return _unreadable("not-json", f"The body is not JSON: the reader stopped at {place}; correct the syntax there.")


class _Measured(NamedTuple):
    """How many names there are, and whether any number was read inexactly.

    Of a large body also the length of the longest string, and how many entries the arrays of the names in LISTED have.
    """

    names: int
    inexact: bool
    longest: int
    listed: Mapping[str, int]


def _measure(content: Any, *, large: bool) -> _Measured:
    """Raises ProblemError for too many levels or values."""
    depth = names = values = 0
    longest = len(content) if type(content) is str else 0
    inexact = type(content) is float
    listed = dict.fromkeys(LISTED, 0)
    level = [content]
    while level := [value for value in level if type(value) is dict or type(value) is list]:
        depth += 1
        if depth > JSON_DEPTH:
            raise ProblemError(_too_deep())
        inner: list[Any] = []
        for value in level:
            if type(value) is dict:
                names += len(value)
                inner.extend(value.values())
                for name in LISTED if large else ():
                    if name in value and type(value[name]) is list:
                        listed[name] += len(value[name])
            else:
                inner.extend(value)
        values += len(inner)
        if values > VALUES:
            message = f"The body has more than {VALUES} values, which is too many for one resource; send less at once."
            raise ProblemError(_too_large(message))
        inexact = inexact or float in set(map(type, inner))
        if large:
            longest = max(longest, max((len(value) for value in inner if type(value) is str), default=0))
        level = inner
    return _Measured(names, inexact, longest, listed)


class _Duplicated(dict[str, Any]):
    """An object in which at least one name occurs twice."""

    repeated: list[str]


@dataclass(frozen=True, slots=True)
class _BadNumber:
    """A number that is too long or too large to keep exactly."""

    message: str


class _Reader:
    """Second reading, for bodies with fractions or with more names in the text than in the content.

    Exact numbers, no repeated names. What is wrong is marked in place, to be told with its path.
    """

    def __init__(self) -> None:
        self.suspicious = False

    def read(self, text: str, *, repeated: bool) -> Any:
        """The content; names are compared only if `repeated`, because that is slow."""
        hook = self._object if repeated else None
        try:
            return json.loads(text, object_pairs_hook=hook, parse_float=self._decimal, parse_int=self._integer)
        except RecursionError:  # below a repeated name, where the first reading did not see it
            raise ProblemError(_too_deep()) from None

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) == len(pairs):
            return content
        self.suspicious = True
        marked = _Duplicated(content)
        seen: set[str] = set()
        marked.repeated = [name for name, _ in pairs if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
        return marked

    def _integer(self, digits: str) -> int | _BadNumber:
        return self._bad_number() if len(digits) > NUMBER_CHARACTERS else int(digits)

    def _decimal(self, digits: str) -> Decimal | _BadNumber:
        if len(digits) > NUMBER_CHARACTERS:
            return self._bad_number()
        try:
            number = Decimal(digits)
        except InvalidOperation:  # an exponent that decimal cannot hold
            return self._bad_number()
        return number if abs(number.adjusted()) <= NUMBER_EXPONENT else self._bad_number()

    def _bad_number(self) -> _BadNumber:
        self.suspicious = True
        return _BadNumber(
            f"The number has more than {NUMBER_CHARACTERS} characters or an exponent beyond "
            f"{NUMBER_EXPONENT}; send fewer digits."
        )


def _faults(content: Any) -> Iterator[Problem]:
    """What is wrong inside well-formed JSON, in document order."""
    root = content.get("resourceType") if isinstance(content, dict) else None
    waiting: list[tuple[Any, str]] = [(content, root if _is_name(root) else "Resource")]
    while waiting:
        value, path = waiting.pop()
        if isinstance(value, dict):
            yield from _faults_of_names(value, path)
            waiting.extend(
                (inner, f"{path}.{name}" if _is_name(name) else path) for name, inner in reversed(value.items())
            )
        elif isinstance(value, list):
            waiting.extend((value[index], f"{path}[{index}]") for index in reversed(range(len(value))))
        elif isinstance(value, _BadNumber):
            yield _incorrect("number-out-of-range", value.message, expression=path)
        elif isinstance(value, str):
            if len(value) > STRING_CHARACTERS:
                yield _incorrect(
                    "string-too-long",
                    f"A string has {len(value)} characters, at most {STRING_CHARACTERS} are accepted.",
                    issue_code="too-long",
                    expression=path,
                )
            if FORBIDDEN.search(value):
                yield _incorrect(
                    "control-character",
                    "A string has a control character other than tab, CR and LF; remove it.",
                    expression=path,
                )


def _faults_of_names(value: dict[str, Any], path: str) -> Iterator[Problem]:
    for name in value.repeated if isinstance(value, _Duplicated) else ():
        shown = f"'{name}'" if _is_name(name) else "one name"
        yield _incorrect(
            "duplicate-key",
            f"{shown} occurs more than once in one object; send it once (several values are an array).",
            issue_code="structure",
            expression=f"{path}.{name}" if _is_name(name) else path,
        )
    if any(FORBIDDEN.search(name) for name in value):
        yield _incorrect("control-character", "The name of an element has a control character.", expression=path)


def _is_name(name: Any) -> TypeGuard[str]:
    return isinstance(name, str) and _ELEMENT_NAME.fullmatch(name) is not None


def _incorrect(code: str, message: str, *, issue_code: str = "value", expression: str | None = None) -> Problem:
    return Problem(Category.INCORRECT, code, message, expression=expression, issue_code=issue_code)


def _unreadable(code: str, message: str) -> Problem:
    return Problem(Category.INCORRECT, code, message, severity=Severity.FATAL, issue_code="structure")


def _too_deep() -> Problem:
    return _too_large(f"The JSON is nested deeper than {JSON_DEPTH} levels; send a flatter resource.")


def _too_large(message: str) -> Problem:
    return Problem(Category.TOO_LARGE, "too-large", message, severity=Severity.FATAL, issue_code="too-long")

"""What can still be understood of a QuestionnaireResponse that was refused.

The opposite of the strict gate: nothing is required, nothing is in its place. It is read for one purpose, a search for
answers that cannot wait, and never to be stored as answers. JSON that is cut short or is no JSON cannot be read at all.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MOST_ANSWERS = 20_000
"""So many answers of one document are read, of all responses in it together."""
MOST_OF_A_QUESTION = 500
"""So many of them to one question of one response: more than any question has options."""
MOST_RESPONSES = 500
"""So many responses of one document are read: five times as many as a Bundle that is accepted holds."""
MOST_OBJECTS = 15_000
"""More than a form of 4,000 answered items holds, which is twice what is accepted."""
DEEPEST = 300
DEEPEST_ANSWER = 4
"""A CodeableConcept, its codings, one of them, its code."""
MOST_DIGITS = 100


class Members(tuple[tuple[str, Any], ...]):
    """A JSON object as its members in order, so that a name that occurs twice keeps both values."""

    __slots__ = ()

    def all(self, name: str) -> list[Any]:
        """Every value under this name; the elements of an array one by one."""
        found: list[Any] = []
        for own, value in self:
            if own == name:
                found += value if isinstance(value, list) else [value]
        return found

    def text(self, name: str) -> str | None:
        """The last string under this name."""
        texts = [value for value in self.all(name) if isinstance(value, str)]
        return texts[-1] if texts else None

    def plain(self) -> dict[str, Any]:
        """As an ordinary object: of a name that occurs twice the last value."""
        return {name: _plain(value) for name, value in self}


@dataclass(frozen=True, slots=True)
class FoundAnswer:
    """One answer, wherever it stood: the linkId beside it, the ``value[x]`` suffix ('' for none) and the JSON value."""

    link_id: str
    kind: str
    value: Any

    @property
    def values(self) -> int:
        """How many values it says: a concept may hold many codings."""
        codings = self.value.get("coding") if isinstance(self.value, dict) else None
        return max(1, len(codings)) if isinstance(codings, list) else 1


@dataclass(slots=True)
class Allowance:
    """How much of one document may still be read. `whole`: nothing was left out for that so far.

    A text can be made so that reading it takes longer than anybody may wait; real submissions never come near.
    """

    answers: int = MOST_ANSWERS
    responses: int = MOST_RESPONSES
    whole: bool = field(default=True, init=False)

    def read(self, response: Members) -> list[FoundAnswer]:
        """The answers of one response, as many as may be read."""
        if self.responses <= 0 or self.answers <= 0:
            self.whole = self.whole and not holds_answers(response)
            return []
        read: list[FoundAnswer] = []
        times: Counter[str] = Counter()
        for answer in found_answers(response):
            self.answers -= answer.values
            question = loose(answer.link_id)
            times[question] += answer.values
            if self.answers < 0 or times[question] > MOST_OF_A_QUESTION:
                self.whole = False
            else:
                read.append(answer)
            if self.answers < 0:
                break
        self.responses -= 1 if read else 0
        return read


def loose(name: str) -> str:
    """A name without what senders get wrong in it: spaces around it, and the case of its letters."""
    return name.strip().casefold()


def may_hold_answers(body: bytes) -> bool:
    """False where reading is not worth its time: the text certainly names no linkId, or holds more than `MOST_OBJECTS`.

    Other letters than ASCII, and escapes, may spell a linkId too.
    """
    if body.count(b"{") > MOST_OBJECTS:
        return False
    return not body.isascii() or b"\\u" in body or b"linkid" in body.lower()


def read_leniently(body: bytes) -> Members | None:
    """The JSON object in this text, or None where there is none that can be read, or one deeper than `DEEPEST` levels.

    Wrong encodings, control characters, repeated names, NaN and lone surrogates are read over, and so is a number of
    more digits than anybody means. An array of objects, and an object that was encoded as a JSON string once more, are
    read as what they hold.
    """
    try:
        # not "utf-8-sig": Python reads that from a file when it is first asked for, and may have no file handle then
        content = _read(body.removeprefix(BOM_UTF8).decode("utf-8", "replace"))
        if isinstance(content, str):
            content = _read(content)
    except (ValueError, RecursionError):
        return None
    if isinstance(content, list):
        content = Members((("entry", content),))
    return content if isinstance(content, Members) and not _too_deep(content) else None


def _read(text: str) -> Any:
    return json.loads(text, strict=False, object_pairs_hook=Members, parse_int=_whole)


def _whole(digits: str) -> int | None:
    """The number; None, which is no answer, for one so long that Python refuses to read it."""
    return int(digits) if len(digits) <= MOST_DIGITS else None


def _too_deep(content: Members) -> bool:
    level: list[Any] = [content]
    for _ in range(DEEPEST):
        level = [value for value in level if isinstance(value, (Members, list))]
        inner = ([one for _, one in value] if isinstance(value, Members) else value for value in level)
        level = [one for values in inner for one in values]
        if not level:
            return False
    return True


def holds_answers(content: Members) -> bool:
    """True when there is at least one answer to look at."""
    return next(found_answers(content), None) is not None


def found_answers(content: Members) -> Iterator[FoundAnswer]:
    """Every answer in the document. Whoever reads more than the first does so within an `Allowance`.

    An answer is what stands under `answer`, or in a `value…` member, of any object that has a linkId, in any case of
    letters, as text or number.
    """
    waiting: list[Any] = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Members):
            waiting += [inner for _, inner in reversed(value)]
            yield from _answers_of(value)
        elif isinstance(value, list):
            waiting += reversed(value)


def responses_in(content: Members) -> list[Members]:
    """The objects that say what was answered, one per filled form: outermost ones with `questionnaire` or items.

    A Bundle may hold those of several patients, whose answers must not be read together. Without any such object: the
    whole.
    """
    found: list[Members] = []
    waiting: deque[Any] = deque([content])
    while waiting:
        value = waiting.popleft()
        if isinstance(value, Members):
            names = {name for name, _ in value}
            if names & {"questionnaire", "item"} and "linkId" not in names:
                found.append(value)
            else:
                waiting += [inner for _, inner in value]
        elif isinstance(value, list):
            waiting += value
    return found or [content]


def _answers_of(item: Members) -> Iterator[FoundAnswer]:
    """Its answers once for every linkId that it has."""
    link_ids = [value for name, value in item if name.casefold() == "linkid" and isinstance(value, (str, int))]
    said = list(_said(item)) if link_ids else []
    for link_id in link_ids if said else ():
        for kind, value in said:
            yield FoundAnswer(str(link_id), kind, value)


def _said(item: Members) -> Iterator[tuple[str, Any]]:
    """The ``value[x]`` suffix and the value of every answer."""
    for name, value in item:
        if name == "answer":
            for one in value if isinstance(value, list) else [value]:
                yield from _values(one)
        elif name.startswith("value") and value is not None:
            yield name.removeprefix("value"), _shallow(value)


def _values(answer: Any) -> Iterator[tuple[str, Any]]:
    """The values of one answer: its `value…` members; the answer itself where it is a bare value or a Coding."""
    if not isinstance(answer, Members):
        if answer is not None and not isinstance(answer, list):
            yield "", answer
        return
    valued = [(name, value) for name, value in answer if name.startswith("value") and value is not None]
    if valued and any(name != "value" or isinstance(value, (Members, bool, str)) for name, value in valued):
        for name, value in valued:
            yield name.removeprefix("value"), _shallow(value)
    elif valued or answer.text("code") is not None:
        yield "", _shallow(answer)


def _shallow(value: Any, levels: int = DEEPEST_ANSWER) -> Any:
    """Members as ordinary objects. What stands deeper than an answer does is None: items below it are read apart."""
    if not isinstance(value, (Members, list)):
        return value
    if not levels:
        return None
    if isinstance(value, Members):
        return {name: _shallow(one, levels - 1) for name, one in value}
    return [_shallow(one, levels - 1) for one in value]


def _plain(value: Any) -> Any:
    """Members as ordinary objects all the way down, without recursion deeper than the JSON itself was read."""
    if isinstance(value, Members):
        return value.plain()
    return [_plain(one) for one in value] if isinstance(value, list) else value

"""The sections of a RiskAssessment's narrative: what triage says in whole sentences, by the class of each list. Pure.

Triage marks each list of its narrative with a class that says what it holds (`services/triage/narrative.py`). A list
without a class that we know is kept under its own heading, so nothing that was said is lost. Markup is dropped, text is
kept; what is shown is escaped again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass(frozen=True, slots=True)
class Item:
    """One sentence or more; `kind` is the class of the list item, or ""."""

    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A list with its heading; `name` is its class, or ""."""

    name: str
    heading: str
    items: tuple[Item, ...]

    def of(self, kind: str) -> tuple[str, ...]:
        """The texts of the items of that kind."""
        return tuple(item.text for item in self.items if item.kind == kind)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The texts of all items."""
        return tuple(item.text for item in self.items)


@dataclass(frozen=True, slots=True)
class Narrative:
    """`opening`: the paragraphs before the first list: urgency with what to do, then reasons."""

    opening: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()

    def section(self, name: str) -> Section:
        """The section of that class, or an empty one."""
        return next((one for one in self.sections if one.name == name), Section(name, "", ()))


def read_narrative(div: str) -> Narrative:
    """Read the XHTML of a narrative. What is no list or paragraph is passed over."""
    reader = _Reader()
    reader.feed(div)
    reader.close()
    return Narrative(tuple(reader.paragraphs), tuple(reader.sections))


@dataclass
class _Open:
    name: str
    heading: str
    items: list[Item] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.paragraphs: list[str] = []
        self.sections: list[Section] = []
        self._text: list[str] = []
        self._kind = ""
        self._list: _Open | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A paragraph before a list is its heading."""
        given = dict(attrs).get("class") or ""
        if tag in ("p", "li"):
            self._text, self._kind = [], given
        elif tag == "ul":
            self._list = _Open(given, self.paragraphs.pop() if self.paragraphs else "")

    def handle_data(self, data: str) -> None:
        """Text of whatever is open."""
        self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        """What was open is complete."""
        text = " ".join("".join(self._text).split())
        if tag == "p" and text:
            self.paragraphs.append(text)
        elif tag == "li" and text and self._list is not None:
            self._list.items.append(Item(text, self._kind))
        elif tag == "ul" and self._list is not None:
            self.sections.append(Section(self._list.name, self._list.heading, tuple(self._list.items)))
            self._list = None
        if tag in ("p", "li", "ul"):
            self._text = []

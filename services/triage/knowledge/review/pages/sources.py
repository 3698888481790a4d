"""Pages on what rules are made of: facts, texts and evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from services.triage.engine.model import FactDefinition, FactKind, Screen
from services.triage.knowledge.review.pages.markup import Book, heading, items, labelled, paragraph
from services.triage.knowledge.review.places import Place, cited
from shared.fhir.answer_values import Coding

_SCREEN = {
    Screen.PAGE_1: "Safety screen: unknown means that the patient is called",
    Screen.REQUIRED: "Safety screen: required",
    Screen.NONE: "",
}
_STATUS = {
    "verified": "opened",
    "knowledge": "not opened again",
    "expert": "opinion, no publication behind it",
    "computed": "computed from published figures",
}


def facts(book: Book) -> Iterator[str]:
    """Facts that are read from answers, then facts that are computed."""
    content = book.pack.content
    words = {match.fact: match.words for match in content.text_matches}
    yield from heading(1, "Facts")
    yield from paragraph("Each is yes, no or unknown (or has a value, or none). Unknown is never no.")
    yield from heading(2, "Read from answers")
    for fact in content.facts:
        yield from heading(3, fact.name)
        yield from paragraph(book.question(fact.name))
        yield from items(
            [
                f"Question `{fact.link_id}`{'; No makes it present' if fact.negated else ''}",
                _values(book, fact),
                _SCREEN[fact.screen],
                "Examination: never asked of patients" if fact.clinician else "",
                labelled("Words that ask for a reader", ", ".join(words.get(fact.name, ()))),
            ]
        )
    yield from heading(2, "Computed")
    for derived in content.derived:
        yield from heading(3, derived.name)
        yield from paragraph(derived.label)
        yield from book.criterion(derived.when)
        yield from items(["Two-valued: unknown counts as no" if derived.unknown_is_no else ""])


def _values(book: Book, fact: FactDefinition) -> str:
    match fact.kind:
        case FactKind.PRESENCE:
            return ""
        case FactKind.CHOICE:
            displays = _displays(book, fact)
            return "One of: " + ", ".join(f"`{code}` {displays.get(code, '')}".rstrip() for code in sorted(fact.codes))
        case FactKind.QUANTITY:
            least, most = ("…" if bound is None else str(bound) for bound in (fact.minimum, fact.maximum))
            return f"A number from {least} to {most} {fact.unit}"
        case FactKind.TEXT:
            return "Free text"


def _displays(book: Book, fact: FactDefinition) -> dict[str, str]:
    item = None if book.form is None else book.form.items.get(fact.link_id)
    options = () if item is None else (option.value for option in item.options)
    return {one.code: one.display or "" for one in options if isinstance(one, Coding) and one.code is not None}


def texts(book: Book) -> Iterator[str]:
    """Every sentence by its key."""
    yield from heading(1, "Texts")
    yield from paragraph("Words in braces are filled in.")
    yield from items(f"`{key}`: {text}" for key, text in book.pack.content.texts.items())
    yield from paragraph("Never said:" if book.edition.never_say else "")
    yield from items(f"“{phrase}”" for phrase in book.edition.never_say)


def evidence(book: Book) -> Iterator[str]:
    """Every source with its state and what uses it."""
    uses: dict[str, list[Place]] = {}
    for place, key in cited(book.pack.content):
        uses.setdefault(key, []).append(place)
    yield from heading(1, "Evidence")
    for source in book.pack.content.evidence.values():
        yield from heading(2, source.key)
        yield from paragraph(source.citation)
        state = _STATUS.get(source.status, source.status)
        yield from items(
            [
                f"<{source.url}>" if source.url else "",
                f"State: {state}" + ("" if source.checked is None else f" on {source.checked}"),
                *_uses(uses.get(source.key, ())),
            ]
        )


def _uses(places: Iterable[Place]) -> Iterator[str]:
    """One line per file."""
    by_file: dict[str, list[str]] = {}
    for place in dict.fromkeys(places):
        by_file.setdefault(place.file, []).append(place.about)
    yield from (f"Used in {file}: {', '.join(names)}" for file, names in by_file.items())
    if not by_file:
        yield "Used by nothing"

"""All pages of a pack, written from its content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.triage.knowledge.review.counts import counts
from services.triage.knowledge.review.edition import Edition
from services.triage.knowledge.review.pages import conditions, markup, rules, sources
from services.triage.knowledge.review.pages.markup import Book, heading, items, labelled, paragraph
from shared.fhir.questionnaire import QuestionnaireIndex

INDEX = "index.md"
PAGES = {
    markup.RED_FLAGS: rules.red_flags,
    markup.CONDITIONS: conditions.conditions,
    markup.SCORES: rules.scores,
    markup.SAFETY: rules.safety_rules,
    markup.ADVICE: rules.advice,
    markup.FACTS: sources.facts,
    markup.TEXTS: sources.texts,
    markup.EVIDENCE: sources.evidence,
}


def pages(edition: Edition, form: QuestionnaireIndex | None, *, linked: bool = True) -> Mapping[str, str]:
    """File name to Markdown, the index first. `form`: the Questionnaire whose questions are quoted."""
    book = Book(edition, form, linked)
    written = {INDEX: _index(book), **{name: write(book) for name, write in PAGES.items()}}
    return {name: "\n".join(lines).rstrip() + "\n" for name, lines in written.items()}


def _index(book: Book) -> Iterator[str]:
    head = book.pack.head
    yield from heading(1, f"{head.title}")
    yield from paragraph(f"Clinical pack {head.name} {head.version}, {head.status}. {_sign_off(book)}")
    yield from paragraph(head.note)
    for text in (head.description, head.purpose, head.usage):
        yield from paragraph(text)
    yield from items(
        [
            labelled("Questionnaire", ", ".join(head.questionnaires)),
            "" if head.reviewed_on is None else f"Last reviewed on {head.reviewed_on}",
            "" if head.effective_from is None else f"Meant to be used from {head.effective_from}",
            "" if head.effective_to is None else f"Meant to be used until {head.effective_to}",
            labelled("Copyright", head.copyright),
            f"SHA-256 of its files: {head.sha256}",
        ]
    )
    yield from items(f"{what}: {number}" for what, number in counts(book.pack).items())
    if book.linked:
        yield from items(f"[{name.removesuffix('.md').replace('-', ' ').capitalize()}]({name})" for name in PAGES)


def _sign_off(book: Book) -> str:
    head = book.pack.head
    if head.approved_on is None or book.edition.approved_by is None:
        return "No clinician has signed it off."
    return f"Signed off by {book.edition.approved_by} on {head.approved_on}."

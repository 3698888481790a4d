"""Pages on rules: red flags, scores, safety rules and advice."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from services.triage.engine.advice import AdviceKind, Audience
from services.triage.engine.criteria_text import criterion_text
from services.triage.engine.model import (
    AnsweredBy,
    Contradiction,
    Flag,
    FlagLine,
    Floor,
    ScoreClass,
    ScoreDefinition,
    ScreenRule,
)
from services.triage.knowledge.review.described import readings_text
from services.triage.knowledge.review.pages.markup import CONDITIONS, Book, heading, items, labelled, paragraph

_KIND = {
    AdviceKind.SELF_CARE: "Self-care, given only when nothing urgent is found or open",
    AdviceKind.REFERRAL: "Next step for the clinician",
    AdviceKind.DO_NOT: "Warning, given as soon as one reading of the answers calls for it",
}
_ANSWERED_BY = {
    AnsweredBy.PATIENT: "",
    AnsweredBy.PROXY: "; a patient's answer is a hint, an examination settles it",
    AnsweredBy.CLINICIAN: "; counts only from a clinician",
}


def flag_heading(flag: Flag) -> str:
    """The heading of a flag, which other pages lead to."""
    return f"{flag.id}: {flag.guards}"


def red_flags(book: Book) -> Iterator[str]:
    """Every flag with its lines."""
    yield from heading(1, "Red flags")
    yield from paragraph("A flag is as urgent as its most urgent line that fires. Nothing lowers it.")
    for flag in book.pack.content.flags:
        yield from heading(2, flag_heading(flag))
        yield from paragraph(flag.rationale)
        guarded = [one for one in book.pack.content.conditions if flag.id in one.guarded_by]
        conditions = ", ".join(book.link(one.title, CONDITIONS, one.title) for one in guarded)
        yield from items(
            [
                labelled("Sources", book.sources(flag.evidence)),
                labelled("Conditions", conditions),
                "General: it guards against no one condition" if flag.id in book.edition.general else "",
            ]
        )
        for line in flag.lines:
            yield from _line(book, line)


def _line(book: Book, line: FlagLine) -> Iterator[str]:
    yield from heading(3, f"{line.id}: {book.urgency(line.urgency)}")
    yield from paragraph(book.text(line.text))
    yield from book.criterion(line.when)
    yield from items(
        [
            labelled("Reports", ", ".join(line.raises)),
            "For clinicians only: never in words that a patient or carer may read" if line.clinician_only else "",
        ]
    )


def scores(book: Book) -> Iterator[str]:
    """Every score with items, classes and exclusions."""
    yield from heading(1, "Scores")
    yield from paragraph("Counted as least and most points over what is unknown. No class changes an urgency.")
    for score in book.pack.content.scores:
        yield from _score(book, score)


def _score(book: Book, score: ScoreDefinition) -> Iterator[str]:
    yield from heading(2, score.title)
    yield from paragraph(score.purpose)
    yield from items(
        [
            labelled("For", score.population),
            labelled("Performance", score.performance),
            "" if score.applies_when is None else f"Applies when `{criterion_text(score.applies_when)}`",
            "Reassures only when a clinician answered" if score.clinician_only else "",
            "" if score.known_points_fact is None else f"Criteria use its known points as `{score.known_points_fact}`",
            labelled("Sources", book.sources(score.evidence)),
        ]
    )
    yield from paragraph("Items:")
    yield from items(
        f"{item.points}: {item.label} (`{criterion_text(item.when)}`){_ANSWERED_BY[item.answered_by]}"
        for item in score.items
    )
    yield from paragraph("Classes:")
    yield from items(f"{_bounds(one)}: {book.text(one.text)}" for one in score.classes)
    if score.exclusions:
        yield from paragraph("Not for:")
    yield from items(
        f"`{criterion_text(one.when)}` withholds the {one.withholds.value}: {book.text(one.text)}"
        for one in score.exclusions
    )


def _bounds(one: ScoreClass) -> str:
    also = "" if one.when is None else f" and `{criterion_text(one.when)}`"
    reassures = ", reassures" if one.reassures else ""
    return f"**{one.code}**, {_points(one.at_least, one.at_most)}{also}{reassures}"


def _points(least: Decimal | None, most: Decimal | None) -> str:
    match least, most:
        case None, None:
            return "any points"
        case None, _:
            return f"{most} points or fewer"
        case _, None:
            return f"{least} points or more"
        case _:
            return f"{least} points" if least == most else f"{least} to {most} points"


def safety_rules(book: Book) -> Iterator[str]:
    """Rules over all flags."""
    safety = book.pack.content.safety
    yield from heading(1, "Safety rules")
    yield from paragraph("They hold over all flags and only ever raise an urgency.")
    yield from heading(2, "When nothing else holds")
    yield from items(
        [
            f"Every flag is known not to fire: {book.urgency(safety.default)}",
            f"At least one flag could not be decided: {book.urgency(safety.default_undecided)}",
        ]
    )
    yield from _screen(book, safety.screen)
    yield from heading(2, "Contradictory answers")
    yield from paragraph(
        "Every reading is evaluated and the most urgent one counts. Where one of them guards an emergency: "
        f"{book.urgency(safety.contradiction_floor)}."
    )
    for contradiction in safety.contradictions:
        yield from _contradiction(book, contradiction)
    yield from heading(2, "Least urgencies")
    for floor in safety.floors:
        yield from _floor(book, floor)


def _screen(book: Book, screen: ScreenRule) -> Iterator[str]:
    yield from heading(2, "Incomplete safety screen")
    yield from items(
        [
            f"A question of page 1 is not known: {book.urgency(screen.page_1_floor)}",
            f"A required safety question is not known: {book.urgency(screen.required_floor)}",
            f"{screen.raised_at} or more of them, and `{criterion_text(screen.raised_when)}`: "
            f"{book.urgency(screen.raised_floor)}",
        ]
    )


def _contradiction(book: Book, contradiction: Contradiction) -> Iterator[str]:
    yield from heading(3, contradiction.id)
    yield from paragraph(book.text(contradiction.text))
    yield from book.criterion(contradiction.when)
    yield from items(
        [
            labelled("Also read as", readings_text(contradiction)),
            "Guards an emergency" if contradiction.guards_emergency else "",
            labelled("Reports", ", ".join(contradiction.raises)),
        ]
    )


def _floor(book: Book, floor: Floor) -> Iterator[str]:
    yield from heading(3, f"{floor.id}: at least {book.urgency(floor.urgency)}")
    yield from paragraph(book.text(floor.text))
    yield from book.criterion(floor.when)
    yield from items(
        [
            labelled("Reports", ", ".join(floor.raises)),
            "The order of conditions means nothing then" if floor.withholds_ranking else "",
            labelled("Sources", book.sources(floor.evidence)),
        ]
    )


def advice(book: Book) -> Iterator[str]:
    """Everything that may be passed on, warned against, or done next."""
    titles = {condition.id: condition.title for condition in book.pack.content.conditions}
    yield from heading(1, "Advice")
    for one in book.pack.content.advice:
        yield from heading(2, one.id)
        yield from paragraph(book.text(one.text))
        yield from items(
            [
                _KIND[one.kind],
                "Words for the patient, passed on by a clinician" if one.audience is Audience.PATIENT else "",
                "" if one.when is None else f"When `{criterion_text(one.when)}`",
                labelled("Not unless each is known to be no", "; ".join(f"`{criterion_text(c)}`" for c in one.unless)),
                labelled("Only with", ", ".join(titles[condition] for condition in one.conditions)),
                "Held back as self-care is" if one.only_when_clear else "",
                labelled("Sources", book.sources(one.evidence)),
            ]
        )

"""The page on conditions: what speaks for and against each, how soon it has to be seen, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator

from services.triage.engine.conditions import Condition, ConditionFinding, RankingMethod
from services.triage.engine.criteria_text import criterion_text
from services.triage.engine.model import Urgency
from services.triage.knowledge.review.described import code_text, weights
from services.triage.knowledge.review.edition import ratio
from services.triage.knowledge.review.pages.markup import (
    CONDITIONS,
    RED_FLAGS,
    Book,
    heading,
    items,
    labelled,
    paragraph,
)
from services.triage.knowledge.review.pages.rules import flag_heading


def conditions(book: Book) -> Iterator[str]:
    """Every condition, after a list of them by urgency."""
    content = book.pack.content
    yield from heading(1, "Conditions")
    if content.ranking is None:
        yield from paragraph("This pack ranks no conditions.")
        return
    yield from paragraph(
        "Ranked by how strongly the answers support each one compared with the others; never a probability. "
        "×3 when present means: three times more often found with this condition than without it."
    )
    yield from _method(content.ranking)
    for urgency in Urgency:
        listed = [one for one in content.conditions if one.urgency is urgency]
        if listed:
            links = ", ".join(book.link(one.title, CONDITIONS, one.title) for one in listed)
            yield from paragraph(f"**{book.urgency(urgency)}**: {links}.")
    for condition in content.conditions:
        yield from _condition(book, condition)


def _method(method: RankingMethod) -> Iterator[str]:
    yield from items(
        [
            f"Supported: known findings multiply to ×{ratio(method.support_at_least)} or more, among the first "
            f"{method.support_rank}, and at most ×{ratio(method.support_within)} behind the first",
            f"Strongly supported: ×{ratio(method.strong_at_least)} or more",
            f"Main site: `{method.site_fact}`"
            + (f"; further sites: `{method.other_sites_fact}`" if method.other_sites_fact else ""),
        ]
    )


def _condition(book: Book, condition: Condition) -> Iterator[str]:
    flags = {flag.id: flag for flag in book.pack.content.flags}
    guards = (book.link(one, RED_FLAGS, flag_heading(flags[one])) for one in condition.guarded_by)
    flagged = f"; ×{ratio(condition.flagged)} in the order when one of them fired" if condition.flagged else ""
    prior = book.edition.prior
    sites = sorted(condition.prior.items(), key=lambda site: (-site[1], site[0]))
    sites.append(("else", condition.prior_elsewhere))
    yield from heading(2, condition.title)
    yield from paragraph(f"**{book.urgency(condition.urgency)}.** {condition.next_step}")
    yield from items(
        [
            labelled("Must not reassure", condition.never_excluded_by),
            "For clinicians only: never named where a patient or carer may read" if condition.confidential else "",
            labelled("Red flags", ", ".join(guards) + flagged),
            labelled("Reports when supported", ", ".join(condition.raises)),
            "" if condition.only_when is None else f"Only when `{criterion_text(condition.only_when)}`",
            labelled("How common by main site", ", ".join(f"{site} {prior(weight)}" for site, weight in sites)),
            labelled("Codes", "; ".join(code_text(one) for one in condition.codes)),
            labelled("Sources", book.sources(condition.evidence)),
            f"In the files: `{condition.id}`",
        ]
    )
    speaks_for = [one for one in condition.findings if one.yes > 0 or (one.yes == 0 and one.no <= 0)]
    speaks_against = [one for one in condition.findings if one not in speaks_for]
    for title, findings in (("For:", speaks_for), ("Against:", speaks_against)):
        if findings:
            yield from paragraph(title)
            ordered = sorted(findings, key=lambda one: -max(abs(one.yes), abs(one.no)))
            yield from items(_finding(book, one) for one in ordered)


def _finding(book: Book, finding: ConditionFinding) -> str:
    mark = book.edition.marks.get((finding.yes, finding.no, finding.unknown))
    published = f"; published: {book.sources(finding.evidence)}" if finding.evidence else ""
    group = f"; strongest of “{finding.group}”" if finding.group else ""
    marked = f" ({mark})" if mark and not finding.evidence else ""
    return f"`{criterion_text(finding.when)}`: {weights(finding)}{marked}{group}{published}"

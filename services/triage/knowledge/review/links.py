"""Whether the parts of a pack hold together: sources, names that are reported, flags and the conditions they guard."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from services.triage.engine.criteria import Compare, Criterion
from services.triage.engine.pack import Pack
from services.triage.findings import RESPONDENT_FACT
from services.triage.knowledge.review.edition import Edition
from services.triage.knowledge.review.places import (
    CONDITIONS,
    EVIDENCE,
    FACTS,
    FLAGS,
    SAFETY,
    SCORES,
    cited,
    criteria,
    criteria_behind,
    names_behind,
    parts_of,
    raised,
)
from services.triage.knowledge.review.remarks import Remark, error, note

NO_SOURCE = "has no source; name one, or an entry with status expert, which says openly that there is none"


def check_links(edition: Edition) -> Iterator[Remark]:
    """Remarks on everything that should point to something else."""
    pack = edition.pack
    yield from _sources(pack)
    yield from _rules_without_source(pack)
    yield from _guards(edition)
    yield from _names(pack)
    yield from _unused_facts(pack)


def _sources(pack: Pack) -> Iterator[Remark]:
    used = {key for _, key in cited(pack.content)}
    for source in pack.content.evidence.values():
        if source.key not in used:
            yield note(EVIDENCE, source.key, "is cited by nothing")
        if source.status == "verified" and source.checked is None:
            yield error(EVIDENCE, source.key, "is called verified, without the day on which somebody opened it")


def _rules_without_source(pack: Pack) -> Iterator[Remark]:
    content = pack.content
    for flag in content.flags:
        if not flag.evidence:
            yield error(FLAGS, flag.id, NO_SOURCE)
    for score in content.scores:
        if not score.evidence:
            yield error(SCORES, score.id, NO_SOURCE)
    for floor in content.safety.floors:
        if not floor.evidence and _has_number(pack, floor.when):
            yield error(SAFETY, floor.id, NO_SOURCE)
    for condition in content.conditions:
        if not condition.evidence:
            yield note(CONDITIONS, condition.id, NO_SOURCE)


def _has_number(pack: Pack, criterion: Criterion) -> bool:
    parts = (part for when in criteria_behind(pack, criterion) for part in parts_of(when))
    return any(isinstance(part, Compare) and isinstance(part.literal, Decimal) for part in parts)


def _guards(edition: Edition) -> Iterator[Remark]:
    """Conditions and flags point to each other: a danger without a flag rests on the ranking alone."""
    content, general = edition.content, edition.general
    if not content.conditions:
        return
    guarding = {flag for condition in content.conditions for flag in condition.guarded_by}
    for condition in content.conditions:
        if condition.must_not_miss and not (condition.guarded_by or condition.unguarded):
            yield error(CONDITIONS, condition.id, "cannot wait, and no flag guards against it (guarded_by)")
    for flag in content.flags:
        if flag.id not in guarding and flag.id not in general:
            yield error(FLAGS, flag.id, "guards no condition (guarded_by) and is not marked as general")
        if flag.id in guarding and flag.id in general:
            yield error(FLAGS, flag.id, "is marked as general, but conditions name it in guarded_by")


def _names(pack: Pack) -> Iterator[Remark]:
    """What flags and safety rules report is the list of names; nothing else may add to it by a slip."""
    known = {name for _, name in raised(pack.content)}
    for condition in pack.content.conditions:
        for name in condition.raises:
            if name not in known:
                yield error(CONDITIONS, condition.id, f"no flag and no safety rule reports {name!r}")


def _unused_facts(pack: Pack) -> Iterator[Remark]:
    """Facts and derived facts on which no rule depends, in one note each."""
    content = pack.content
    rules = [when for place, when in criteria(content) if place.file != FACTS]
    used = {name for when in rules for name in names_behind(pack, when)}
    used |= {RESPONDENT_FACT} | {match.fact for match in content.text_matches if match.name in used}
    used |= {fact for reading in content.safety.contradictions for one in reading.readings for fact in one}
    if content.ranking is not None:
        used |= {content.ranking.site_fact, content.ranking.other_sites_fact or content.ranking.site_fact}
    kinds = (
        ("facts", [fact.name for fact in content.facts]),
        ("derived facts", [derived.name for derived in content.derived]),
    )
    for kind, names in kinds:
        unused = [name for name in names if name not in used]
        if unused:
            yield note(FACTS, "", f"{kind} that no rule uses: {', '.join(unused)}")

"""A pack as pages: everything that it says can be read there, and every link leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from services.triage.engine.criteria_text import criterion_text
from services.triage.knowledge.loader import PACKS
from services.triage.knowledge.review.edition import Edition
from services.triage.knowledge.review.pages.book import pages
from services.triage.knowledge.review.pages.markup import anchor
from services.triage.knowledge.review.places import criteria
from tests.builders import posterior_lower_limb
from tests.triage.example_form import example_form
from tests.triage.packs import EXAMPLE

SHIPPED = PACKS / "posterior-lower-limb" / "1.0.0"


def written(which: str) -> tuple[Edition, Mapping[str, str]]:
    folder, form = (SHIPPED, posterior_lower_limb()) if which == "shipped" else (EXAMPLE, example_form())
    edition = Edition.load(folder)
    return edition, pages(edition, form)


def anchors(page: str) -> set[str]:
    return {anchor(heading) for heading in re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE)}


@pytest.mark.parametrize("which", ["shipped", "example"])
def test_every_rule_source_and_sentence_stands_on_a_page(which: str) -> None:
    edition, found = written(which)
    content, everything = edition.content, "\n".join(found.values())

    assert [when for _, when in criteria(content) if f"`{criterion_text(when)}`" not in everything] == []
    assert [text for text in content.texts.values() if text not in everything] == []
    assert [source.citation for source in content.evidence.values() if source.citation not in everything] == []
    assert [one.next_step for one in content.conditions if one.next_step not in everything] == []
    assert [flag.rationale for flag in content.flags if flag.rationale not in everything] == []


@pytest.mark.parametrize("which", ["shipped", "example"])
def test_every_link_leads_to_a_heading(which: str) -> None:
    _, found = written(which)
    known = {name: anchors(page) for name, page in found.items()}
    links = {link for page in found.values() for link in re.findall(r"\]\(([a-z-]+\.md)#([^)]+)\)", page)}

    assert links
    assert [(page, heading) for page, heading in sorted(links) if heading not in known[page]] == []


def test_a_pack_that_nobody_signed_says_so_first() -> None:
    _, found = written("example")

    assert next(iter(found)) == "index.md"
    assert "Clinical pack example 0.0.1, draft. No clinician has signed it off." in found["index.md"]


def test_a_name_in_a_criterion_is_explained_by_its_question_or_its_meaning() -> None:
    _, found = written("example")

    assert "- `severity_0_10`: “Severity 0 10?”" in found["red-flags.md"]
    assert "- `sudden`: The pain began suddenly" in found["red-flags.md"]
    assert "- `cannot_walk_4_steps`: “Can Walk 4 Steps?” answered with No" in found["red-flags.md"]
    assert "- `wells_known_points`: known points of: Wells score for DVT, two levels" in found["red-flags.md"]
    assert "- `text_match(other_concerns)`: one of the listed words in “Other Concerns?”" in found["red-flags.md"]


def test_findings_show_their_ratio_and_their_mark_or_source() -> None:
    _, found = written("example")

    assert "- `active_cancer`: present ×2.7, absent ×1; published: [S1](evidence.md#s1)" in found["conditions.md"]
    assert (
        "- `leg_swollen_one_side`: present ×8, absent ×0.25, unknown ×0.6 (H!); strongest of “swelling”"
        in found["conditions.md"]
    )
    assert "- How common by main site: calf 0.05, posterior_knee 0.03" in found["conditions.md"]


def test_what_only_clinicians_may_read_is_marked() -> None:
    _, found = written("example")

    assert "For clinicians only: never in words that a patient or carer may read" in found["red-flags.md"]
    assert "For clinicians only: never named where a patient or carer may read" in found["conditions.md"]


def test_on_a_terminal_nothing_is_linked() -> None:
    plain = pages(Edition.load(EXAMPLE), None, linked=False)

    assert "](" not in "".join(plain.values())
    assert "- Sources: S30" in plain["red-flags.md"]

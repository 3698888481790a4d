"""Everything that the lay articles name is covered or refused, and nothing that is wrong in them is repeated."""

from __future__ import annotations

import pytest

from tests.coverage_page import PAGE, ROOT, Claim, Row, page, problems, read_coverage, sentences

COVERAGE = read_coverage()
ROWS = {row.id: row for row in COVERAGE.rows}
SENTENCES = list(sentences())

WRONG = (
    *("C-01", "C-03", "C-04", "C-05", "C-06", "C-08", "C-09", "C-12", "C-15", "C-16", "C-18", "C-19", "C-20", "C-23"),
    *("C-24", "C-25", "C-28", "C-29", "C-32", "C-36", "C-40", "C-41"),
    *("RF-12", "RF-13", "RF-17", "RF-21", "RF-25"),
    *("T-03", "T-07", "T-08", "T-13"),
)
"""Statements that are wrong, unsafe or misleading as the articles make them."""

MUST_BE_ASKED = (
    *(
        "active_cancer",
        "pregnancy_status",
        "oestrogen_use",
        "immobilised",
        "leg_paralysis_or_cast",
        "long_travel_4h_4w",
    ),
    *("previous_dvt", "thrombophilia", "obesity", "diabetes", "immunosuppressed", "joint_replacement", "iv_drug_use"),
    *("fluoroquinolone_60d", "steroid_systemic", "atrial_fib", "smoker", "heart_artery_disease", "aneurysm_known"),
    *("bleeding_disorder", "osteoporosis", "low_energy"),
)


def test_every_statement_is_there_once_and_every_reference_exists() -> None:
    assert list(problems(COVERAGE)) == []


def test_the_page_is_what_the_table_makes() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page(COVERAGE)


@pytest.mark.parametrize("id_", [*WRONG, *(f"K-{number:02}" for number in range(1, 17))])
def test_where_the_articles_are_wrong_or_disagree_a_position_is_taken(id_: str) -> None:
    assert ROWS[id_].position


def test_what_the_articles_contradict_each_other_about_is_decided_in_the_rules_and_not_only_in_words() -> None:
    assert [row.id for row in COVERAGE.rows if row.id.startswith("K-") and not row.covered_by] == []


@pytest.mark.parametrize("row", [row for row in COVERAGE.rows if row.id.startswith("F-")], ids=lambda row: row.id)
def test_a_factor_is_asked_about_or_has_no_weight_for_a_reason(row: Row) -> None:
    assert row.refused or any(reference.startswith("item:") for reference in row.covered_by)


@pytest.mark.parametrize("item", MUST_BE_ASKED)
def test_a_risk_factor_that_the_articles_leave_out_is_asked(item: str) -> None:
    assert f"item:{item}" in ROWS["F-33"].covered_by


@pytest.mark.parametrize("claim", COVERAGE.claims, ids=lambda claim: claim.row)
def test_no_sentence_of_the_pack_repeats_a_wrong_claim_or_a_refused_number(claim: Claim) -> None:
    assert [(file, text) for file, text in SENTENCES if claim.made_in(text)] == []


def test_a_table_with_a_missing_row_a_dangling_reference_and_a_row_without_answer_is_refused() -> None:
    rows = tuple(row for row in COVERAGE.rows if row.id not in ("C-01", "C-02", "C-03"))
    changed = (Row("C-02", "x", ("condition:beriberi",), "", ""), Row("C-03", "x", (), "", ""), *rows)
    found = list(problems(type(COVERAGE)(changed, COVERAGE.claims)))

    assert found == [
        "C-01 is missing",
        "C-02: there is no condition:beriberi",
        "C-03: is either covered or refused",
    ]

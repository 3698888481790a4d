"""The shape of scores.toml, strictly: published scores, their items, classes and exclusions."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from services.triage.knowledge.schema import Code, CriterionText, FactName, Key, Strict, Words


class ScoreItemTable(Strict):
    """scores.toml, one `[[score.item]]` per item. An item of 0 points is an input that only the classes use.

    ```toml
    [[score.item]]
    id = "bedridden_or_surgery"            # two findings that count once are one criterion
    when = "bedridden_3d | major_surgery_12w"
    points = 1
    answered_by = "patient"                # patient | proxy (patient's answer is a hint only) | clinician
    label = "bedridden 3 days or more, or major surgery within 12 weeks"
    ```
    """

    id: Key
    when: CriterionText
    points: int | Decimal
    answered_by: Literal["patient", "proxy", "clinician"]
    label: Words


class ScoreClassTable(Strict):
    """scores.toml, one `[[score.class]]` per class; bounds are inclusive, a missing bound is open.

    The classes of a score leave no gap: for every patient one of them is right.

    ```toml
    [[score.class]]
    code = "unlikely"
    at_most = 1
    # when = "!d_dimer_positive"           # optional: must hold too
    reassures = true                       # withheld unless all that it stands on is known; default false
    text = "score.wells_dvt.unlikely"
    ```
    """

    code: Code
    at_least: int | Decimal | None = None
    at_most: int | Decimal | None = None
    when: CriterionText | None = None
    reassures: bool = False
    text: Key


class ExclusionTable(Strict):
    """scores.toml, one `[[score.exclusion]]` per patient group that the score was not made for.

    ```toml
    [[score.exclusion]]
    when = "pregnant_or_postpartum"
    withholds = "class"                    # class (default) | reassurance: an alarming class stands
    unknown_counts = true                  # default; false: unknown is reported as not checked, and withholds nothing
    text = "score.wells_dvt.exclusion.pregnancy"
    ```
    """

    when: CriterionText
    withholds: Literal["class", "reassurance"] = "class"
    unknown_counts: bool = True
    text: Key


class ScoreTable(Strict):
    """scores.toml, one `[[score]]` per published score.

    ```toml
    [[score]]
    id = "wells_dvt"
    title = "Wells score for DVT, two levels (2003)"
    purpose = "How likely a thrombosis is before any test."
    population = "Adult out-patients with suspected thrombosis of a leg."
    performance = "Likely 27.9 %, unlikely 5.5 % (S1)."
    known_points_fact = "wells_known_points"   # optional: quantity that criteria may use
    applies_when = "age_years>=18"             # optional: entry; no: not computed, unknown: no reassuring class
    clinician_only = true                      # default false; true: a patient's answers never reassure
    # items_of = "wells_dvt"                   # instead of items of its own: those of another score
    # coded_only = true                        # optional: never put into words, only in the coded result
    # indeterminate = "score.wells_dvt.open"   # optional: key of the sentence for a score that stays open
    evidence = ["S1"]
    ```
    """

    id: FactName
    title: Words
    purpose: Words
    population: Words
    performance: Words
    known_points_fact: FactName | None = None
    applies_when: CriterionText | None = None
    clinician_only: bool = False
    items_of: FactName | None = None
    indeterminate: Key | None = None
    coded_only: bool = False
    evidence: list[Key] = Field(default_factory=list)
    item: list[ScoreItemTable] = Field(default_factory=list)
    class_: Annotated[list[ScoreClassTable], Field(alias="class", min_length=1)]
    exclusion: list[ExclusionTable] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_source_of_items(self) -> ScoreTable:
        if bool(self.item) == (self.items_of is not None):
            raise ValueError("a score has items of its own, or items_of names another score; one of the two")
        return self


class ScoresFile(Strict):
    """scores.toml as a whole (may hold no score)."""

    score: list[ScoreTable] = Field(default_factory=list)

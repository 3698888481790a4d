"""The shape of differential.toml and of conditions/*.toml, as strict as the rest of `schema.py`.

A pack without these files has red flags only and ranks nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator

from services.triage.knowledge.schema import Code, CriterionText, FactName, Key, Strict, Urgencies, Words

Positive = Annotated[int | Decimal, Field(gt=Decimal("1e-9"), lt=Decimal("1e9"))]


class MethodTable(Strict):
    """differential.toml, `[method]`: see the comments in the file of posterior-lower-limb 1.0.0."""

    site: FactName
    other_sites: FactName | None = None
    prior_weight: Positive
    other_site: Positive
    unlisted_site: Positive
    whole_of_parts: Positive
    background: list[FactName] = Field(default_factory=list)
    shown: Annotated[int, Field(ge=5, le=50)]


class SupportTable(Strict):
    """differential.toml, `[support]`: likelihood ratios multiplied, place in the order, times less than the first."""

    at_least: Positive
    strong_at_least: Positive
    rank: Annotated[int, Field(ge=1)]
    within: Positive


class MarkTable(Strict):
    """differential.toml, one line of `[marks]`: likelihood ratios that a mark stands for."""

    yes: Positive
    no: Positive
    no_key: Positive
    no_essential: Positive


class UnknownTable(Strict):
    """differential.toml, `[unknown]`: factors for key and essential features that are not known."""

    key: Positive
    essential: Positive


class DifferentialFile(Strict):
    """differential.toml as a whole."""

    method: MethodTable
    sites: dict[Code, list[Code]] = Field(default_factory=dict)
    support: SupportTable
    marks: dict[Annotated[str, Field(pattern=r"^[A-Za-z]{1,4}$")], MarkTable]
    unknown: UnknownTable


class FindingTable(Strict):
    """conditions/*.toml, one `[[condition.finding]]` for everything that speaks for or against.

    ```toml
    [[condition.finding]]
    when = "active_cancer"
    yes = 2.71                             # published likelihood ratios (default 1) ...
    evidence = ["goodacre-2005"]

    [[condition.finding]]
    when = "onset=sudden"
    mark = "M!"                            # ... or a mark of differential.toml; ! key feature, !! essential feature
    group = "start"                        # optional: of one group only the strongest finding counts
    ```
    """

    when: CriterionText
    mark: Annotated[str, Field(pattern=r"^[A-Za-z]{1,4}!{0,2}$")] | None = None
    yes: Positive | None = None
    no: Positive | None = None
    group: Code | None = None
    evidence: list[Key] = Field(default_factory=list)

    @model_validator(mode="after")
    def _either(self) -> FindingTable:
        if (self.mark is None) == (self.yes is None and self.no is None):
            raise ValueError("give either a mark, or likelihood ratios (yes, no)")
        if self.mark is None and not self.evidence:
            raise ValueError("a likelihood ratio needs its evidence")
        return self


class ConditionTable(Strict):
    """conditions/*.toml, one `[[condition]]` per condition, followed by its findings.

    ```toml
    [[condition]]
    id = "deep_vein_thrombosis"
    title = "deep vein thrombosis of the leg"
    urgency = "same_day"                   # how soon it has to be seen
    next_step = "Same-day assessment in the local thrombosis pathway ..."
    never_excluded_by = "..."              # needed when it must be seen the same day or sooner
    codes = ["snomed 404223003 Deep venous thrombosis of lower extremity (disorder)", "icd-10 I80.2"]
    raises = ["suspected_dvt"]             # reported when the answers support it
    guarded_by = ["RFX-12"]                # flags that guard against it
    # unguarded = "..."                    # or why no flag does, where it cannot wait
    flagged_ratio = 3                      # ranking only, when one of them fired
    confidential = false                   # true: never named where a patient or carer may read
    evidence = ["goodacre-2005"]
    only_when = "age_years<18"             # known to be no: not a candidate
    prior = { calf = 0.06, posterior_knee = 0.03 }   # relative frequency by main site, or "any"
    ```
    """

    id: FactName
    title: Words
    urgency: Urgencies
    next_step: Words
    never_excluded_by: Words | None = None
    codes: list[Annotated[str, Field(pattern=r"^(snomed|icd-10|icd-10-cm) [A-Z0-9.-]{3,18}( .+)?$")]] = Field(
        default_factory=list
    )
    raises: list[FactName] = Field(default_factory=list)
    guarded_by: list[Key] = Field(default_factory=list)
    unguarded: Words | None = None
    flagged_ratio: Positive = 1
    confidential: bool = False
    evidence: list[Key] = Field(default_factory=list)
    only_when: CriterionText | None = None
    prior: Annotated[dict[Code, Positive], Field(min_length=1)]
    finding: Annotated[list[FindingTable], Field(min_length=1)]

    @model_validator(mode="after")
    def _cautious(self) -> ConditionTable:
        if self.urgency in ("emergency", "same_day") and self.never_excluded_by is None:
            raise ValueError("never_excluded_by is missing: say what must not reassure")
        return self


class ConditionsFile(Strict):
    """One file of conditions/."""

    condition: list[ConditionTable]

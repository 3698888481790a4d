"""The shape of advice.toml, as strict as the rest of `schema.py`. A pack without this file gives no advice."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from services.triage.knowledge.schema import CriterionText, FactName, Key, Strict


class AdviceTable(Strict):
    """advice.toml, one `[[advice]]` per measure, warning or next step, in the order in which they are read.

    ```toml
    [[advice]]
    id = "T-02"
    kind = "self_care"                     # self_care | referral | do_not
    audience = "patient"                   # patient (wording to pass on) | clinician
    text = "advice.T-02"                   # key in texts.en.toml
    when = "swelling_ankle_foot"           # optional: must be yes (a warning: yes under any reading)
    unless = ["numb_tingling", "age_years<3"]   # cautions: each must be known to be no; a warning has none
    conditions = ["ankle_sprain"]          # optional: only when one of these is among the candidates
    only_when_clear = true                 # held back like self-care (which always is): urgency routine or
                                           # less, and every flag known not to fire
    evidence = ["expert-opinion"]
    ```
    """

    id: Key
    kind: Literal["self_care", "referral", "do_not"]
    audience: Literal["patient", "clinician"]
    text: Key
    when: CriterionText | None = None
    unless: list[CriterionText] = Field(default_factory=list)
    conditions: list[FactName] = Field(default_factory=list)
    only_when_clear: bool = False
    evidence: Annotated[list[Key], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits_its_kind(self) -> AdviceTable:
        if self.kind == "do_not" and (self.unless or self.only_when_clear):
            raise ValueError("a warning is never withheld: it has no unless and no only_when_clear")
        if self.kind == "do_not" and self.when is None and not self.conditions:
            raise ValueError("a warning says when it holds: give when or conditions")
        if self.kind == "self_care" and self.only_when_clear:
            raise ValueError("self-care is always given only when clear: leave only_when_clear out")
        return self


class AdviceFile(Strict):
    """advice.toml as a whole."""

    advice: list[AdviceTable] = Field(default_factory=list)

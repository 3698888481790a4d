"""The shape of every file in a pack folder, strictly: an unknown key is an error, and so is a missing one.

A pack folder holds pack.toml, facts.toml, red_flags.toml, scores.toml, safety_rules.toml, texts.en.toml,
evidence.toml and cases/*.toml. Criteria are strings in the grammar of `criteria_language.py`; here they are
only strings, the loader parses them. Texts are named by their key in texts.en.toml, evidence by its key in
evidence.toml. The tables of scores.toml are in `scores_schema.py`, those of safety_rules.toml in `safety_schema.py`,
those of cases/ in `cases.py`.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Key = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9._-]{0,79}$")]
FactName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Words = Annotated[str, Field(min_length=1, max_length=2000)]
Urgencies = Literal["emergency", "same_day", "within_2_weeks", "routine", "self_care"]
"""The five urgencies, as they are written in packs."""
CriterionText = Annotated[str, Field(min_length=1, max_length=4000)]


class Strict(BaseModel):
    """Base of all tables: no unknown keys, no silent conversion of types, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# --- pack.toml -----------------------------------------------------------------------------------


class PackFile(Strict):
    """pack.toml: which pack this is and who stands for it.

    ```toml
    name = "posterior-lower-limb"          # folder name; stays the same for all versions
    version = "1.0.0"                      # folder name below it
    canonical = "https://sural.example/fhir/Library/posterior-lower-limb"
    title = "Pain behind the knee, in the calf and behind the ankle"
    status = "draft"                       # draft | active | retired
    language = "en"                        # texts.en.toml
    questionnaires = ["https://sural.example/fhir/Questionnaire/posterior-lower-limb|1.0.0"]
    reviewed_on = 2026-11-22               # optional: content last reviewed
    # approved_on = 2026-12-01             # optional: only with a named clinician's sign-off
    # approved_by = "Dr A. Example, GMC 0000000"
    effective_from = 2026-11-22            # optional: when it is meant to be used; for readers, the status decides
    # effective_to = 2028-11-21
    description = "What this content covers."         # optional, like the next four: for readers of the published
    purpose = "Why it was written."                   # Library and PlanDefinition
    usage = "How it is meant to be used."
    copyright = "Whose it is, and under which licence."
    topics = ["Pain behind the knee"]
    note = "Not signed off by a clinician. Not for use on patients."   # in every assessment
    never_say = ["not DVT", "no DVT"]      # optional: phrases that no text of this pack may hold (SR-11)
    ```
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,47}$")]
    version: Annotated[str, Field(pattern=r"^\d{1,4}\.\d{1,4}\.\d{1,4}$")]
    canonical: Words
    title: Words
    status: Literal["draft", "active", "retired"]
    language: Literal["en"]
    questionnaires: Annotated[list[Words], Field(min_length=1)]
    reviewed_on: date | None = None
    approved_on: date | None = None
    approved_by: Words | None = None
    effective_from: date | None = None
    effective_to: date | None = None
    description: Words | None = None
    purpose: Words | None = None
    usage: Words | None = None
    copyright: Words | None = None
    topics: list[Words] = []
    note: Words
    never_say: list[Words] = []

    @model_validator(mode="after")
    def _in_order(self) -> PackFile:
        if self.effective_from and self.effective_to and self.effective_to < self.effective_from:
            raise ValueError("effective_to is before effective_from")
        return self


class ReleasedFile(Strict):
    """RELEASED.toml, beside the pack folders: the hash of every released pack, which must never change again.

    ```toml
    [released]
    "posterior-lower-limb/1.0.0" = "<sha-256 of the folder, hexadecimal>"
    ```
    """

    released: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = {}


# --- facts.toml ----------------------------------------------------------------------------------


class FactTable(Strict):
    """facts.toml, one `[[fact]]` per fact that is read from an answer.

    ```toml
    [[fact]]
    name = "foot_cold_pale_blue"
    kind = "presence"                      # presence | choice | quantity | text
    screen = "page_1"                      # page_1 | required | none (default)
    label = "cold, pale or blue foot"      # optional short wording for clinicians (default: name)

    [[fact]]
    name = "cannot_walk_4_steps"
    link_id = "can_walk_4_steps"           # default: name
    kind = "presence"
    negated = true                         # "Can you walk 4 steps?" No -> present; not sure stays unknown
    screen = "required"

    [[fact]]
    name = "location"
    kind = "choice"
    codes = ["posterior_knee", "calf"]     # every code that a criterion may compare with
    screen = "required"

    [[fact]]
    name = "severity_0_10"
    kind = "quantity"
    unit = "{score}"                       # UCUM; required for a quantity
    minimum = 0                            # inclusive; outside: unknown, and reported
    maximum = 10

    [[fact]]
    name = "calf_circumference_diff_cm"
    kind = "quantity"
    unit = "cm"
    clinician = true                       # examination item: never asked of patients, exempt from the screen
    ```
    """

    name: FactName
    link_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] | None = None
    kind: Literal["presence", "choice", "quantity", "text"]
    label: Words | None = None
    negated: bool = False
    codes: list[Code] = []
    unit: Words | None = None
    minimum: int | Decimal | None = None
    maximum: int | Decimal | None = None
    screen: Literal["page_1", "required", "none"] = "none"
    clinician: bool = False


class DerivedTable(Strict):
    """facts.toml, one `[[derived]]` per yes/no fact that is computed from others (any order; no cycles).

    ```toml
    [[derived]]
    name = "any_swelling"
    when = "leg_swollen_one_side | calf_swelling | entire_leg_swollen"
    meaning = "Swelling of one leg"

    [[derived]]
    name = "cramp_only"
    when = "cramp_pattern"
    unknown_is_no = true                   # two-valued; say in meaning why that is the more urgent reading
    meaning = "Cramps; unknown counts as no, which keeps the flag that it would silence"
    ```
    """

    name: FactName
    when: CriterionText
    meaning: Words
    unknown_is_no: bool = False


class TextMatchTable(Strict):
    """facts.toml, one `[[text_match]]` per free text that is searched.

    Criteria say ``text_match(other_concerns)``.

    ```toml
    [[text_match]]
    fact = "other_concerns"                # a fact of kind "text"
    words = ["can't breathe", "suicidal"]  # whole words, phrases; any case
    ```
    """

    fact: FactName
    words: Annotated[list[Words], Field(min_length=1)]


class FactsFile(Strict):
    """facts.toml as a whole."""

    fact: list[FactTable]
    derived: list[DerivedTable] = []
    text_match: list[TextMatchTable] = []


# --- red_flags.toml ------------------------------------------------------------------------------


class LineTable(Strict):
    """red_flags.toml, one `[[flag.line]]` per criterion.

    ```toml
    [[flag.line]]
    id = "RFX-02a"
    urgency = "emergency"                  # or same_day ... routine, or "clinician_review" (sets no urgency)
    when = "foot_cold_pale_blue & (sudden | numb_tingling | weak_leg | severity_0_10>=7)"
    raises = ["acute_limb_ischaemia"]      # names to report; may be empty
    text = "RFX-02a"                       # key in texts.en.toml
    clinician_only = false                 # true: never in text that a patient or carer may see (SR-17)
    ```
    """

    id: Key
    urgency: Literal["emergency", "same_day", "within_2_weeks", "routine", "clinician_review"]
    when: CriterionText
    raises: list[FactName] = []
    text: Key
    clinician_only: bool = False


class FlagTable(Strict):
    """red_flags.toml, one `[[flag]]` per red flag, followed by its lines.

    ```toml
    [[flag]]
    id = "RFX-02"
    guards = "acute limb ischaemia"        # what must not be missed
    rationale = "A cold, pale or blue limb with a sudden start is ischaemia until shown otherwise."
    evidence = ["S30"]                     # keys in evidence.toml
    general = false                        # true: guards against no one condition, so no guarded_by names it
    ```
    """

    id: Key
    guards: Words
    rationale: Words
    evidence: list[Key] = []
    general: bool = False
    line: Annotated[list[LineTable], Field(min_length=1)]


class RedFlagsFile(Strict):
    """red_flags.toml as a whole."""

    flag: list[FlagTable]


# --- texts.en.toml, evidence.toml ----------------------------------------------------------------


class TextsFile(Strict):
    """texts.en.toml: every sentence that a reader sees, by key. Keys in quotation marks.

    The keys listed in `required_texts.py` must exist; the words in braces given there are filled in and may
    be left out, others are refused.

    ```toml
    [text]
    "RFX-02a" = "A cold, pale or blue foot with sudden onset, numbness, weakness or severe pain."
    "answer" = "“{question}”: {answer}"
    ```
    """

    text: dict[Key, Words]


class EvidenceTable(Strict):
    """evidence.toml, one `[[evidence]]` per source.

    ```toml
    [[evidence]]
    key = "S1"
    citation = "NICE NG158. Venous thromboembolic diseases: diagnosis, management and thrombophilia testing."
    url = "https://www.nice.org.uk/guidance/ng158"   # optional
    checked = 2026-11-22                   # optional: day on which somebody opened it
    status = "verified"                    # verified | knowledge (not re-checked) | expert | computed
    ```
    """

    key: Key
    citation: Words
    url: Words | None = None
    checked: date | None = None
    status: Literal["verified", "knowledge", "expert", "computed"]


class EvidenceFile(Strict):
    """evidence.toml as a whole."""

    evidence: list[EvidenceTable]

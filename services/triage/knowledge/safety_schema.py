"""The shape of safety_rules.toml, as strict as the rest of `schema.py`."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from services.triage.knowledge.schema import CriterionText, FactName, Key, Strict, Urgencies


class ScreenTable(Strict):
    """safety_rules.toml, `[screen]`: SR-04, the incomplete safety screen.

    ```toml
    [screen]
    page_1_floor = "same_day"              # one page-1 item unknown
    page_1_text = "screen.page_1"
    required_floor = "routine"             # another required safety item unknown
    required_text = "screen.required"
    raised_floor = "same_day"              # this many unknown, and the criterion is yes
    raised_at = 2
    raised_when = "severity_0_10>=5 | onset=sudden"
    raised_text = "screen.raised"
    ```
    """

    page_1_floor: Urgencies
    page_1_text: Key
    required_floor: Urgencies
    required_text: Key
    raised_floor: Urgencies
    raised_at: Annotated[int, Field(ge=1)]
    raised_when: CriterionText
    raised_text: Key


class ContradictionTable(Strict):
    """safety_rules.toml, one `[[contradiction]]` per pair of answers that cannot both be right (SR-06).

    ```toml
    [[contradiction]]
    id = "trauma-denied-with-mechanism"
    when = "!trauma & mechanism!=none"
    readings = [{ trauma = "yes" }, { mechanism = "none" }]   # facts that each other reading replaces (not
                                           # derived ones): yes | no | unknown; a code; a number
    guards_emergency = true                # floor same_day
    raises = ["inconsistent_answers"]
    text = "contradiction.trauma-denied-with-mechanism"
    ```
    """

    id: Key
    when: CriterionText
    readings: list[dict[FactName, str | int | Decimal]] = Field(default_factory=list)
    guards_emergency: bool
    raises: list[FactName] = Field(default_factory=list)
    text: Key


class ContradictionsTable(Strict):
    """safety_rules.toml, `[contradictions]`: what every contradiction has in common (SR-05).

    ```toml
    [contradictions]
    floor = "same_day"                     # when one of the readings guards an emergency
    two_answers_text = "contradiction.two-answers"    # one question answered in two ways
    two_answers_raises = ["inconsistent_answers"]
    ```
    """

    floor: Urgencies
    two_answers_text: Key
    two_answers_raises: list[FactName] = Field(default_factory=list)


class FloorTable(Strict):
    """safety_rules.toml, one `[[floor]]` per least urgency (SR-08, SR-09, SR-23).

    ```toml
    [[floor]]
    id = "SR-09"
    when = "out_of_scope_site"
    urgency = "routine"
    raises = ["out_of_scope"]
    evidence = []
    text = "floor.out_of_scope"
    withholds_ranking = true               # optional: the order of candidates means nothing then
    ```
    """

    id: Key
    when: CriterionText
    urgency: Urgencies
    raises: list[FactName] = Field(default_factory=list)
    evidence: list[Key] = Field(default_factory=list)
    text: Key
    withholds_ranking: bool = False


class DefaultTable(Strict):
    """safety_rules.toml, `[default]`: the urgency when no flag fires and no floor holds.

    ```toml
    [default]
    urgency = "self_care"                  # every flag is known not to fire
    undecided = "routine"                  # at least one flag could not be decided
    ```
    """

    urgency: Urgencies
    undecided: Urgencies


class SafetyRulesFile(Strict):
    """safety_rules.toml as a whole."""

    default: DefaultTable
    screen: ScreenTable
    contradictions: ContradictionsTable
    contradiction: list[ContradictionTable] = Field(default_factory=list)
    floor: list[FloorTable] = Field(default_factory=list)

"""The shape of the mapping file, strictly: what each fact of a case record stands for, or why for nothing.

The file explains itself in its first lines. Criteria are strings in the grammar of the knowledge packs, over the
facts of the record; `mapping.py` reads them and checks every name against the Questionnaire.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from services.triage.knowledge.schema import Code, CriterionText, FactName, Strict, Words

Stated = Code | int | Decimal | list[Code]
"""An answer in the file: the code of an option, several codes, or a number."""


class Stands(Strict):
    """What one value of a fact stands for: answers, weak answers (`because` when it stands for none).

    `withholds`: by question, the scores that this answer must not settle, unless another fact says the same.
    """

    answers: dict[FactName, Stated] = Field(default_factory=dict)
    weak: dict[FactName, Stated] = Field(default_factory=dict)
    withholds: dict[FactName, list[FactName]] = Field(default_factory=dict)
    because: Words | None = None

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if bool(self.answers or self.weak) == (self.because is not None):
            raise ValueError("give answers (or weak answers), or say because of what there are none")
        return self


class YesNoTable(Strict):
    """A fact that is true or false, each value for itself."""

    yes: Stands
    no: Stands


class NumberTable(Strict):
    """A fact that is a number. `round` is needed where the question takes whole numbers only."""

    item: FactName
    round: Literal["down", "up"] | None = None


class ChoiceTable(Strict):
    """A fact that is one of these codes (`several`: a list of them), and the option that each stands for.

    `weak`: it gives way to what several facts say together.
    """

    item: FactName
    several: bool = False
    weak: bool = False
    codes: Annotated[dict[FactName, Code], Field(min_length=1)]


class NamedTable(Strict):
    """A short name for a criterion that others use. `unknown_is_no`: what is not stated does not hold."""

    name: FactName
    when: CriterionText
    unknown_is_no: bool = False


class TogetherTable(Strict):
    """What several facts say together. It holds only when they surely do: unknown is never yes."""

    why: Words
    when: CriterionText
    answers: dict[FactName, Stated] = Field(default_factory=dict)
    weak: dict[FactName, Stated] = Field(default_factory=dict)
    withholds: dict[FactName, list[FactName]] = Field(default_factory=dict)


class CompletedTable(Strict):
    """How silence is read as on a finished form: what never counts as denied, what else does."""

    never: list[FactName]
    also_no: list[FactName]
    none_of_these: dict[FactName, Code]


class ScoreTable(Strict):
    """A score in which results are reported, from the pack's score `from`.

    `gives`: its points when they are exact, the class of exact points, or the class, which may be sure before all
    points are. The record fixes it when `entry` holds and every criterion of `decided` is known.
    """

    from_: Annotated[FactName, Field(alias="from")]
    gives: Literal["points", "class_of_points", "class"]
    entry: CriterionText
    decided: Annotated[list[CriterionText], Field(min_length=1)]


class MappingFile(Strict):
    """The mapping as a whole."""

    questionnaire: Words
    always: dict[FactName, Stated]
    completed: CompletedTable
    worst_first: dict[FactName, list[Code]]
    number: dict[FactName, NumberTable]
    choice: dict[FactName, ChoiceTable]
    same: dict[FactName, FactName]
    opposite: dict[FactName, FactName]
    yes_no: dict[FactName, YesNoTable]
    named: list[NamedTable]
    together: list[TogetherTable]
    score: dict[FactName, ScoreTable]


class NamesFile(Strict):
    """names.toml: red flags, diagnoses, statements and synonyms."""

    red_flags: list[FactName]
    diagnoses: list[FactName]
    accepted_diagnoses: list[FactName]
    statements: list[FactName]
    synonyms: dict[FactName, FactName]

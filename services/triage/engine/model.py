"""The nouns of triage: what is known about a patient, and what a pack says about it.

Conditions are in `conditions.py`, a pack as a whole in `content.py`, results of an evaluation in `results.py`. Nothing
here knows FHIR or any clinical fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, StrEnum
from operator import attrgetter
from typing import TypeAlias

from services.triage.engine.criteria import Criterion
from services.triage.engine.truth import NO, UNKNOWN, YES


class Urgency(StrEnum):
    """How soon a human must act, most urgent first."""

    EMERGENCY = "emergency"
    SAME_DAY = "same_day"
    WITHIN_2_WEEKS = "within_2_weeks"
    ROUTINE = "routine"
    SELF_CARE = "self_care"

    rank: int
    """0 is the most urgent."""


for _rank, _urgency in enumerate(Urgency):
    _urgency.rank = _rank


def most_urgent(*urgencies: Urgency | None) -> Urgency | None:
    """The most urgent of those given; None only when there is none."""
    given = [urgency for urgency in urgencies if urgency is not None]
    return min(given, key=attrgetter("rank")) if given else None


# --- what is known -------------------------------------------------------------------------------


class Presence(Enum):
    """The value of a yes/no fact. UNKNOWN is never ABSENT."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Missing(Enum):
    """Why a choice, quantity or text has no value.

    UNKNOWN: unanswered, "not sure", declined, not examined, out of range, or hidden behind an unanswered
    question; every comparison with it is unknown.
    NOT_APPLICABLE: a gate was answered in a way that rules the item out; every comparison is false.
    """

    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"


MORE_UNKNOWN = "?"
"""In a set of chosen codes: "and perhaps others" (one of the repeats was "not sure").
A code that is not in such a set is unknown, not absent."""

Value: TypeAlias = Presence | frozenset[str] | Decimal | str | Missing
"""presence fact: Presence; choice: the chosen codes; quantity: Decimal in the fact's unit; text: str."""


class Visibility(StrEnum):
    """Whether the person could answer the question (decides what counts as an unanswered safety item)."""

    SHOWN = "shown"
    HIDDEN_NO = "hidden_no"  # detail of something that was answered with no
    NOT_PUT = "not_put"  # ruled out by site, age, sex or the like: absent for the rules, but it speaks against nothing
    HIDDEN_UNKNOWN = "hidden_unknown"  # its gate is unanswered or "not sure": counted through the gate only


class FindingProblem(StrEnum):
    """Why an answer that was given could not be used as it stands."""

    OUT_OF_RANGE = "out_of_range"
    WRONG_UNIT = "wrong_unit"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact about this patient, and where it comes from.

    `alternatives`: filled only when the same question was answered in different ways; then every one of
    these values is considered, and `value` is UNKNOWN (Presence or Missing). `question` and `answer` are the
    words that a reader of the assessment sees; `link_ids` are the Questionnaire items they come from.
    `options`: of a choice that is not known, the words of each code that could have been chosen.
    `plain`: of a yes/no fact that was put to this person, and whose answer leaves no doubt how to read it, the truth;
    0 where somebody has to look closer. `single`: the same of any other fact, as what its slot holds; None where
    somebody has to look closer. `lasting`: every word of it is the Questionnaire's, and it is used for every patient of
    whom it is true, so that what is made of it may be kept.
    """

    value: Value
    link_ids: tuple[str, ...] = ()
    question: str = ""
    answer: str = ""
    visibility: Visibility = Visibility.SHOWN
    alternatives: tuple[Value, ...] = ()
    problem: FindingProblem | None = None
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False, compare=False)
    lasting: bool = field(default=False, repr=False, compare=False)
    plain: int = field(init=False, repr=False, compare=False)
    single: tuple[Value] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work out what is plain."""
        plain, single = 0, None
        if self.problem is None and self.visibility is not Visibility.NOT_PUT:
            if self.value is Presence.ABSENT or self.value is Presence.PRESENT:
                plain = NO if self.value is Presence.ABSENT else YES
            elif self.is_unknown:
                plain = UNKNOWN
            if not self.alternatives:
                nothing = self.value is Presence.UNKNOWN or self.value == frozenset()
                single = (Missing.UNKNOWN if nothing else self.value,)
        object.__setattr__(self, "plain", plain)
        object.__setattr__(self, "single", single)

    @property
    def is_unknown(self) -> bool:
        """True when the fact has no known value (conflicting answers are known to conflict: False)."""
        return not self.alternatives and (self.value is Presence.UNKNOWN or self.value is Missing.UNKNOWN)


class Respondent(StrEnum):
    """Who answered. Only a clinician's answer completes an examination item of a score."""

    PATIENT = "patient"
    PROXY = "proxy"  # parent or carer
    CLINICIAN = "clinician"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Findings:
    """All findings of one response by fact name. A fact that is not in `by_name` is unknown."""

    by_name: Mapping[str, Finding]
    respondent: Respondent = Respondent.UNKNOWN

    def get(self, name: str) -> Finding:
        """The finding; an unanswered one when the response says nothing about it."""
        return self.by_name.get(name, UNANSWERED)


UNANSWERED = Finding(Missing.UNKNOWN)

# --- what a pack says ----------------------------------------------------------------------------


class FactKind(StrEnum):
    """What sort of value a fact has, and so which operators a criterion may use on it."""

    PRESENCE = "presence"
    CHOICE = "choice"
    QUANTITY = "quantity"
    TEXT = "text"

    @property
    def type(self) -> type:
        """What a known value of such a fact is."""
        return _TYPES[self]


_TYPES: Mapping[FactKind, type] = {
    FactKind.PRESENCE: Presence,
    FactKind.CHOICE: frozenset,
    FactKind.QUANTITY: Decimal,
    FactKind.TEXT: str,
}


class Screen(StrEnum):
    """How an unanswered item counts in the incomplete-safety-screen rule (SR-04)."""

    PAGE_1 = "page_1"
    REQUIRED = "required"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class FactDefinition:
    """A fact that is read from an answer.

    `negated`: the wording is positive ("Can you walk 4 steps?"), the fact is its opposite; unknown stays
    unknown.
    `minimum`, `maximum` are inclusive, in `unit`; a value outside is unknown and is reported.
    `clinician`: an examination item, exempt from the screen rule.
    """

    name: str
    link_id: str
    kind: FactKind
    label: str
    negated: bool = False
    codes: frozenset[str] = frozenset()
    unit: str | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    screen: Screen = Screen.NONE
    clinician: bool = False


@dataclass(frozen=True, slots=True)
class DerivedFact:
    """A yes/no fact computed from others. `unknown_is_no`: two-valued, an explicit clinical decision."""

    name: str
    when: Criterion
    label: str
    unknown_is_no: bool = False


@dataclass(frozen=True, slots=True)
class TextMatch:
    """Yes when free text holds one of the words, else no. It may only raise: absence of a word says nothing.

    In criteria it is written ``text_match(fact)``; `name` is that spelling.
    """

    name: str
    fact: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FlagLine:
    """One criterion of a red flag. `urgency` None: asks for a clinician's review, sets no urgency."""

    id: str
    urgency: Urgency | None
    when: Criterion
    raises: tuple[str, ...]
    text: str
    clinician_only: bool = False


@dataclass(frozen=True, slots=True)
class Flag:
    """A red flag: the danger it guards against, and its lines. The most urgent line that fires counts."""

    id: str
    guards: str
    rationale: str
    evidence: tuple[str, ...]
    lines: tuple[FlagLine, ...]

    @property
    def confidential(self) -> bool:
        """True when what it guards against must not be named where a patient or carer may read (SR-17)."""
        return any(line.clinician_only for line in self.lines)


class AnsweredBy(StrEnum):
    """Whose answer settles a score item (see `scores.py`)."""

    PATIENT = "patient"
    PROXY = "proxy"  # a patient's answer is only a hint; a clinician's settles it
    CLINICIAN = "clinician"  # any other answer is ignored


@dataclass(frozen=True, slots=True)
class ScoreItem:
    """Points for one criterion. Two findings that count once are one item: ``a | b``.

    Without points it is an input that only the classes use (``ScoreClass.when``).
    """

    id: str
    when: Criterion
    points: Decimal
    answered_by: AnsweredBy
    label: str


@dataclass(frozen=True, slots=True)
class ScoreClass:
    """A class of a score: inclusive bounds, None is open. `when` must hold too, if there is one.

    Two classes with one code are one class that is reached in two ways. `reassures`: withheld unless everything that
    it stands on is known, also that the score may be used for this patient.
    """

    code: str
    at_least: Decimal | None
    at_most: Decimal | None
    text: str
    when: Criterion | None = None
    reassures: bool = False


class Withholds(StrEnum):
    """What an exclusion takes away from a patient to whom it applies."""

    CLASS = "class"  # the score says nothing about this patient
    REASSURANCE = "reassurance"  # an alarming class stands, a reassuring one does not


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A patient for whom a published score says nothing, or may not reassure. Always reported.

    `unknown_counts`: when nobody knows whether it applies, a reassuring class is withheld. Otherwise it is only
    reported as not checked.
    """

    when: Criterion
    text: str
    withholds: Withholds = Withholds.CLASS
    unknown_counts: bool = True


@dataclass(frozen=True, slots=True)
class ScoreDefinition:
    """A published score, computed as an interval over what is unknown.

    `known_points_fact` names the quantity that criteria may use (``wells_known_points>=2``), if they may.
    `applies_when`: the entry criterion. No: no points at all, and comparisons with that quantity are false. Unknown:
    points, but no class that is more than an alarm. `clinician_only`: a patient's answers never lead to a reassuring
    class. `indeterminate`: key of the sentence for a score that stays open. `coded_only`: never put into words.
    """

    id: str
    title: str
    purpose: str
    population: str
    performance: str
    known_points_fact: str | None
    items: tuple[ScoreItem, ...]
    classes: tuple[ScoreClass, ...]
    evidence: tuple[str, ...]
    applies_when: Criterion | None = None
    exclusions: tuple[Exclusion, ...] = ()
    clinician_only: bool = False
    indeterminate: str | None = None
    coded_only: bool = False


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Answers that cannot both be right. Every reading is considered and the more urgent one wins (SR-05)."""

    id: str
    when: Criterion
    readings: tuple[Mapping[str, Value], ...]
    guards_emergency: bool
    text: str
    raises: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Floor:
    """A least urgency that holds whenever its criterion does.

    `withholds_ranking`: where it holds, the order of the candidates means nothing.
    """

    id: str
    when: Criterion
    urgency: Urgency
    text: str
    raises: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    withholds_ranking: bool = False


@dataclass(frozen=True, slots=True)
class ScreenRule:
    """SR-04. `raised_floor` holds from `raised_at` unknown required items on, when `raised_when` is yes."""

    page_1_floor: Urgency
    page_1_text: str
    required_floor: Urgency
    required_text: str
    raised_floor: Urgency
    raised_at: int
    raised_when: Criterion
    raised_text: str


@dataclass(frozen=True, slots=True)
class SafetyRules:
    """What holds over all flags. `conflict_*` is for one question that was answered in two ways."""

    screen: ScreenRule
    contradictions: tuple[Contradiction, ...]
    contradiction_floor: Urgency
    conflict_text: str
    conflict_raises: tuple[str, ...]
    floors: tuple[Floor, ...]
    default: Urgency
    default_undecided: Urgency

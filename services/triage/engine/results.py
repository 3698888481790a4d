"""What an evaluation says: verdicts with the facts that decided them, scores, floors, data quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from services.triage.engine.advice import AdviceGiven
from services.triage.engine.conditions import Condition, ConditionFinding
from services.triage.engine.content import PackHead
from services.triage.engine.model import (
    AnsweredBy,
    Contradiction,
    Findings,
    Flag,
    FlagLine,
    Presence,
    ScoreClass,
    ScoreDefinition,
    Urgency,
)

if TYPE_CHECKING:
    from services.triage.engine.differential import Weights
    from services.triage.engine.state import State


class Scope(StrEnum):
    """FULL: a finished response. PAGE_1: the emergency items of a response that is still in progress."""

    FULL = "full"
    PAGE_1 = "page_1"


class Verdict(StrEnum):
    """What became of a flag or a line. UNDECIDED is reported, never dropped."""

    FIRED = "fired"
    UNDECIDED = "undecided"
    NOT_FIRED = "not_fired"
    NOT_REACHED = "not_reached"  # page 1 alone: depends on questions that come later


@dataclass(frozen=True, slots=True)
class LineVerdict:
    """A line that fired or is undecided.

    `facts`: base facts in questionnaire order; those that made it fire, or those whose unknown value keeps it
    open.
    `examination_only`: undecided through clinician facts alone.
    """

    line: FlagLine
    verdict: Verdict
    facts: tuple[str, ...]
    examination_only: bool = False


@dataclass(frozen=True, slots=True)
class FlagResult:
    """A flag that fired or is undecided. `lines` holds its fired and undecided lines, in pack order."""

    flag: Flag
    verdict: Verdict
    urgency: Urgency | None
    raises: tuple[str, ...]
    lines: tuple[LineVerdict, ...]

    @property
    def fired(self) -> tuple[LineVerdict, ...]:
        """The lines that fired."""
        return tuple([line for line in self.lines if line.verdict is Verdict.FIRED])

    @property
    def open(self) -> tuple[LineVerdict, ...]:
        """The undecided lines that would make the flag more urgent than it is."""
        if self.urgency is Urgency.EMERGENCY:
            return ()
        return tuple(
            line
            for line in self.lines
            if line.verdict is Verdict.UNDECIDED
            and line.line.urgency is not None
            and (self.urgency is None or line.line.urgency.rank < self.urgency.rank)
        )

    @property
    def examination_only(self) -> bool:
        """True when the flag is undecided only because nobody has examined the patient."""
        return self.verdict is Verdict.UNDECIDED and all(line.examination_only for line in self.lines)


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """A score as an interval (`scores.py`). All points are None when it is known not to apply to this patient.

    `score_class`: the class to be used; None when it is indeterminate, or withheld because of `exclusions` or of who
    answered. `reached`: the alarming class that the least points already reach; the score may still go higher.
    `points_class`: what the published table alone says for these points, whether or not it may be used.
    `exclusions`, `unchecked`: text keys of exclusions that count, and of those that nobody has answered.
    """

    definition: ScoreDefinition
    applies: Presence
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    known_points: Decimal | None = None
    score_class: ScoreClass | None = None
    reached: ScoreClass | None = None
    points_class: ScoreClass | None = None
    unknown_items: tuple[str, ...] = ()
    exclusions: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()

    @property
    def exact(self) -> Decimal | None:
        """The points, when nothing that counts is unknown."""
        return self.minimum if self.minimum == self.maximum else None

    @property
    def examined(self) -> bool:
        """True when an item that takes an examination is known, or the score has no such item."""
        items = [item.id for item in self.definition.items if item.answered_by is AnsweredBy.CLINICIAN]
        return self.applies is not Presence.ABSENT and (not items or not set(items) <= set(self.unknown_items))


class Support(StrEnum):
    """How strongly the answers speak for a condition, compared with the others. Not a probability."""

    STRONG = "strong"
    MODERATE = "moderate"
    WEAK = "weak"


@dataclass(frozen=True, slots=True)
class FindingVerdict:
    """What one finding says about a condition: `weight` above 0 speaks for it, below 0 against it, 0 is not known.

    `facts`: the base facts that decided it, or those whose unknown value keeps it open.
    """

    finding: ConditionFinding
    presence: Presence
    weight: int
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A condition in the order of relative support. `rank` 1 is the first; `score`, `ratio` in thousandths of ln.

    `ratio` is what the known findings weigh, without the prior. Which findings they are: see `weighing.py`.
    """

    condition: Condition
    rank: int
    score: int
    ratio: int
    support: Support

    @property
    def asks_for(self) -> Urgency | None:
        """The urgency that it sets: its own when it is supported and cannot wait, or comes first. None otherwise.

        First place alone, with weak support, makes nothing an emergency: that is seen the same day.
        """
        own = self.condition.urgency
        if self.support is not Support.WEAK and self.condition.must_not_miss:
            return own
        if self.rank > 1:
            return None
        return Urgency.SAME_DAY if own is Urgency.EMERGENCY else own


class Standing(StrEnum):
    """Why a condition is in the must-not-miss panel."""

    FLAGGED = "flagged"  # a red flag that guards against it fired
    SUPPORTED = "supported"  # the answers speak for it
    OPEN = "open"  # answers alone cannot exclude it


class MustNotMiss(NamedTuple):
    """A condition that a fired flag guards against, or that has to be seen the same day or sooner.

    `at_site`: it is known to occur at one of the stated sites (its prior names it).
    """

    condition: Condition
    standing: Standing
    rank: int
    at_site: bool


_SUPPORTED, _OPEN = len(Urgency), 2 * len(Urgency)
"""Where the boxes of these begin in the panel; there is one for each urgency."""


@dataclass(frozen=True)
class Panel:
    """The must-not-miss panel: put together when somebody first reads it.

    `order`: places of `conditions` as they rank. `urgent`, `flagged`, `supported` (ids), `at_site`: what is known of
    them.
    """

    conditions: tuple[Condition, ...]
    urgent: tuple[bool, ...]
    order: tuple[int, ...]
    flagged: frozenset[int]
    supported: frozenset[str]
    at_site: frozenset[int]

    @cached_property
    def entries(self) -> tuple[MustNotMiss, ...]:
        """Flagged conditions, supported ones, the others; in each the most urgent first, then as they rank."""
        boxes: list[list[MustNotMiss]] = [[] for _ in range(len(Standing) * len(Urgency))]
        for rank, place in enumerate(self.order, 1):
            if not self.urgent[place] and place not in self.flagged:
                continue
            condition = self.conditions[place]
            if place in self.flagged:
                box, standing = 0, Standing.FLAGGED
            elif condition.id in self.supported:
                box, standing = _SUPPORTED, Standing.SUPPORTED
            else:
                box, standing = _OPEN, Standing.OPEN
            one = MustNotMiss(condition, standing, rank, place in self.at_site)
            boxes[box + condition.urgency.rank].append(one)
        return tuple([one for box in boxes for one in box])


class FloorKind(StrEnum):
    """Where a floor comes from. SCREEN floors can be reported apart (`Assessment.clinical_urgency`)."""

    RULE = "rule"
    SCREEN = "screen"
    CONTRADICTION = "contradiction"


@dataclass(frozen=True, slots=True)
class AppliedFloor:
    """A floor that holds. `facts`: what decided it, or the items that are unknown."""

    id: str
    kind: FloorKind
    urgency: Urgency
    text: str
    facts: tuple[str, ...]
    raises: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    withholds_ranking: bool = False


class DataQuality(StrEnum):
    """What is wrong with the answers."""

    CONTRADICTORY = "contradictory"
    UNUSABLE = "unusable-answers"
    INCOMPLETE = "screen-incomplete"


@dataclass(frozen=True, slots=True)
class Quality:
    """Answers that could not be taken as they stand, by fact name; empty tuples mean nothing is wrong."""

    contradictions: tuple[Contradiction, ...] = ()
    conflicting: tuple[str, ...] = ()
    unusable: tuple[str, ...] = ()
    page_1_unknown: tuple[str, ...] = ()
    required_unknown: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[DataQuality, ...]:
        """What is wrong, worst first."""
        found = (
            (DataQuality.CONTRADICTORY, self.contradictions or self.conflicting),
            (DataQuality.UNUSABLE, self.unusable),
            (DataQuality.INCOMPLETE, self.page_1_unknown or self.required_unknown),
        )
        return tuple(code for code, items in found if items)


@dataclass(frozen=True, slots=True)
class Assessment:
    """The result of `evaluate`. Same pack and findings, same assessment, field by field.

    `urgency` is None only for page 1 alone when no flag fired and no floor holds: then nothing is known yet.
    `clinical_urgency` leaves out the floors of an incomplete safety screen (SR-04), for records that never
    asked.
    `fired` is ordered most urgent first, `undecided` and `not_fired` (line ids) in pack order.
    `not_reached` counts the lines that page 1 alone cannot decide.
    `candidates` are the first conditions in order of support (none from page 1 alone), `must_not_miss` all conditions
    that cannot wait or that a fired flag guards against: flagged ones first, then supported ones, then the others.
    `state`: the values that all of this was computed from, and `weights` of all conditions, for whoever asks why.
    """

    pack: PackHead
    scope: Scope
    findings: Findings
    urgency: Urgency | None
    clinical_urgency: Urgency | None
    fired: tuple[FlagResult, ...]
    undecided: tuple[FlagResult, ...]
    not_fired: tuple[str, ...]
    not_reached: int
    scores: tuple[ScoreResult, ...]
    floors: tuple[AppliedFloor, ...]
    quality: Quality
    raises: tuple[str, ...]
    candidates: tuple[Candidate, ...] = ()
    panel: Panel | None = None
    advice: tuple[AdviceGiven, ...] = ()
    state: State | None = field(default=None, repr=False, compare=False)
    weights: Weights | None = field(default=None, repr=False, compare=False)

    @property
    def must_not_miss(self) -> tuple[MustNotMiss, ...]:
        """The must-not-miss panel; empty from page 1 alone."""
        return () if self.panel is None else self.panel.entries

    @property
    def all_clear(self) -> bool:
        """True when no flag fired and none is open for want of an answer (examination items apart, SR-04)."""
        return not self.fired and all(result.examination_only for result in self.undecided)

    @property
    def ranking_withheld(self) -> bool:
        """True when too little is known, or only of another part of the body: the order then means nothing."""
        return any(floor.withholds_ranking for floor in self.floors)

    @property
    def needs_review(self) -> bool:
        """True when a line fired that asks a clinician to read the response."""
        return any(line.line.urgency is None for result in self.fired for line in result.fired)


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """The names without repeats, in order of first appearance."""
    return tuple(dict.fromkeys(names))

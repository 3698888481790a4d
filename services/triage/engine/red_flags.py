"""Red flags: every line is evaluated, always, before and apart from anything else.

A flag is as urgent as the most urgent of its lines that fires. A line fires when its criterion is yes under
some reading of the answers; it is undecided when it is unknown. Nothing takes a fired line back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.triage.engine.deciding import Deciding
from services.triage.engine.model import Flag, FlagLine, most_urgent
from services.triage.engine.results import FlagResult, LineVerdict, Verdict, unique
from services.triage.engine.state import State
from services.triage.engine.truth import NO, NOT_REACHED, UNKNOWN, YES


@dataclass(frozen=True, slots=True)
class FlagResults:
    """All flags of a pack: fired (most urgent first), undecided, and the lines that did not fire."""

    fired: tuple[FlagResult, ...]
    undecided: tuple[FlagResult, ...]
    not_fired: tuple[str, ...]
    not_reached: int

    @property
    def all_clear(self) -> bool:
        """True when no flag fired and none is open for lack of an answer (examination items apart, SR-04)."""
        return not self.fired and all(result.examination_only for result in self.undecided)


def verdict(truths: int) -> Verdict:
    """What a set of truths means for a line."""
    if truths & YES:
        return Verdict.FIRED
    if truths & UNKNOWN:
        return Verdict.UNDECIDED
    return Verdict.NOT_REACHED if truths & NOT_REACHED else Verdict.NOT_FIRED


def evaluate_flags(state: State, deciding: Deciding) -> FlagResults:
    """Evaluate every line of every flag."""
    lines = state.pack.lines
    truths = state.pack.line_truths(state.values)
    not_fired = [lines[place][1].id for place, truth in enumerate(truths) if truth == NO]
    not_reached = 0
    kept: dict[str, tuple[Flag, list[LineVerdict]]] = {}
    for place, truth in enumerate(truths):
        if truth == NO:
            continue
        flag, line = lines[place]
        outcome = verdict(truth)
        if outcome is Verdict.NOT_REACHED:
            not_reached += 1
            continue
        if flag.id not in kept:
            kept[flag.id] = (flag, [])
        kept[flag.id][1].append(_line_verdict(line, outcome, state, deciding))
    results = [_flag_result(flag, verdicts) for flag, verdicts in kept.values()]
    fired = [result for result in results if result.verdict is Verdict.FIRED]
    fired.sort(key=_rank)
    undecided = tuple([result for result in results if result.verdict is Verdict.UNDECIDED])
    return FlagResults(tuple(fired), undecided, tuple(not_fired), not_reached)


def fired_lines(state: State) -> list[tuple[Flag, FlagLine]]:
    """The lines that fire, with their flags, in pack order."""
    lines = state.pack.lines
    return [lines[place] for place, truth in enumerate(state.pack.line_truths(state.values)) if truth & YES]


def nothing_open(state: State, deciding: Deciding) -> bool:
    """True when no line is open for lack of an answer (examination items apart, SR-04)."""
    lines = state.pack.lines
    truths = state.pack.line_truths(state.values)
    still_open = (lines[place][1] for place, truth in enumerate(truths) if verdict(truth) is Verdict.UNDECIDED)
    return all(state.pack.examined.issuperset(deciding.facts(line.when, UNKNOWN)) for line in still_open)


def _line_verdict(line: FlagLine, outcome: Verdict, state: State, deciding: Deciding) -> LineVerdict:
    facts = deciding.facts(line.when, YES if outcome is Verdict.FIRED else UNKNOWN)
    examination = outcome is Verdict.UNDECIDED and state.pack.examined.issuperset(facts)
    return LineVerdict(line, outcome, facts, examination)


def _flag_result(flag: Flag, lines: Sequence[LineVerdict]) -> FlagResult:
    fired = [kept.line for kept in lines if kept.verdict is Verdict.FIRED]
    return FlagResult(
        flag=flag,
        verdict=Verdict.FIRED if fired else Verdict.UNDECIDED,
        urgency=most_urgent(*(line.urgency for line in fired)),
        raises=unique([name for line in fired for name in line.raises]),
        lines=tuple(lines),
    )


def _rank(result: FlagResult) -> int:
    """Most urgent first; a flag that only asks for a clinician's review comes after the emergencies."""
    return 1 if result.urgency is None else result.urgency.rank * 2

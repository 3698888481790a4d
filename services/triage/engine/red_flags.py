"""Red flags: every line is evaluated, always, before and apart from anything else.

A flag is as urgent as the most urgent of its lines that fires. A line fires when its criterion is yes under
some reading of the answers; it is undecided when it is unknown. Nothing takes a fired line back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

from services.triage.engine.deciding import Deciding
from services.triage.engine.flag_plans import FlagPlan, LinePlan
from services.triage.engine.model import Flag, FlagLine, most_urgent
from services.triage.engine.results import FlagResult, LineVerdict, Verdict, unique
from services.triage.engine.state import State
from services.triage.engine.truth import NO, NOT_REACHED, SETS, UNKNOWN, YES

_FOUND = YES | UNKNOWN
"""A line that may be one of these fired, or is undecided."""


_DENIED = bytes(int(truths == NO) for truths in range(256))
_NOT_DENIED = bytes(int(truths != NO) for truths in range(256))
"""For `bytes.translate`: which lines did not fire, and which may say something."""
_NOT_REACHED = tuple(bytes([truths]) for truths in range(SETS) if truths & NOT_REACHED and not truths & _FOUND)


class _NotKnown:
    """Of a flag that is not kept; None is kept of one that says nothing."""


_NOT_KNOWN = _NotKnown()


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
    pack = state.pack
    truths = state.line_truths()
    packed = bytes(truths)
    touched = dict.fromkeys(compress(pack.flag_of_line, packed.translate(_NOT_DENIED)))
    found = [flag_result(pack.flag_plans[number], truths, state, deciding) for number in touched]
    results = [result for result in found if result is not None]
    fired = [result for result in results if result.verdict is Verdict.FIRED]
    fired.sort(key=_rank)
    return FlagResults(
        fired=tuple(fired),
        undecided=tuple([result for result in results if result.verdict is Verdict.UNDECIDED]),
        not_fired=tuple(compress(pack.line_ids, packed.translate(_DENIED))),
        not_reached=sum(map(packed.count, _NOT_REACHED)),
    )


def fired_lines(state: State) -> list[tuple[Flag, FlagLine]]:
    """The lines that fire, with their flags, in pack order."""
    lines = state.pack.lines
    return [lines[place] for place, truth in enumerate(state.line_truths()) if truth & YES]


def flag_result(
    plan: FlagPlan, truths: Sequence[int], state: State, deciding: Deciding, *, keep: bool = True
) -> FlagResult | None:
    """What came of one flag; None when no line of it fired or is undecided. The same values say the same once more.

    `keep`: not where some truths are those of other values, so that no patient is judged by what was imagined.
    """
    values = plan.read(state.values)
    known = plan.known.get(values, _NOT_KNOWN)
    if not isinstance(known, _NotKnown):
        return known
    own = zip(plan.lines, truths[plan.first : plan.first + len(plan.lines)], strict=True)
    lines = [_line_result(line, verdict(truth), state, deciding, keep=keep) for line, truth in own if truth & _FOUND]
    result = _flag_result(plan.flag, lines) if lines else None
    if keep:
        plan.remember(values, result)
    return result


def _line_result(plan: LinePlan, outcome: Verdict, state: State, deciding: Deciding, *, keep: bool) -> LineVerdict:
    """What came of a line that fired or is undecided. The same values say the same once more."""
    values = plan.read(state.values)
    result = plan.known.get(values)
    if result is None or result.verdict is not outcome:
        result = _line_verdict(plan.line, outcome, state, deciding)
        if keep:
            plan.remember(values, result)
    return result


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

"""Which rules no patient puts to the test. A rule that never decided anything may be wrong without anybody noticing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.triage.engine.compile import Compiler
from services.triage.engine.conditions import Condition
from services.triage.engine.criteria import Criterion
from services.triage.engine.criteria_text import criterion_text
from services.triage.engine.model import Screen
from services.triage.engine.pack import Pack
from services.triage.engine.results import Assessment, Scope
from services.triage.engine.state import State
from services.triage.engine.truth import YES
from services.triage.knowledge.cases import FIRST
from services.triage.knowledge.review.places import ADVICE, CONDITIONS, FLAGS, SAFETY, SCORES
from services.triage.knowledge.review.remarks import Remark, error, note


def unexercised(pack: Pack, assessments: Sequence[Assessment]) -> Iterator[Remark]:
    """Errors for flag lines and safety rules, notes for everything else."""
    content = pack.content
    fired = {line.line.id for one in assessments for result in one.fired for line in result.fired}
    for flag in content.flags:
        for line in flag.lines:
            if line.id not in fired:
                yield error(FLAGS, line.id, "no case makes this line fire")
    floors = {floor.id for one in assessments for floor in one.floors}
    for floor in (*_screens(pack), *(floor.id for floor in content.safety.floors)):
        if floor not in floors:
            yield error(SAFETY, floor, "no case reaches this floor")
    contradictory = {found.id for one in assessments for found in one.quality.contradictions}
    for contradiction in content.safety.contradictions:
        if contradiction.id not in contradictory:
            yield error(SAFETY, contradiction.id, "no case has this contradiction")
    yield from _scores(pack, assessments)
    yield from _conditions(pack, assessments)
    given = {advised.advice.id for one in assessments for advised in one.advice}
    for advice in content.advice:
        if advice.id not in given:
            yield note(ADVICE, advice.id, "is given in no case")


def _screens(pack: Pack) -> Iterator[str]:
    """Ids of the floors of an incomplete safety screen (SR-04) that this pack can reach."""
    if any(fact.screen is Screen.PAGE_1 for fact in pack.screened):
        yield "screen-page-1"
    required = {fact.link_id for fact in pack.screened if fact.screen is Screen.REQUIRED}
    if required:
        yield "screen-required"
    if len(required) >= pack.content.safety.screen.raised_at:
        yield "screen-raised"


def _scores(pack: Pack, assessments: Sequence[Assessment]) -> Iterator[Remark]:
    reached: dict[str, set[str]] = {score.id: set() for score in pack.content.scores}
    for one in assessments:
        for result in one.scores:
            reached[result.definition.id] |= {
                found.code for found in (result.points_class, result.reached) if found is not None
            }
    for score in pack.content.scores:
        codes = dict.fromkeys(one.code for one in score.classes)
        missing = [code for code in codes if code not in reached[score.id]]
        if missing:
            yield note(SCORES, score.id, f"no case leads to the class {' or '.join(missing)}")


def _conditions(pack: Pack, assessments: Sequence[Assessment]) -> Iterator[Remark]:
    first = {one.condition.id for assessment in assessments for one in assessment.candidates[:FIRST]}
    never = _never_yes(pack, assessments)
    for condition in pack.content.conditions:
        if condition.id not in first:
            yield note(CONDITIONS, condition.id, f"is among the first {FIRST} in no case")
        silent = [finding for finding in condition.findings if finding.when in never]
        if silent:
            yield note(CONDITIONS, condition.id, _silent_findings(condition, [finding.when for finding in silent]))


def _silent_findings(condition: Condition, silent: Sequence[Criterion]) -> str:
    listed = ", ".join(criterion_text(when) for when in silent)
    return f"{len(silent)} of {len(condition.findings)} findings are yes in no case: {listed}"


def _never_yes(pack: Pack, assessments: Sequence[Assessment]) -> set[Criterion]:
    """The findings of conditions that are yes for nobody."""
    compiler = Compiler(pack.slots)
    criteria = {finding.when for condition in pack.content.conditions for finding in condition.findings}
    open_yet = {when: compiler.compile(when) for when in criteria}
    for one in assessments:
        if one.scope is Scope.FULL:
            values = State(pack, one.findings, one.scope).values
            open_yet = {when: test for when, test in open_yet.items() if not test(values) & YES}
    return set(open_yet)

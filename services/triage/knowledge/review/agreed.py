"""Whether the cases of a pack come out as agreed, and whether every flag line has those that it needs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.triage.engine.model import FlagLine, ScoreDefinition
from services.triage.engine.pack import Pack
from services.triage.engine.results import Assessment, Verdict
from services.triage.knowledge.cases import CaseTable, disagreements, line_verdict, run_case
from services.triage.knowledge.files import PackError
from services.triage.knowledge.review.places import CASES, FLAGS, names_behind, raised
from services.triage.knowledge.review.remarks import Remark, error, note
from services.triage.knowledge.review.variants import Variants

KINDS = {"firing": "firing", "near_miss": "near-miss", "unknown": "unknown"}
"""The kinds of case that every line needs, in words."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A case and what came out of it."""

    case: CaseTable
    assessment: Assessment


def run_cases(pack: Pack, cases: Sequence[CaseTable]) -> tuple[list[Ran], list[Remark]]:
    """Every case that this pack can run, and a remark for each that it cannot."""
    ran, remarks = [], []
    for case in cases:
        try:
            ran.append(Ran(case, run_case(pack, case)))
        except PackError as problem:
            remarks += [error(CASES, case.id, sentence.partition(": ")[2]) for sentence in problem.problems]
    return ran, remarks


def check_cases(pack: Pack, ran: Sequence[Ran]) -> Iterator[Remark]:
    """Remarks on single cases, then on lines whose cases are missing."""
    lines = {line.id: line for flag in pack.content.flags for line in flag.lines}
    names = {name for _, name in raised(pack.content)}
    yield from _repeated(ran)
    for one in ran:
        yield from _expectations(one, names)
        if one.case.line is not None and one.case.line not in lines:
            yield error(CASES, one.case.id, f"there is no line {one.case.line!r}")
        elif one.case.line is not None:
            yield from _kind_fits(pack, lines[one.case.line], one)
        elif one.case.kind in KINDS:
            yield error(CASES, one.case.id, f"a {KINDS[one.case.kind]} case names the line that it is about")
    yield from _missing(pack, lines, ran)


def _repeated(ran: Sequence[Ran]) -> Iterator[Remark]:
    for case_id, times in Counter(one.case.id for one in ran).items():
        if times > 1:
            yield error(CASES, case_id, f"{times} cases have this id")


def _expectations(one: Ran, names: set[str]) -> Iterator[Remark]:
    expect = one.case.expect
    for difference in disagreements(one.case, one.assessment):
        yield error(CASES, one.case.id, difference)
    for name in (*expect.raises, *expect.not_raises):
        if name not in names:
            yield error(CASES, one.case.id, f"no flag and no safety rule reports {name!r}")
    if not expect.model_dump(exclude_defaults=True):
        yield error(CASES, one.case.id, "expects nothing")


def _kind_fits(pack: Pack, line: FlagLine, one: Ran) -> Iterator[Remark]:
    case, verdict = one.case, line_verdict(one.assessment, line.id)
    match case.kind:
        case "firing" if verdict is not Verdict.FIRED:
            yield error(CASES, case.id, f"is a firing case, but {line.id} does not fire")
        case "near_miss" if verdict is not Verdict.NOT_FIRED:
            yield error(CASES, case.id, f"is a near-miss case, but {line.id} {_words(verdict)}")
        case "near_miss" if not Variants(pack, line, one.assessment).one_answer_fires():
            yield note(CASES, case.id, f"no single other answer would make {line.id} fire: it is no near miss")
        case "unknown":
            yield from _unknown_fits(pack, line, one.assessment, case.id)


def _unknown_fits(pack: Pack, line: FlagLine, assessment: Assessment, case_id: str) -> Iterator[Remark]:
    verdict = line_verdict(assessment, line.id)
    base = {fact for name in names_behind(pack, line.when) for fact in pack.base_facts.get(name, ())}
    if not any(assessment.findings.get(name).is_unknown for name in base):
        yield error(CASES, case_id, f"is an unknown case, but everything that {line.id} asks is known")
    elif _counts_only_the_known(pack, line):
        return
    elif verdict is Verdict.FIRED and not Variants(pack, line, assessment).an_unknown_can_stop_it():
        yield error(CASES, case_id, f"is an unknown case, but {line.id} fires on what is known")
    elif verdict is Verdict.NOT_FIRED:
        yield error(CASES, case_id, f"is an unknown case, but {line.id} does not fire whatever the answer")


def _counts_only_the_known(pack: Pack, line: FlagLine) -> bool:
    """True for points and for words in free text, where the unknown adds nothing."""
    names = names_behind(pack, line.when)
    points = any(isinstance(pack.computed.get(name), ScoreDefinition) for name in names)
    return points or not names.isdisjoint(pack.text_matches)


def _missing(pack: Pack, lines: Mapping[str, FlagLine], ran: Sequence[Ran]) -> Iterator[Remark]:
    found: dict[tuple[str, str], list[Assessment]] = defaultdict(list)
    for one in ran:
        if one.case.line is not None:
            found[one.case.line, one.case.kind].append(one.assessment)
    for line in lines.values():
        missing = [words for kind, words in KINDS.items() if not found[line.id, kind]]
        if missing:
            yield error(FLAGS, line.id, f"no {_listed(missing)} case")
        unknown = found[line.id, "unknown"]
        if unknown and not any(line_verdict(one, line.id) is Verdict.UNDECIDED for one in unknown):
            firing = (Variants(pack, line, one) for one in found[line.id, "firing"])
            if any(variants.an_unknown_can_open_it() for variants in firing):
                yield error(FLAGS, line.id, "no unknown case leaves the line undecided, though an answer less would")


def _words(verdict: Verdict) -> str:
    return {Verdict.FIRED: "fires", Verdict.UNDECIDED: "is undecided"}.get(verdict, "does not fire")


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"

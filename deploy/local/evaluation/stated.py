"""From the facts of a record to the answers that they stand for, before anything is asked whether it may be given.

Several facts may speak about one question. A finding wins over its denial, so that no stated finding is lost; the side
that lost is remarked on. Contradictions between questions are kept as they are: they are for the engine to judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from deploy.local.evaluation.cases import Fact, Facts
from deploy.local.evaluation.mapping import CaseMapping, Value, value_of
from deploy.local.evaluation.table import Stated as Answer
from services.triage.engine.truth import YES
from shared.fhir.codes import NOT_SURE
from shared.fhir.questionnaire import QuestionItem


@dataclass(frozen=True, slots=True)
class StatedAnswers:
    """Answers by linkId, the facts each came from, scores that must not be settled, and remarks for the reader."""

    answers: Mapping[str, Value]
    sources: Mapping[str, tuple[str, ...]]
    withheld: frozenset[str]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Claim:
    """One fact, or several together, saying how a question is answered. Weak: only where nothing else does."""

    item: str
    value: Value
    source: str
    withholds: frozenset[str] = frozenset()
    weak: bool = False


def stated_answers(mapping: CaseMapping, facts: Facts) -> StatedAnswers:
    """What the record says, as answers. The facts must be of the vocabulary (`CaseMapping.faults`)."""
    by_item: dict[str, list[_Claim]] = {}
    for claim in _claims(mapping, facts):
        by_item.setdefault(claim.item, []).append(claim)
    answers: dict[str, Value] = {}
    sources: dict[str, tuple[str, ...]] = {}
    withheld: set[str] = set()
    remarks: list[str] = []
    for link_id, claims in by_item.items():
        item = mapping.index.items[link_id]
        strong = [claim for claim in claims if not claim.weak]
        value = _agreed(mapping, item, [claim.value for claim in strong or claims])
        if (fault := _out_of_range(item, value)) is not None:
            remarks.append(fault)
            continue
        answers[link_id] = value
        agreeing = [claim for claim in claims if _within(claim.value, value)]
        sources[link_id] = tuple(dict.fromkeys(claim.source for claim in agreeing))
        withheld |= frozenset.intersection(*(claim.withholds for claim in agreeing))
        remarks += [_overruled(claim, value) for claim in strong if not _within(claim.value, value)]
    return StatedAnswers(answers, sources, frozenset(withheld), tuple(remarks))


def _claims(mapping: CaseMapping, facts: Facts) -> Iterator[_Claim]:
    yield from _of(mapping.file.always, "a record comes from a clinician", {})
    for name, value in facts.items():
        yield from _of_fact(mapping, name, value)
    values = mapping.criteria.values(facts)
    for together, test in mapping.together:
        if test(values) == YES:
            yield from _of(together.answers, together.why, together.withholds)
            yield from _of(together.weak, together.why, together.withholds, weak=True)


def _of(
    answers: Mapping[str, Answer], source: str, withholds: Mapping[str, Sequence[str]], *, weak: bool = False
) -> Iterator[_Claim]:
    for item, stated in answers.items():
        yield _Claim(item, value_of(stated), source, frozenset(withholds.get(item, ())), weak)


def _of_fact(mapping: CaseMapping, name: str, value: Fact) -> Iterator[_Claim]:
    file = mapping.file
    if isinstance(value, bool):
        stands = mapping.stands[name][value]
        yield from _of(stands.answers, name, stands.withholds)
        yield from _of(stands.weak, name, stands.withholds, weak=True)
    elif isinstance(value, Decimal):
        number = file.number[name]
        yield _Claim(number.item, _rounded(value, number.round), name)
    else:
        choice = file.choice[name]
        given = value if isinstance(value, tuple) else (value,)
        codes = tuple(dict.fromkeys(choice.codes[one] for one in given))
        yield _Claim(choice.item, codes or (file.completed.none_of_these[choice.item],), name, weak=choice.weak)


def _overruled(claim: _Claim, value: Value) -> str:
    return f"{claim.item}: {_words(value)} stands, although {claim.source} says {_words(claim.value)}"


def _rounded(value: Decimal, way: str | None) -> Decimal:
    if way is None:
        return value
    return value.to_integral_value(ROUND_FLOOR if way == "down" else ROUND_CEILING)


def _agreed(mapping: CaseMapping, item: QuestionItem, values: Sequence[Value]) -> Value:
    """One answer of all that are claimed: every code where several may stand, else the one that weighs more."""
    codes = list(dict.fromkeys(_codes(values)))
    if len(codes) < 2:
        return values[0]
    if item.repeats:
        return tuple(codes)
    order = mapping.file.worst_first.get(item.link_id, [mapping.finding.get(item.link_id, codes[0])])
    return (next((code for code in order if code in codes), codes[0]),)


def _codes(values: Sequence[Value]) -> Iterator[str]:
    for value in values:
        if not isinstance(value, Decimal):
            yield from value


def _within(value: Value, whole: Value) -> bool:
    if isinstance(value, Decimal) or isinstance(whole, Decimal):
        return value == whole
    return set(value) <= {*whole, NOT_SURE}


def _out_of_range(item: QuestionItem, value: Value) -> str | None:
    low, high = item.min_value, item.max_value
    if not isinstance(value, Decimal) or isinstance(low, str) or isinstance(high, str):
        return None
    if (low is None or value >= low) and (high is None or value <= high):
        return None
    return f"{item.link_id}: {value} is out of its range ({low} to {high}) and is left out"


def _words(value: Value) -> str:
    return str(value) if isinstance(value, Decimal) else ", ".join(value)

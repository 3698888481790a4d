"""The mapping, read and checked against the Questionnaire: after that, no name and no code in it can be wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from deploy.local.evaluation.cases import Fact, Facts
from deploy.local.evaluation.criteria import RecordCriteria
from deploy.local.evaluation.table import MappingFile, ScoreTable, Stands, Stated, TogetherTable
from services.triage.engine.compile import Test
from services.triage.engine.model import FactDefinition, FactKind, Screen
from services.triage.knowledge.criteria_language import CriterionError
from services.triage.knowledge.files import PackError
from shared.fhir.answer_values import Coding
from shared.fhir.codes import NO, NOT_SURE, YES
from shared.fhir.questionnaire import QuestionItem, QuestionnaireIndex

FILE = Path(__file__).with_name("posterior-lower-limb-1.0.0.toml")

Value = tuple[str, ...] | Decimal
"""The answer to one question: the codes that are chosen, or the number."""


@dataclass(frozen=True, slots=True)
class FixedScore:
    """A score of the results, and the criteria that say whether a record fixes it."""

    table: ScoreTable
    entry: Test
    decided: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class CaseMapping:
    """What facts stand for, and what the Questionnaire is like. Made by `load_mapping`.

    `finding`: for every yes/no question the code that states the finding ("Y", or "N" where it asks "Can you ...?").
    `denied`: for every question that silence denies on a finished form, the code that denies.
    """

    file: MappingFile
    index: QuestionnaireIndex
    criteria: RecordCriteria
    stands: Mapping[str, Mapping[bool, Stands]]
    together: tuple[tuple[TogetherTable, Test], ...]
    scores: Mapping[str, FixedScore]
    finding: Mapping[str, str]
    denied: Mapping[str, str]
    screened: frozenset[str]

    def faults(self, facts: Facts) -> Iterator[str]:
        """What the vocabulary does not know, one sentence each."""
        for name, value in facts.items():
            if name not in self.stands and name not in self.file.number and name not in self.file.choice:
                yield f"the fact {name} is not in the vocabulary, found {_shown(value)}"
            elif (expected := self._expected(name, value)) is not None:
                yield f"the fact {name} is {_shown(value)}, expected {expected}"

    def _expected(self, name: str, value: Fact) -> str | None:
        """What the value should have been; None when it is right."""
        if name in self.stands:
            return None if isinstance(value, bool) else "true or false"
        if name in self.file.number:
            return None if isinstance(value, Decimal) else "a number"
        choice = self.file.choice[name]
        given = value if isinstance(value, tuple) else (value,)
        if isinstance(value, tuple) == choice.several and all(one in choice.codes for one in given):
            return None
        return f"{'a list of' if choice.several else 'one of'} {', '.join(choice.codes)}"


def _shown(value: Fact) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"[{', '.join(value)}]" if isinstance(value, tuple) else str(value)


def value_of(stated: Stated) -> Value:
    """An answer as the file states it, as a value."""
    if isinstance(stated, list):
        return tuple(stated)
    return (stated,) if isinstance(stated, str) else Decimal(stated)


def load_mapping(table: MappingFile, index: QuestionnaireIndex, facts: Sequence[FactDefinition]) -> CaseMapping:
    """Check the mapping against this Questionnaire and these facts. Raises PackError with all that does not fit."""
    finding = _finding_codes(index, facts)
    stands = _stands(table, finding)
    problems = list(_misfits(table, index, stands))
    try:
        criteria = RecordCriteria(table)
        together = tuple((one, criteria.compile(one.when)) for one in table.together)
        scores = {name: _fixed(score, criteria) for name, score in table.score.items()}
    except CriterionError as error:
        raise PackError([*problems, str(error)]) from error
    if problems:
        raise PackError([f"{FILE.name}: {problem}" for problem in problems])
    screened = frozenset(fact.link_id for fact in facts if fact.screen is not Screen.NONE and not fact.clinician)
    return CaseMapping(
        file=table,
        index=index,
        criteria=criteria,
        stands=stands,
        together=together,
        scores=scores,
        finding=finding,
        denied=_denied(table, finding, screened),
        screened=screened,
    )


def _finding_codes(index: QuestionnaireIndex, facts: Iterable[FactDefinition]) -> dict[str, str]:
    """A question from which several facts are read is worded the other way if one of them says so."""
    found: dict[str, str] = {}
    for fact in facts:
        if fact.kind is FactKind.PRESENCE and fact.link_id in index.items and found.get(fact.link_id) != NO:
            found[fact.link_id] = NO if fact.negated else YES
    return found


def _denied(table: MappingFile, finding: Mapping[str, str], screened: frozenset[str]) -> dict[str, str]:
    closed = (screened & finding.keys()) - set(table.completed.never) | set(table.completed.also_no)
    denied = {item: NO if finding[item] == YES else YES for item in closed}
    return denied | table.completed.none_of_these


def _stands(table: MappingFile, finding: Mapping[str, str]) -> dict[str, dict[bool, Stands]]:
    """Every true-or-false fact with what each of its values stands for."""
    found = {name: {True: one.yes, False: one.no} for name, one in table.yes_no.items()}
    for plain, yes, no in ((table.same, YES, NO), (table.opposite, NO, YES)):
        for name, item in plain.items():
            found[name] = {True: Stands(answers={item: yes}), False: Stands(answers={item: no})}
    return found


def _fixed(score: ScoreTable, criteria: RecordCriteria) -> FixedScore:
    return FixedScore(score, criteria.compile(score.entry), tuple(criteria.compile(one) for one in score.decided))


def _misfits(
    table: MappingFile, index: QuestionnaireIndex, stands: Mapping[str, Mapping[bool, Stands]]
) -> Iterator[str]:
    """Everything in the file that the Questionnaire does not have."""
    if table.questionnaire != index.canonical:
        yield f"is for {table.questionnaire}, not for {index.canonical}"
    names = [*table.number, *table.choice, *table.same, *table.opposite, *table.yes_no]
    names += [one.name for one in table.named]
    yield from (f"{name} is listed twice" for name, times in Counter(names).items() if times > 1)
    for item, stated in _all_answers(table, stands):
        yield from _misfit(index, item, value_of(stated))
    for name, number in table.number.items():
        found = index.items.get(number.item)
        if found is None or found.type not in ("integer", "decimal"):
            yield f"{name}: {number.item} is no question for a number"
        elif (found.type == "integer") != (number.round is not None):
            yield f"{name}: round is for whole numbers, and needed there"
    for item in (*table.completed.never, *table.completed.also_no):
        yield from _misfit(index, item, (NOT_SURE,))
    estimates: list[Stands | TogetherTable] = [one for both in stands.values() for one in both.values()]
    for one in (*estimates, *table.together):
        for item, scores in one.withholds.items():
            if item not in one.answers and item not in one.weak:
                yield f"withholds: {item} is not answered there"
            yield from (f"withholds: there is no score {score}" for score in scores if score not in table.score)


def _all_answers(table: MappingFile, stands: Mapping[str, Mapping[bool, Stands]]) -> Iterator[tuple[str, Stated]]:
    """Every answer that the file may lead to."""
    yield from table.always.items()
    yield from table.completed.none_of_these.items()
    for both in stands.values():
        for one in both.values():
            yield from (*one.answers.items(), *one.weak.items())
    for together in table.together:
        yield from (*together.answers.items(), *together.weak.items())
    for choice in table.choice.values():
        yield from ((choice.item, code) for code in choice.codes.values())
    for item, codes in table.worst_first.items():
        yield from ((item, code) for code in codes)


def _misfit(index: QuestionnaireIndex, link_id: str, value: Value) -> Iterator[str]:
    item = index.items.get(link_id)
    if item is None or not item.is_question:
        yield f"there is no question {link_id}"
    elif isinstance(value, Decimal):
        if item.type not in ("integer", "decimal"):
            yield f"{link_id} is not answered by a number"
    else:
        offered = codes_of(item)
        yield from (f"{link_id} offers no {code}" for code in value if code not in offered)


def codes_of(item: QuestionItem) -> dict[str, Coding]:
    """The options of a question by their code."""
    options = (option.value for option in item.options)
    return {value.code: value for value in options if isinstance(value, Coding) and value.code is not None}

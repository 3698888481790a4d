"""One case through the real path: form, conformance as at intake, facts, engine. What describes a case stays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import orjson

from deploy.local.evaluation.answers import Filled, Silence, fill_in
from deploy.local.evaluation.cases import Case, CaseError, Facts
from deploy.local.evaluation.mapping import FILE, CaseMapping, FixedScore, load_mapping
from deploy.local.evaluation.names import Names, load_names
from deploy.local.evaluation.stated import stated_answers
from deploy.local.evaluation.table import MappingFile
from deploy.local.triage import shipped_form
from services.intake.conformance import check_conformance
from services.triage.assess_response import scope_of
from services.triage.engine.assess import evaluate
from services.triage.engine.model import Presence
from services.triage.engine.pack import Pack
from services.triage.engine.results import Assessment, ScoreResult
from services.triage.engine.truth import UNKNOWN, YES
from services.triage.findings import FactReader
from services.triage.knowledge.files import read_table
from services.triage.knowledge.loader import load_packs
from shared.fhir.codes import Urgency
from shared.fhir.parse import parse_resource
from shared.problems import ProblemError, Severity

STATUS = {Silence.DENIED: "completed", Silence.UNKNOWN: "stopped"}

Score = int | str


class Reading(StrEnum):
    """The three ways to read a record."""

    COMPLETED = "completed"
    AS_GIVEN = "as_given"
    WITHOUT_FLOOR = "as_given_without_floor"


@dataclass(frozen=True, slots=True)
class Result:
    """What came out for one case under one reading.

    `differential`: statements of the engine first, then conditions in their order. `alarms`: fired flags of the two
    most urgent tiers. `lines`: every line that fired. `fixed`: names of the scores that the record fixes.
    """

    case: Case
    urgency: Urgency
    red_flags: tuple[str, ...]
    differential: tuple[str, ...]
    scores: Mapping[str, Score]
    fixed: frozenset[str]
    alarms: tuple[str, ...]
    lines: tuple[str, ...]
    floors: tuple[str, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the engine, its settled scores, and remarks on what of the record it could not be told."""

    assessment: Assessment
    scores: Mapping[str, Score]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Runs cases through one pack. Made by `open_evaluator`."""

    mapping: CaseMapping
    names: Names
    pack: Pack
    reader: FactReader

    def check(self, cases: Sequence[Case]) -> None:
        """Raises CaseError with every fact that the vocabulary does not know."""
        faults = [
            f"line {case.line}: case {case.id}: {fault}." for case in cases for fault in self.mapping.faults(case.facts)
        ]
        if faults:
            raise CaseError(faults)

    def results(self, case: Case, readings: Sequence[Reading] = (*Reading,)) -> dict[Reading, Result]:
        """What came out under these readings. Raises ProblemError when a form does not conform: a fault of the mapping.

        Scores are those that the record settles by itself, in every reading: silence answers no item of a score.
        """
        try:
            as_given = self.run(case.facts, Silence.UNKNOWN)
            completed = self.run(case.facts, Silence.DENIED) if Reading.COMPLETED in readings else as_given
        except ProblemError as error:
            error.add_note(f"case {case.id}: the mapping filled in a form that intake would refuse")
            raise
        return {
            reading: self._result(
                case, completed if reading is Reading.COMPLETED else as_given, as_given.scores, reading
            )
            for reading in readings
        }

    def run(self, facts: Facts, silence: Silence) -> Run:
        """Fill in the form and assess it."""
        stated = stated_answers(self.mapping, facts)
        filled = fill_in(self.mapping, stated, silence)
        response = self._conforming(filled, silence)
        assessment = evaluate(self.pack, self.reader.read(response).findings, scope=scope_of(response))
        scores = _scores(assessment, self.mapping.scores, stated.withheld)
        return Run(assessment, scores, (*stated.remarks, *filled.remarks))

    def _conforming(self, filled: Filled, silence: Silence) -> dict[str, object]:
        """The response as it would come over the wire. What was not asked is no fault where silence is unknown."""
        form = filled.form
        response = _parsed(form.response("completed"))
        unasked = "required" if silence is Silence.UNKNOWN else ""
        faults = (one for one in check_conformance(form.index, response) if one.severity is not Severity.WARNING)
        problems = [one for one in faults if one.code != unasked]
        if problems:
            raise ProblemError(problems)
        return response | {"status": STATUS[silence]}

    def _result(self, case: Case, run: Run, scores: Mapping[str, Score], reading: Reading) -> Result:
        assessment = run.assessment
        urgency = assessment.urgency if reading is Reading.AS_GIVEN else assessment.clinical_urgency
        assert urgency is not None  # only page 1 alone has none
        values = self.mapping.criteria.values(case.facts)
        candidates = tuple(self.names.canonical(one.condition.id) for one in assessment.candidates)
        statements = tuple(name for name in assessment.raises if name in self.names.statements)
        fired = assessment.fired
        return Result(
            case=case,
            urgency=Urgency(urgency),
            red_flags=assessment.raises,
            differential=(*statements, *dict.fromkeys(candidates)),
            scores=scores,
            fixed=frozenset(name for name, score in self.mapping.scores.items() if _is_fixed(score, values)),
            alarms=tuple(one.flag.id for one in fired if one.urgency is not None and Urgency(one.urgency).alerts),
            lines=tuple(line.line.id for one in fired for line in one.fired),
            floors=tuple(floor.id for floor in assessment.floors),
            remarks=run.remarks,
        )


def open_evaluator() -> Evaluator:
    """Everything that a case is run through. Raises PackError when a file does not fit."""
    file = read_table(FILE, MappingFile)
    index = shipped_form(file.questionnaire)
    pack = load_packs()[index.canonical]
    facts = pack.content.facts
    return Evaluator(load_mapping(file, index, facts), load_names(), pack, FactReader(index, facts))


def _parsed(response: Mapping[str, object]) -> dict[str, object]:
    return parse_resource(orjson.dumps(response, default=float), resource_type="QuestionnaireResponse").resource


def _scores(assessment: Assessment, wanted: Mapping[str, FixedScore], withheld: frozenset[str]) -> dict[str, Score]:
    """The scores that the engine settles, by the name in which they are reported."""
    found = {result.definition.id: result for result in assessment.scores}
    scores: dict[str, Score] = {}
    for name, score in wanted.items():
        result = found.get(score.table.from_)
        settled = None if result is None or name in withheld else _settled(result, score.table.gives)
        if settled is not None:
            scores[name] = settled
    return scores


def _settled(result: ScoreResult, gives: str) -> Score | None:
    if result.applies is not Presence.PRESENT or (gives != "class" and result.exact is None):
        return None
    if gives == "points":
        points = result.exact
        return int(points) if isinstance(points, Decimal) else None
    return None if result.points_class is None else result.points_class.code


def _is_fixed(score: FixedScore, values: Sequence[object]) -> bool:
    return score.entry(values) == YES and not any(test(values) & UNKNOWN for test in score.decided)

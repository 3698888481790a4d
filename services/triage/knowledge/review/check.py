"""The check of a whole pack folder: what the loader refuses, and what a reviewer must know before signing it off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.triage.engine.content import PackHead
from services.triage.knowledge.cases import CasesFile, read_cases
from services.triage.knowledge.conditions_schema import ConditionsFile
from services.triage.knowledge.files import PackError, read_table
from services.triage.knowledge.review.agreed import check_cases, run_cases
from services.triage.knowledge.review.counts import counts
from services.triage.knowledge.review.edition import Edition
from services.triage.knowledge.review.exercised import unexercised
from services.triage.knowledge.review.form import compare_with_forms
from services.triage.knowledge.review.links import check_links
from services.triage.knowledge.review.patients import ResponsePatient
from services.triage.knowledge.review.places import CASES, CONDITIONS, PACK, Place
from services.triage.knowledge.review.remarks import Remark, Severity, error
from services.triage.knowledge.review.wording import check_wording
from shared.fhir.questionnaire import QuestionnaireIndex


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found. `head` is None for a pack that does not load; then there are only the loader's errors."""

    folder: Path
    head: PackHead | None
    counts: Mapping[str, int]
    remarks: tuple[Remark, ...]

    def of(self, severity: Severity) -> tuple[Remark, ...]:
        """The errors, or the notes."""
        return tuple(remark for remark in self.remarks if remark.severity is severity)


def check_folder(
    folder: Path, forms: Mapping[str, QuestionnaireIndex], responses: Sequence[ResponsePatient] = ()
) -> Report:
    """Check a pack. `forms`: Questionnaires by canonical. `responses`: patients beyond the pack's own cases, of whom
    those count who answered a Questionnaire of this pack.

    Never raises for a faulty pack: what is wrong with it is in the report.
    """
    try:
        edition = Edition.load(folder)
        cases = read_cases(folder)
    except PackError as problem:
        return Report(folder, None, {}, tuple(_refusal(sentence) for sentence in problem.problems))
    pack = edition.pack
    ran, remarks = run_cases(pack, cases)
    fitting = [one for one in responses if one.form.index.canonical in pack.head.questionnaires]
    assessments = [*(one.assessment for one in ran), *(patient.assessed(pack) for patient in fitting)]
    remarks += [
        *compare_with_forms(pack.content, forms),
        *check_cases(pack, ran),
        *unexercised(pack, assessments),
        *check_links(edition),
        *check_wording(edition),
        *_sign_off(edition),
    ]
    held = counts(pack) | {"cases": len(cases), "responses": len(fitting)}
    return Report(folder, pack.head, held, tuple(_in_order(folder, remarks)))


def _refusal(sentence: str) -> Remark:
    """A sentence of the loader as a remark: ``file: id: what``, where file and id may be missing."""
    file, _, rest = sentence.partition(": ")
    file = {"texts": "texts.en.toml", "conditions": CONDITIONS}.get(file, file)
    return error(file, "", rest) if file.endswith(".toml") else error("", "", sentence)


def _sign_off(edition: Edition) -> Iterator[Remark]:
    head = edition.pack.head
    if head.status == "active" and (head.approved_on is None or edition.approved_by is None):
        yield error(PACK, "status", "is active, but approved_on and approved_by name no clinician who signed it off")


def _in_order(folder: Path, remarks: Sequence[Remark]) -> Iterator[Remark]:
    """By file, errors first; conditions and cases under the name of their own file. None twice."""
    files = {Place(CONDITIONS, about): name for about, name in _condition_files(folder)}
    files |= {Place(CASES, about): name for about, name in _case_files(folder)}
    placed = [replace(one, place=replace(one.place, file=files.get(one.place, one.place.file))) for one in remarks]
    return iter(sorted(dict.fromkeys(placed), key=lambda one: (one.place.file, one.severity is Severity.NOTE)))


def _condition_files(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted((folder / "conditions").glob("*.toml")):
        for table in read_table(path, ConditionsFile).condition:
            yield table.id, f"conditions/{path.name}"


def _case_files(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted((folder / "cases").glob("*.toml")):
        for table in read_table(path, CasesFile).case:
            yield table.id, f"cases/{path.name}"

"""Patients to try packs on: the cases of a pack, and filled questionnaires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.triage.assess_response import scope_of
from services.triage.engine.assess import evaluate
from services.triage.engine.pack import Pack
from services.triage.engine.results import Assessment
from services.triage.findings import FactReader
from services.triage.knowledge.cases import CaseTable, run_case
from services.triage.wording import wording_floor
from shared.fhir.questionnaire import QuestionnaireIndex


class Patient(Protocol):
    """Somebody whose answers a pack can assess. `name`: as it is shown."""

    @property
    def name(self) -> str: ...

    def assessed(self, pack: Pack) -> Assessment:
        """The assessment by this pack. Raises PackError when the answers are of facts that it does not have."""
        ...


@dataclass(frozen=True, slots=True)
class CasePatient:
    """A case of a pack, with everything that it says about the patient. `remark`: which case of that id, if need be."""

    case: CaseTable
    remark: str = ""

    @property
    def name(self) -> str:
        """The id of the case."""
        return f"case {self.case.id}" + (f" ({self.remark})" if self.remark else "")

    def assessed(self, pack: Pack) -> Assessment:
        """See `Patient`."""
        return run_case(pack, self.case)


@dataclass(frozen=True, slots=True)
class Form:
    """A Questionnaire, and what reads its responses for each pack."""

    index: QuestionnaireIndex
    _readers: dict[str, FactReader] = field(default_factory=dict)

    def reader(self, pack: Pack) -> FactReader:
        """Made at first use."""
        key = pack.head.sha256
        if key not in self._readers:
            self._readers[key] = FactReader(self.index, pack.content.facts)
        return self._readers[key]


@dataclass(frozen=True, slots=True)
class ResponsePatient:
    """A QuestionnaireResponse to this form, as triage would assess it without an earlier one."""

    name: str
    response: Mapping[str, Any]
    form: Form

    def assessed(self, pack: Pack) -> Assessment:
        """See `Patient`."""
        findings = self.form.reader(pack).read(self.response).findings
        wording = wording_floor(self.form.index, self.response, pack.head.language)
        floors = () if wording is None else (wording,)
        return evaluate(pack, findings, scope=scope_of(self.response), floors=floors)

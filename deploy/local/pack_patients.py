"""The patients on whom `sural pack` tries packs: examples, files, responses that a system holds, cases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from deploy.local.demo import EXAMPLES
from deploy.local.errors import StartError
from services.intake.conformance import check_conformance
from services.triage.knowledge.cases import read_cases
from services.triage.knowledge.review.patients import CasePatient, Form, Patient, ResponsePatient
from shared.fhir.canonicals import url_and_version
from shared.fhir.client import PAGE, FhirClient, NeighbourUnavailable
from shared.fhir.parse import parse_resource
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.problems import ProblemError, Severity

_RESPONSE = "QuestionnaireResponse"
_BEGINNING = datetime(1970, 1, 2, tzinfo=UTC)


class Waiting:
    """Gathers patients, and notes who had to stay out and why. `forms`: the Questionnaires that are compared on."""

    def __init__(self, forms: Iterable[QuestionnaireIndex]) -> None:
        self._forms = [Form(index) for index in forms]
        self.left_out: list[tuple[str, str]] = []

    def examples(self) -> Iterator[ResponsePatient]:
        """The examples that come with Sural."""
        return self.files([EXAMPLES])

    def files(self, paths: Iterable[Path]) -> Iterator[ResponsePatient]:
        """Responses in these files, and in the JSON files of these folders, that intake would accept."""
        for path in paths:
            for file in sorted(path.glob("*.json")) if path.is_dir() else [path]:
                try:
                    response = parse_resource(file.read_bytes(), resource_type=_RESPONSE).resource
                except ProblemError as error:
                    self.left_out.append((file.name, error.problems[0].message))
                    continue
                yield from self._answering(file.name, response, checked=False)

    def stored(self, url: str, *, at_once: int = PAGE) -> Iterator[ResponsePatient]:
        """Every response that the system behind this FHIR base holds, so many at once. Raises StartError."""
        try:
            with FhirClient(url.rstrip("/").removesuffix("/fhir")) as client:
                changed = client.changed_since(_RESPONSE, _BEGINNING)
                while refs := [one.ref for one in islice(changed, at_once)]:
                    for ref, response in client.read_many(_RESPONSE, refs).items():
                        yield from self._answering(f"{_RESPONSE}/{ref.id}", response, checked=True)
        except NeighbourUnavailable as error:
            raise StartError(f"{error}.", "Give the FHIR base of a running system, such as .../fhir.") from None

    def _answering(self, name: str, response: Mapping[str, Any], *, checked: bool) -> Iterator[ResponsePatient]:
        """The response as a patient. `checked`: intake has accepted it already."""
        canonical = str(response.get("questionnaire", ""))
        form = self._form(canonical)
        if form is None:
            self.left_out.append((name, f"answers {canonical or 'no Questionnaire'}"))
        elif response.get("status") == "entered-in-error":
            self.left_out.append((name, "was entered in error"))
        elif not checked and (reason := _refusal(form, response)) is not None:
            self.left_out.append((name, reason))
        else:
            yield ResponsePatient(name, response, form)

    def _form(self, canonical: str) -> Form | None:
        url, version = url_and_version(canonical)
        fitting = [form for form in self._forms if form.index.url == url and version in ("", form.index.version)]
        return fitting[-1] if fitting else None


def case_patients(before: Path, after: Path) -> Iterator[Patient]:
    """The cases of two packs: those of the newer one, then what the older one had in other words or besides."""
    new = read_cases(after)
    yield from (CasePatient(case) for case in new)
    yield from (CasePatient(case, remark="as it was") for case in read_cases(before) if case not in new)


def _refusal(form: Form, response: Mapping[str, Any]) -> str | None:
    problems = check_conformance(form.index, dict(response))
    errors = [one for one in problems if one.severity in (Severity.ERROR, Severity.FATAL)]
    return f"intake refuses it: {errors[0].message}" if errors else None

"""What the benchmark takes for patients never seen are different patients, whose answers the Questionnaire allows."""

from __future__ import annotations

import orjson

from deploy.local.benchmark.strangers import strangers
from deploy.local.triage import shipped_form
from services.intake.conformance import check_conformance
from shared.fhir.parse import parse_resource


def test_each_stranger_answers_otherwise_and_as_the_form_allows() -> None:
    found = strangers(70)

    assert len({orjson.dumps(one["item"]) for one in found}) == 70
    forms = {name: shipped_form(name) for name in {str(one["questionnaire"]) for one in found}}
    for one in found:
        read = parse_resource(orjson.dumps(one), resource_type="QuestionnaireResponse").resource
        assert not check_conformance(forms[str(one["questionnaire"])], read)


def test_the_strangers_of_every_run_are_the_same() -> None:
    assert strangers(20) == strangers(20)

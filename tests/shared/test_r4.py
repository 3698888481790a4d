"""The second opinion of fhir.resources, told in our own vocabulary."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

from shared.fhir.r4 import validate_with_fhir_resources


def test_a_sound_resource_has_no_problems() -> None:
    assessment = {
        "resourceType": "RiskAssessment",
        "status": "final",
        "subject": {"reference": "Patient/1"},
        "prediction": [{"probabilityDecimal": Decimal("12.50")}],
    }

    assert validate_with_fhir_resources(assessment) == []


def test_a_wrong_resource_is_told_by_place_and_without_its_values() -> None:
    response = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "authored": "Zaphod-7731",
        "item": [{"linkId": "a"}, {"text": "Zaphod-7731"}],
    }

    problems = validate_with_fhir_resources(response)

    assert {each.expression for each in problems} >= {"QuestionnaireResponse.authored"}
    assert "Zaphod-7731" not in repr(problems)


def test_an_unknown_type_is_a_problem_and_not_a_crash() -> None:
    contained = {"resourceType": "Patient", "contained": [{"resourceType": "Zaphod", "id": "z"}]}

    assert [each.code for each in validate_with_fhir_resources({"resourceType": "Zaphod"})] == ["unknown-resource-type"]
    assert [each.code for each in validate_with_fhir_resources(contained)] == ["unknown-resource-type"]
    assert [each.code for each in validate_with_fhir_resources({})] == ["missing-element"]


def test_the_heavy_package_is_not_imported_with_the_module() -> None:
    program = "import sys, shared.fhir.r4; raise SystemExit('fhir.resources' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

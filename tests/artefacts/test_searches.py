"""Which searches an integrator can count on: those that R4 names for the types of ours, and a few of our own."""

from __future__ import annotations

import pytest

from shared.fhir.search_parameters import parameters_of

PROMISED = {
    "RiskAssessment": "date identifier condition performer method subject patient probability risk encounter "
    "basis status",
    "DetectedIssue": "identifier code identified patient author implicated status severity",
    "Task": "identifier status priority owner focus subject patient code authored-on modified business-status "
    "group-identifier based-on part-of requester performer period intent encounter",
    "Communication": "sent received recipient based-on status part-of identifier subject patient",
    "CommunicationRequest": "status priority recipient group-identifier based-on replaces identifier subject patient",
    "QuestionnaireResponse": "authored author based-on encounter identifier part-of patient questionnaire source "
    "status subject",
    "Questionnaire": "url version status name title identifier",
    "CodeSystem": "url version status name title",
    "ValueSet": "url version status name title",
    "StructureDefinition": "url version status name title",
    "OperationDefinition": "url version status name title",
    "SearchParameter": "url version status name",
    "NamingSystem": "status name kind value",
}


@pytest.mark.parametrize("resource_type", PROMISED)
def test_a_type_has_the_search_parameters_of_the_contract(resource_type: str) -> None:
    promised = {"_id", "_lastUpdated", *PROMISED[resource_type].split()}

    assert promised <= parameters_of(resource_type).keys()

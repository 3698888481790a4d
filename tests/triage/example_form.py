"""The Questionnaire of the tiny invented pack, and responses to it."""

from __future__ import annotations

from typing import Any

from services.triage.engine.model import FactDefinition, FactKind
from shared.fhir.questionnaire import QuestionnaireIndex
from tests.forms import answered, between, choice, extension, question, questionnaire, response, yes_no
from tests.triage.packs import example_pack

URL, VERSION = "https://sural.example/fhir/Questionnaire/example", "0.0.1"
Json = dict[str, Any]


def example_questionnaire(*more: Json) -> Json:
    """A question for every fact of the tiny pack, in the order of its facts, and these."""
    items = [_question(fact) for fact in example_pack().content.facts]
    return questionnaire(*items, *more, url=URL, version=VERSION, title="Example")


def example_form(*more: Json) -> QuestionnaireIndex:
    """The same, compiled."""
    return QuestionnaireIndex.build(example_questionnaire(*more))


def example_response(**answers: object) -> Json:
    """A response that answers No to every yes/no question of patients that is not named."""
    given: dict[str, object] = {
        fact.link_id: "Y" if fact.negated else "N"
        for fact in example_pack().content.facts
        if fact.kind is FactKind.PRESENCE and not fact.clinician
    }
    given |= {
        "age_years": 41,
        "location": "posterior_knee",
        "onset": "gradual",
        "severity_0_10": 2,
        "mechanism": "none",
    }
    given |= answers
    order = [fact.link_id for fact in example_pack().content.facts]
    items = [answered(link_id, given[link_id]) for link_id in order if link_id in given]
    return {**response(*items), "questionnaire": f"{URL}|{VERSION}"}


def _question(fact: FactDefinition) -> Json:
    match fact.kind:
        case FactKind.PRESENCE:
            return yes_no(fact.link_id)
        case FactKind.CHOICE:
            return choice(fact.link_id, *sorted(fact.codes))
        case FactKind.TEXT:
            return question(fact.link_id, "text")
        case FactKind.QUANTITY:
            assert fact.minimum is not None
            assert fact.maximum is not None
            unit = extension("questionnaire-unit", valueCoding={"code": fact.unit})
            bounds = between(int(fact.minimum), int(fact.maximum))
            return question(fact.link_id, "integer", extension=[unit, *bounds])

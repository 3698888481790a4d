"""The rules of a pack as a FHIR R4 PlanDefinition: what is looked for in the answers, and how soon somebody must act.

Each action is one rule with its criterion, as it is written in the pack, in the language `text/x-sural-criterion`
(`knowledge/criteria_language.py`); the facts that criteria name are defined in the Library. How the findings of a
condition weigh is not an if-then rule and stays in the Library too.
https://hl7.org/fhir/R4/plandefinition.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.triage.basis import Resource
from services.triage.engine.conditions import Condition
from services.triage.engine.model import Contradiction, Flag, FlagLine, Floor, ScreenRule, most_urgent
from services.triage.engine.pack import Pack
from services.triage.plan_parts import documented, red_flag, rule, when
from services.triage.plan_scores import score_action
from services.triage.publication import frame, plan_url, questionnaires

_PLAN_TYPE = "http://terminology.hl7.org/CodeSystem/plan-definition-type"
_ON_RESPONSE = [{"type": "data-added", "data": [{"type": "QuestionnaireResponse"}]}]
_ITEMS = "the questions concerned"


def plan_definition(pack: Pack) -> Resource:
    """The PlanDefinition of a pack, without meta and date (`definitions.stamped`)."""
    head = pack.head
    library = f"{head.canonical}|{head.version}"
    resource = frame(pack, "PlanDefinition", url=plan_url(head))
    resource["type"] = {"coding": [{"system": _PLAN_TYPE, "code": "eca-rule", "display": "ECA Rule"}]}
    resource["relatedArtifact"] = [{"type": "depends-on", "resource": library}, *questionnaires(head)]
    resource["library"] = [library]
    resource["action"] = list(_groups(pack))
    return resource


def _groups(pack: Pack) -> Iterator[Resource]:
    content = pack.content
    yield _group(
        "red-flags",
        "Red flags",
        "Every line of every flag is evaluated. A flag is as urgent as its most urgent line that fires; a line that "
        "answers cannot decide is reported as undecided.",
        [_flag(pack, flag) for flag in content.flags],
    )
    yield _group(
        "safety-rules",
        "Safety rules",
        "Least urgencies that hold over all flags. They raise the result and never lower it.",
        list(_safety(pack)),
    )
    if content.scores:
        yield _group(
            "scores",
            "Scores",
            "Published scores, counted as least and most points over what is unknown. A class is given only when both "
            "agree on it, and no class lowers an urgency.",
            [score_action(pack, score) for score in content.scores],
        )
    if content.conditions:
        yield _group(
            "conditions",
            "Conditions",
            "Ranked by relative support, never a probability. They raise the urgency and never lower it; a low place "
            "excludes nothing. A condition is left out only where its criterion is known not to hold.",
            [_condition(pack, condition) for condition in content.conditions],
        )


def _group(group_id: str, title: str, description: str, actions: Sequence[Resource]) -> Resource:
    return {
        "id": group_id,
        "title": title,
        "description": description,
        "trigger": _ON_RESPONSE,
        "groupingBehavior": "logical-group",
        "selectionBehavior": "any",
        "action": list(actions),
    }


def _flag(pack: Pack, flag: Flag) -> Resource:
    urgency = most_urgent(*(line.urgency for line in flag.lines))
    action = rule(
        pack, f"flag.{flag.id}", flag.guards, urgency, review=urgency is None, clinician_only=flag.confidential
    )
    action |= {
        "prefix": flag.id,
        "description": flag.rationale,
        "code": [red_flag(pack, flag.id, flag.guards)],
        "selectionBehavior": "any",
        "action": [_line(pack, line) for line in flag.lines],
    }
    return action | documented(pack, flag.evidence)


def _line(pack: Pack, line: FlagLine) -> Resource:
    action = rule(
        pack,
        f"line.{line.id}",
        "Clinician review" if line.urgency is None else pack.text(f"urgency.{line.urgency.value}"),
        line.urgency,
        review=line.urgency is None,
        raises=line.raises,
        clinician_only=line.clinician_only,
    )
    return action | {"prefix": line.id, "description": pack.text(line.text), **when(line.when)}


def _safety(pack: Pack) -> Iterator[Resource]:
    safety = pack.content.safety
    yield from _screen(pack, safety.screen)
    two_answers = "Two different answers to one question on which an emergency depends"
    action = rule(pack, "two-answers", two_answers, safety.contradiction_floor, raises=safety.conflict_raises)
    yield action | {"description": pack.text(safety.conflict_text)}
    for contradiction in safety.contradictions:
        yield _contradiction(pack, contradiction)
    for floor in safety.floors:
        yield _floor(pack, floor)
    yield rule(pack, "default", "No flag fires and no floor holds", safety.default)
    yield rule(pack, "default.undecided", "No flag fires, and at least one is undecided", safety.default_undecided)


def _screen(pack: Pack, screen: ScreenRule) -> Iterator[Resource]:
    """The incomplete safety screen (SR-04). How many questions are unknown cannot be said in a criterion."""
    page_1, required = "A question of page 1 is not assessed", "A required safety question is not assessed"
    raised = f"Required safety questions are not assessed, at least {screen.raised_at} of them, and the criterion holds"
    for floor, title, urgency, text, criterion in (
        ("screen-page-1", page_1, screen.page_1_floor, screen.page_1_text, None),
        ("screen-required", required, screen.required_floor, screen.required_text, None),
        ("screen-raised", raised, screen.raised_floor, screen.raised_text, screen.raised_when),
    ):
        yield rule(pack, floor, title, urgency) | {"description": pack.text(text, items=_ITEMS)} | when(criterion)


def _contradiction(pack: Pack, contradiction: Contradiction) -> Resource:
    """Every reading is evaluated; a floor holds when one of them guards an emergency."""
    urgency = pack.content.safety.contradiction_floor if contradiction.guards_emergency else None
    action = rule(pack, contradiction.id, "Contradictory answers", urgency, raises=contradiction.raises)
    return action | {"description": pack.text(contradiction.text), **when(contradiction.when)}


def _floor(pack: Pack, floor: Floor) -> Resource:
    action = rule(pack, floor.id, "Least urgency", floor.urgency, raises=floor.raises)
    action |= {"prefix": floor.id, "description": pack.text(floor.text)}
    return action | documented(pack, floor.evidence) | when(floor.when)


def _condition(pack: Pack, condition: Condition) -> Resource:
    action = rule(
        pack,
        f"condition.{condition.id}",
        condition.title,
        condition.urgency,
        raises=condition.raises,
        clinician_only=condition.confidential,
    )
    action["textEquivalent"] = condition.next_step
    if condition.never_excluded_by:
        action["description"] = pack.text("prediction.never_excluded", text=condition.never_excluded_by)
    codings = [
        {"system": code.system, "code": code.code, **({"display": code.display} if code.display else {})}
        for code in condition.codes
    ]
    action["code"] = [{**({"coding": codings} if codings else {}), "text": condition.title}]
    if condition.guarded_by:
        guards = {flag.id: flag.guards for flag in pack.content.flags}
        action["reason"] = [red_flag(pack, flag, guards[flag]) for flag in condition.guarded_by]
    return action | when(condition.only_when) | documented(pack, condition.evidence)

"""May this Questionnaire be published? Everything that stands in the way, and what is worth saying.

A Questionnaire passes the strict gate of R4, a second reading by fhir.resources, and the compiler whose result
responses are judged by: what could not be judged later is refused now. Value sets are expanded at this moment and kept
with the version, so that it means the same for ever. https://hl7.org/fhir/R4/questionnaire.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.intake.patterns import can_compute
from shared.fhir.parse import parse_resource
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.fhir.r4 import validate_with_fhir_resources
from shared.problems import Category, Problem, ProblemError, Severity

FindValueSet = Callable[[str], Mapping[str, Any] | None]
"""A ValueSet with its expansion by canonical, None where it is not known. Raises ProblemError 503 to try again."""

CORE: Final = "http://hl7.org/fhir/StructureDefinition/"
REGEX: Final = f"{CORE}regex"
UNIT_VALUE_SET: Final = f"{CORE}questionnaire-unitValueSet"
SDC: Final = "http://hl7.org/fhir/uv/sdc/StructureDefinition/"
NOT_EVALUATED: Final = {
    f"{SDC}sdc-questionnaire-calculatedExpression": "is not computed here; the answer is taken as sent",
    f"{SDC}sdc-questionnaire-initialExpression": "is not computed here; the answer is taken as sent",
    f"{SDC}sdc-questionnaire-candidateExpression": "is not computed here; options are those of the Questionnaire",
    f"{SDC}sdc-questionnaire-answerExpression": "is not computed here; options are those of the Questionnaire",
    f"{SDC}sdc-questionnaire-contextExpression": "is not computed here",
    f"{SDC}sdc-questionnaire-itemPopulationContext": "is not computed here; the answer is taken as sent",
    "http://hl7.org/fhir/StructureDefinition/variable": "is not computed here",
    "http://hl7.org/fhir/StructureDefinition/questionnaire-constraint": "is not checked here",
    "http://hl7.org/fhir/StructureDefinition/cqf-expression": "is not computed here",
    "http://hl7.org/fhir/StructureDefinition/cqf-calculatedValue": "is not computed here",
}
"""Expressions that a Questionnaire may hold and that nobody evaluates here, and what that means."""


MOST_CONDITIONS: Final = 100
"""Different conditions on one question that takes many answers to be compared: with 4,000 answers, the most that a
response may have, they take less than a second. No shipped form has any such condition."""


@dataclass(frozen=True, slots=True)
class Authored:
    """A Questionnaire that may be published. `value_sets`: those that are not contained, by canonical, expanded."""

    body: bytes
    resource: dict[str, Any]
    index: QuestionnaireIndex
    value_sets: Mapping[str, Mapping[str, Any]]
    warnings: tuple[Problem, ...]


def examine(body: bytes, *, find_value_set: FindValueSet) -> Authored:
    """Check a Questionnaire in full.

    Raises ProblemError: 400 with all problems of structure, else 422 with every reason why it must not be published.
    """
    resource = parse_resource(body, resource_type="Questionnaire").resource
    value_sets = {
        canonical: found
        for canonical in dict.fromkeys(_external_value_sets(resource))
        if (found := find_value_set(canonical)) is not None
    }
    problems = [*_check_status(resource), *_check_patterns(resource, "Questionnaire")]
    try:
        index = QuestionnaireIndex.build(resource, value_sets)
    except ProblemError as refused:
        raise ProblemError([*refused.problems, *problems]) from None
    problems += _check_conditions(index)
    # The second reading is the dearest by far: only for what has nothing else against it.
    if problems := problems or validate_with_fhir_resources(resource):
        raise ProblemError(problems)
    return Authored(body, resource, index, value_sets, tuple(_expressions(resource, "Questionnaire", None)))


def codes_of(value_set: Mapping[str, Any]) -> dict[str, Any]:
    """Of a ValueSet what options are read from."""
    return {name: value_set[name] for name in ("expansion", "compose") if name in value_set}


def _external_value_sets(element: Mapping[str, Any]) -> Iterator[str]:
    for item in element.get("item") or ():
        units = [
            each.get("valueCanonical") for each in item.get("extension") or () if each.get("url") == UNIT_VALUE_SET
        ]
        for value_set in (item.get("answerValueSet"), *units):
            if isinstance(value_set, str) and not value_set.startswith("#"):
                yield value_set
        yield from _external_value_sets(item)


def _check_status(resource: Mapping[str, Any]) -> list[Problem]:
    if resource.get("status") != "unknown":
        return []
    message = "Found status unknown, expected draft, active or retired. Say which."
    return [
        Problem(
            Category.UNPROCESSABLE,
            "questionnaire-status",
            message,
            expression="Questionnaire.status",
            issue_code="business-rule",
        )
    ]


def _check_patterns(element: Mapping[str, Any], expression: str) -> Iterator[Problem]:
    """Every ``regex`` that no answer can be held against, in document order."""
    for number, item in enumerate(element.get("item") or ()):
        here = f"{expression}.item[{number}]"
        for place, extension in enumerate(item.get("extension") or ()):
            pattern = extension.get("valueString")
            if extension.get("url") == REGEX and isinstance(pattern, str) and not can_compute(pattern):
                yield Problem(
                    Category.UNPROCESSABLE,
                    "pattern-not-computable",
                    f"{item.get('linkId')}: the pattern is too long, or not in the syntax of RE2, which knows neither "
                    "look-around nor back-references. Write it so that RE2 reads it.",
                    expression=f"{here}.extension[{place}].value",
                    link_id=item.get("linkId"),
                    issue_code="not-supported",
                )
        yield from _check_patterns(item, here)


def _check_conditions(index: QuestionnaireIndex) -> Iterator[Problem]:
    """Every question that takes many answers and is asked for in too many ways, in document order.

    Each answer may have to be compared in each condition, so that a response could take many seconds to judge. Listed
    codings are looked up instead.
    """
    asked: dict[str, set[int]] = {}
    for item in index.items.values():
        for condition in item.enable_when:
            asked.setdefault(condition.question, set()).add(condition.number)
    for link_id, item in index.items.items():
        is_many = item.repeats or not item.singular
        number = len(asked.get(link_id, ()))
        if number > MOST_CONDITIONS and is_many and any(kind != "Coding" for kind in item.answer_kinds):
            yield Problem(
                Category.UNPROCESSABLE,
                "too-many-conditions",
                f"{link_id}: {number} different conditions (enableWhen) ask for a question that takes many answers, at "
                f"most {MOST_CONDITIONS} may. Let items share conditions, put them into one group, or list the answers "
                "as codings.",
                expression="Questionnaire.item",
                link_id=link_id,
                issue_code="too-costly",
            )


def _expressions(element: Mapping[str, Any], expression: str, link_id: str | None) -> Iterator[Problem]:
    """One warning for each expression that is carried and not evaluated, in document order."""
    for number, extension in enumerate(element.get("extension") or ()):
        meaning = NOT_EVALUATED.get(str(extension.get("url")))
        if meaning is not None:
            name = str(extension["url"]).rpartition("/")[2].removeprefix("sdc-questionnaire-")
            yield Problem(
                Category.UNPROCESSABLE,
                "expression-not-evaluated",
                f"{link_id or 'The Questionnaire'}: {name} {meaning}.",
                expression=f"{expression}.extension[{number}]",
                link_id=link_id,
                severity=Severity.WARNING,
                issue_code="not-supported",
            )
    for number, item in enumerate(element.get("item") or ()):
        yield from _expressions(item, f"{expression}.item[{number}]", item.get("linkId"))

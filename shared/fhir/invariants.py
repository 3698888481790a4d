"""The invariants of FHIR R4 4.0.1 that can be decided from the resource alone, as one table.

https://hl7.org/fhir/R4/conformance-rules.html#constraints. Rules about references and contained resources
are held by links.py, those about narratives by primitives.py.
"""

from __future__ import annotations

from shared.fhir.invariant import Invariant
from shared.fhir.invariants_of_definitions import OF_DEFINITIONS
from shared.fhir.predicates import (
    UCUM,
    WITH_LENGTH,
    WITH_OPTIONS,
    abated_is_over,
    at_most_100,
    distinct,
    entries,
    entry_requests,
    entry_responses,
    error_has_no_course,
    full_urls,
    group_or_display,
    has,
    has_choice,
    implies,
    in_order,
    link_ids,
    low_not_above_high,
    needs,
    not_both,
    not_negative,
    parameter_content,
    part,
    percent,
    positive_in_ucum,
    ratio,
    starts_with,
    texts,
    ucum_coded,
    value_beside_component,
    whole_count,
)

_QTY_3 = Invariant("qty-3", implies("code", "system"), "A unit code needs the system it comes from; add 'system'.")

INVARIANTS: dict[str, tuple[Invariant, ...]] = {
    **OF_DEFINITIONS,
    "Extension": (
        Invariant(
            "ext-1",
            lambda node: ("extension" in node) != has_choice(node, "value"),
            "An extension has either a value or extensions inside; give it one of both.",
        ),
    ),
    "Quantity": (_QTY_3,),
    "SimpleQuantity": (_QTY_3,),
    "Distance": (_QTY_3, Invariant("dis-1", ucum_coded, "A distance needs a UCUM length unit as code.")),
    "Age": (
        _QTY_3,
        Invariant("age-1", positive_in_ucum, "An age is positive, with a UCUM time unit as code."),
    ),
    "Count": (_QTY_3, Invariant("cnt-3", whole_count, "A count is a whole number with the UCUM code '1'.")),
    "Duration": (
        _QTY_3,
        Invariant(
            "drt-1",
            lambda node: not has(node, "code") or (node.get("system") == UCUM and has(node, "value")),
            "A duration with a code needs a value and the UCUM system.",
        ),
    ),
    "Range": (Invariant("rng-2", low_not_above_high, "'low' is above 'high'; swap or correct them."),),
    "Ratio": (Invariant("rat-1", ratio, "A ratio needs both numerator and denominator, or neither."),),
    "Period": (
        Invariant(
            "per-1",
            lambda node: in_order(node.get("start"), node.get("end")),
            "'start' is later than 'end'; swap or correct them.",
        ),
    ),
    "Attachment": (Invariant("att-1", implies("data", "contentType"), "'data' needs 'contentType'; add it."),),
    "ContactPoint": (Invariant("cpt-2", implies("value", "system"), "'value' needs 'system' (phone, email, ...)."),),
    "Expression": (Invariant("exp-1", needs("expression", "reference"), "Give 'expression' or 'reference'."),),
    "Timing.repeat": (
        Invariant("tim-1", implies("duration", "durationUnit"), "'duration' needs 'durationUnit'."),
        Invariant("tim-2", implies("period", "periodUnit"), "'period' needs 'periodUnit'."),
        Invariant("tim-4", not_negative("duration"), "'duration' must not be negative."),
        Invariant("tim-5", not_negative("period"), "'period' must not be negative."),
        Invariant("tim-6", implies("periodMax", "period"), "'periodMax' needs 'period'."),
        Invariant("tim-7", implies("durationMax", "duration"), "'durationMax' needs 'duration'."),
        Invariant("tim-8", implies("countMax", "count"), "'countMax' needs 'count'."),
        Invariant(
            "tim-9",
            lambda node: (
                not has(node, "offset")
                or (has(node, "when") and {"C", "CM", "CD", "CV"}.isdisjoint(texts(node, "when")))
            ),
            "'offset' needs 'when', and not one of C, CM, CD and CV.",
        ),
        Invariant("tim-10", not_both("timeOfDay", "when"), "Give 'timeOfDay' or 'when', not both."),
    ),
    "QuestionnaireResponse.item": (
        Invariant(
            "qrs-1",
            not_both("answer", "item"),
            "An item holds answers or items, not both; items below a question belong inside its answer.",
        ),
    ),
    "Questionnaire": (
        Invariant("que-2", lambda node: distinct(link_ids(node)), "A linkId is used twice; make them unique."),
    ),
    "Questionnaire.item": (
        Invariant("que-1", group_or_display, "A group needs items, and a display must not have any."),
        Invariant(
            "que-3",
            lambda node: node.get("type") != "display" or "code" not in node,
            "A display has no code.",
        ),
        Invariant(
            "que-4",
            not_both("answerOption", "answerValueSet"),
            "Give answerOption or answerValueSet, not both.",
        ),
        Invariant(
            "que-5",
            lambda node: (
                node.get("type") in WITH_OPTIONS or not (has(node, "answerOption") or has(node, "answerValueSet"))
            ),
            "This type of item takes no list of options.",
        ),
        Invariant(
            "que-6",
            lambda node: node.get("type") != "display" or not (has(node, "required") or has(node, "repeats")),
            "A display is neither required nor repeating.",
        ),
        Invariant(
            "que-8",
            lambda node: node.get("type") not in ("group", "display") or "initial" not in node,
            "Groups and displays have no initial value.",
        ),
        Invariant(
            "que-9",
            lambda node: node.get("type") != "display" or not has(node, "readOnly"),
            "A display has no readOnly.",
        ),
        Invariant(
            "que-10",
            lambda node: node.get("type") in WITH_LENGTH or not has(node, "maxLength"),
            "This type of item takes no maxLength.",
        ),
        Invariant("que-11", not_both("answerOption", "initial"), "Mark the option as initialSelected instead."),
        Invariant(
            "que-12",
            lambda node: len(entries(node, "enableWhen")) < 2 or has(node, "enableBehavior"),
            "Several enableWhen need enableBehavior (all or any).",
        ),
        Invariant(
            "que-13",
            lambda node: node.get("repeats") is True or len(entries(node, "initial")) < 2,
            "Only a repeating item has several initial values.",
        ),
    ),
    "Questionnaire.item.enableWhen": (
        Invariant(
            "que-7",
            lambda node: node.get("operator") != "exists" or has(node, "answerBoolean"),
            "The operator 'exists' needs answerBoolean.",
        ),
    ),
    "RiskAssessment.prediction": (
        Invariant("ras-1", percent, "A range of probability needs the UCUM unit '%' (system and code)."),
        Invariant("ras-2", at_most_100, "A probability is a percentage of at most 100."),
    ),
    "Observation": (
        Invariant(
            "obs-6",
            lambda node: "dataAbsentReason" not in node or not has_choice(node, "value"),
            "Give a value or dataAbsentReason, not both.",
        ),
        Invariant("obs-7", value_beside_component, "A component repeats the code of the whole; leave one value out."),
    ),
    "Condition": (
        Invariant("con-4", abated_is_over, "An abated condition is inactive, resolved or in remission."),
        Invariant("con-5", error_has_no_course, "A condition entered in error has no clinicalStatus."),
    ),
    "Observation.referenceRange": (Invariant("obs-3", needs("low", "high", "text"), "Give 'low', 'high' or 'text'."),),
    "Condition.stage": (Invariant("con-1", needs("summary", "assessment"), "Give 'summary' or 'assessment'."),),
    "Condition.evidence": (Invariant("con-2", needs("code", "detail"), "Give 'code' or 'detail'."),),
    "Organization": (Invariant("org-1", needs("identifier", "name"), "Give 'identifier' or 'name'."),),
    "Patient.contact": (
        Invariant(
            "pat-1",
            needs("name", "telecom", "address", "organization"),
            "Give a name, a way to reach, or an address.",
        ),
    ),
    "ServiceRequest": (Invariant("prr-1", implies("orderDetail", "code"), "'orderDetail' needs 'code'."),),
    "CarePlan.activity": (Invariant("cpl-3", not_both("detail", "reference"), "Give 'detail' or 'reference'."),),
    "Task": (
        Invariant(
            "inv-1",
            lambda node: in_order(node.get("authoredOn"), node.get("lastModified")),
            "'lastModified' is before 'authoredOn'; correct them.",
        ),
    ),
    "AuditEvent.entity": (Invariant("sev-1", not_both("name", "query"), "Give 'name' or 'query', not both."),),
    "Parameters.parameter": (
        Invariant("inv-1", parameter_content, "A parameter has exactly one of value[x], resource and part."),
    ),
    "Bundle": (
        Invariant(
            "bdl-1",
            lambda node: not has(node, "total") or node.get("type") in ("searchset", "history"),
            "Only a searchset or a history has a total.",
        ),
        Invariant(
            "bdl-2",
            lambda node: (
                node.get("type") == "searchset" or not any("search" in each for each in entries(node, "entry"))
            ),
            "Only entries of a searchset have 'search'.",
        ),
        Invariant(
            "bdl-3",
            entry_requests,
            "Each entry of a batch, transaction or history has a request; no other has.",
        ),
        Invariant("bdl-4", entry_responses, "Each entry of a response or history has a response; no other has."),
        Invariant(
            "bdl-9",
            lambda node: node.get("type") != "document" or {"system", "value"} <= part(node, "identifier").keys(),
            "A document has an identifier with system and value.",
        ),
        Invariant(
            "bdl-10",
            lambda node: node.get("type") != "document" or "timestamp" in node,
            "A document has a timestamp.",
        ),
        Invariant("bdl-11", starts_with("document", "Composition"), "A document starts with a Composition."),
        Invariant("bdl-12", starts_with("message", "MessageHeader"), "A message starts with a MessageHeader."),
        Invariant(
            "bdl-7",
            lambda node: node.get("type") == "history" or distinct(full_urls(node)),
            "A fullUrl is used twice for the same version.",
        ),
    ),
    "Bundle.entry": (
        Invariant("bdl-5", needs("resource", "request", "response"), "Give a resource, a request or a response."),
        Invariant("bdl-8", lambda node: "/_history/" not in str(node.get("fullUrl")), "fullUrl names no version."),
    ),
}
"""Name of a type in r4_elements.json -> its invariants, in the order of the specification."""

"""The invariants of FHIR R4 4.0.1 that can be decided from the resource alone, as one table.

https://hl7.org/fhir/R4/conformance-rules.html#constraints. Rules about references and contained resources
are held by links.py, those about narratives by primitives.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.fhir.predicates import (
    UCUM,
    WITH_LENGTH,
    WITH_OPTIONS,
    Predicate,
    at_most_100,
    concept_codes,
    distinct,
    entries,
    entry_requests,
    entry_responses,
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
    percent,
    positive_in_ucum,
    ratio,
    ucum_coded,
    whole_count,
)


@dataclass(frozen=True, slots=True)
class Invariant:
    """One rule: its key in the specification, the predicate, what to tell the sender when it is broken."""

    key: str
    holds: Predicate
    message: str


_QTY_3 = Invariant("qty-3", implies("code", "system"), "A unit code needs the system it comes from; add 'system'.")

INVARIANTS: dict[str, tuple[Invariant, ...]] = {
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
            "bdl-7",
            lambda node: node.get("type") == "history" or distinct(full_urls(node)),
            "A fullUrl is used twice for the same version.",
        ),
    ),
    "Bundle.entry": (
        Invariant("bdl-5", needs("resource", "request", "response"), "Give a resource, a request or a response."),
        Invariant("bdl-8", lambda node: "/_history/" not in str(node.get("fullUrl")), "fullUrl names no version."),
    ),
    "CapabilityStatement": (
        Invariant("cpb-1", needs("rest", "messaging", "document"), "Give 'rest', 'messaging' or 'document'."),
        Invariant(
            "cpb-2",
            needs("description", "software", "implementation"),
            "Give 'description', 'software' or 'implementation'.",
        ),
        Invariant(
            "cpb-14",
            lambda node: node.get("kind") != "instance" or "implementation" in node,
            "An instance names its implementation.",
        ),
    ),
    "CapabilityStatement.rest": (
        Invariant(
            "cpb-9",
            lambda node: distinct(each.get("type") for each in entries(node, "resource")),
            "A resource type is listed twice.",
        ),
    ),
    "CapabilityStatement.rest.resource": (
        Invariant(
            "cpb-12",
            lambda node: distinct(each.get("name") for each in entries(node, "searchParam")),
            "A search parameter is listed twice.",
        ),
    ),
    "CodeSystem": (Invariant("csd-1", lambda node: distinct(concept_codes(node)), "A code is defined twice."),),
    "ValueSet.compose.include": (
        Invariant("vsd-1", needs("valueSet", "system"), "Give 'system' or 'valueSet'."),
        Invariant(
            "vsd-2",
            lambda node: not (has(node, "concept") or has(node, "filter")) or has(node, "system"),
            "'concept' and 'filter' need 'system'.",
        ),
        Invariant("vsd-3", not_both("concept", "filter"), "Give 'concept' or 'filter', not both."),
    ),
    "OperationDefinition.parameter": (
        Invariant("opd-1", needs("type", "part"), "Give 'type' or 'part'."),
        Invariant(
            "opd-2",
            lambda node: not has(node, "searchType") or node.get("type") == "string",
            "'searchType' needs the type string.",
        ),
        Invariant(
            "opd-3",
            lambda node: not has(node, "targetProfile") or node.get("type") in ("Reference", "canonical"),
            "'targetProfile' needs the type Reference or canonical.",
        ),
    ),
    "SearchParameter": (
        Invariant("spd-1", implies("xpath", "xpathUsage"), "'xpath' needs 'xpathUsage'."),
        Invariant(
            "spd-2",
            lambda node: not has(node, "chain") or node.get("type") == "reference",
            "'chain' needs the type reference.",
        ),
    ),
}
"""Name of a type in r4_elements.json -> its invariants, in the order of the specification."""

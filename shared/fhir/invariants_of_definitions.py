"""The invariants of resources that define something: capabilities, operations, codes, triggers, data to be had.

https://hl7.org/fhir/R4/conformance-rules.html#constraints; a part of the table in invariants.py.
"""

from __future__ import annotations

from shared.fhir.invariant import Invariant
from shared.fhir.predicates import (
    Node,
    concept_codes,
    distinct,
    entries,
    has,
    has_choice,
    implies,
    needs,
    not_both,
    one_of,
)


def triggered(node: Node) -> bool:
    kind = str(node.get("type"))
    if kind.startswith("data-"):
        return "data" in node
    return {"named-event": has(node, "name"), "periodic": has_choice(node, "timing")}.get(kind, True)


OF_DEFINITIONS: dict[str, tuple[Invariant, ...]] = {
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
        Invariant(
            "cpb-3",
            lambda node: (
                node.get("kind") == "instance" or not any("endpoint" in each for each in entries(node, "messaging"))
            ),
            "Only an instance has end points for messages.",
        ),
        Invariant(
            "cpb-7",
            lambda node: distinct(f"{each.get('profile')} {each.get('mode')}" for each in entries(node, "document")),
            "A kind of document is listed twice.",
        ),
        Invariant(
            "cpb-15",
            lambda node: node.get("kind") != "capability" or ("software" in node and "implementation" not in node),
            "A capability names its software and no implementation.",
        ),
        Invariant(
            "cpb-16",
            lambda node: node.get("kind") != "requirements" or not ("software" in node or "implementation" in node),
            "Requirements name neither software nor implementation.",
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
    "ValueSet.expansion.contains": (
        Invariant("vsd-6", needs("code", "display"), "Give 'code' or 'display'."),
        Invariant(
            "vsd-9",
            lambda node: has(node, "code") or node.get("abstract") is True,
            "Without 'code' it is abstract; say so.",
        ),
        Invariant("vsd-10", implies("code", "system"), "'code' needs 'system'."),
    ),
    "DataRequirement.codeFilter": (
        Invariant("drq-1", one_of("path", "searchParam"), "Give 'path' or 'searchParam', one of them."),
    ),
    "DataRequirement.dateFilter": (
        Invariant("drq-2", one_of("path", "searchParam"), "Give 'path' or 'searchParam', one of them."),
    ),
    "TriggerDefinition": (
        Invariant(
            "trd-1",
            lambda node: "data" not in node or not has_choice(node, "timing"),
            "Give 'data' or timing, not both.",
        ),
        Invariant("trd-2", implies("condition", "data"), "'condition' needs 'data'."),
        Invariant("trd-3", triggered, "A named event has a name, a periodic one timing, a data event data."),
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

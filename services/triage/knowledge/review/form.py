"""Whether a pack reads the Questionnaire that it names: every question, every option, every unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.triage.engine.content import Content
from services.triage.engine.model import FactDefinition, FactKind
from services.triage.knowledge.review.places import FACTS, PACK
from services.triage.knowledge.review.remarks import Remark, error, note
from shared.fhir.answer_values import Coding, says_unknown
from shared.fhir.codes import NO, YES
from shared.fhir.questionnaire import QuestionItem, QuestionnaireIndex

_TYPES: Mapping[FactKind, tuple[str, ...]] = {
    FactKind.PRESENCE: ("choice", "boolean"),
    FactKind.CHOICE: ("choice",),
    FactKind.QUANTITY: ("integer", "decimal", "quantity"),
    FactKind.TEXT: ("text", "string"),
}
"""Which types of question a fact of each kind can be read from."""


def compare_with_forms(content: Content, forms: Mapping[str, QuestionnaireIndex]) -> Iterator[Remark]:
    """Remarks on every Questionnaire that the pack names. `forms`: by canonical, ``url|version``."""
    for canonical in content.head.questionnaires:
        form = forms.get(canonical)
        if form is None:
            yield error(PACK, "questionnaires", f"there is no {canonical}; its questions were not looked at")
        else:
            yield from _compare(content, form)


def _compare(content: Content, form: QuestionnaireIndex) -> Iterator[Remark]:
    for fact in content.facts:
        item = form.items.get(fact.link_id)
        if item is None or not item.is_question:
            yield error(FACTS, fact.name, f"the Questionnaire has no question {fact.link_id!r}")
        elif item.type not in _TYPES[fact.kind]:
            yield error(FACTS, fact.name, f"a {fact.kind} cannot be read from a question of type {item.type}")
        else:
            yield from _misfits(fact, item)
    read = {fact.link_id for fact in content.facts}
    for item in form.items.values():
        if item.is_question and item.link_id not in read:
            yield note(FACTS, "", f"no fact reads the question {item.link_id!r}")


def _misfits(fact: FactDefinition, item: QuestionItem) -> Iterator[Remark]:
    match fact.kind:
        case FactKind.PRESENCE:
            if item.type == "choice" and (codes := _codes(item)) != {YES, NO}:
                found = ", ".join(sorted(codes))
                yield error(FACTS, fact.name, f"a presence is read from {YES} and {NO}; the question offers {found}")
        case FactKind.CHOICE:
            codes = _codes(item)
            for code in sorted(fact.codes - codes):
                yield error(FACTS, fact.name, f"the question does not offer {code!r}")
            for code in sorted(codes - fact.codes):
                yield error(FACTS, fact.name, f"the question offers {code!r}, which this fact cannot read")
        case FactKind.QUANTITY:
            yield from _number_misfits(fact, item)
        case FactKind.TEXT:
            pass


def _number_misfits(fact: FactDefinition, item: QuestionItem) -> Iterator[Remark]:
    units = {unit.code for unit in (item.unit, *item.units) if unit is not None}
    if fact.unit not in units:
        found = ", ".join(sorted(str(unit) for unit in units)) or "no unit"
        yield error(FACTS, fact.name, f"the fact is in {fact.unit}, the question in {found}")
    for name, ours, theirs in (("least", fact.minimum, item.min_value), ("most", fact.maximum, item.max_value)):
        if ours != theirs:
            yield note(FACTS, fact.name, f"{name}: {_shown(ours)}, in the question {_shown(theirs)}")


def _codes(item: QuestionItem) -> set[str]:
    """The codes that say something: "not sure" is unknown for every fact."""
    values = (option.value for option in item.options)
    return {value.code or "" for value in values if isinstance(value, Coding) and not says_unknown(value)}


def _shown(bound: object) -> str:
    return "no limit" if bound is None else str(bound)

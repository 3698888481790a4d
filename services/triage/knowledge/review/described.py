"""A pack as flat words: each table by its place, each of its fields as text, for comparing two packs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TypeAlias

from services.triage.engine.advice import Advice
from services.triage.engine.conditions import Code, Condition, ConditionFinding, RankingMethod
from services.triage.engine.content import Evidence, PackHead
from services.triage.engine.criteria import Criterion
from services.triage.engine.criteria_text import criterion_text
from services.triage.engine.model import (
    Contradiction,
    FactDefinition,
    Flag,
    Floor,
    Missing,
    Presence,
    SafetyRules,
    ScoreDefinition,
    Value,
)
from services.triage.knowledge.assemble_conditions import SYSTEMS
from services.triage.knowledge.review.edition import Edition, ratio
from services.triage.knowledge.review.places import (
    ADVICE,
    CONDITIONS,
    DIFFERENTIAL,
    EVIDENCE,
    FACTS,
    FLAGS,
    PACK,
    SAFETY,
    SCORES,
    Place,
    texts_file,
)

Fields: TypeAlias = Mapping[str, str]
_SYSTEMS = {uri: name for name, uri in SYSTEMS.items()}
_PRESENCE = {Presence.PRESENT: "yes", Presence.ABSENT: "no", Presence.UNKNOWN: "unknown"}


def described(edition: Edition) -> Iterator[tuple[Place, Fields]]:
    """Every table of the pack, in file order. Fields that say nothing are left out."""
    for place, fields in _tables(edition):
        yield place, {name: text for name, text in fields.items() if text}


def weights(finding: ConditionFinding) -> str:
    """What a finding is worth: present, absent, and (key features only) unknown."""
    worth = [f"present ×{ratio(finding.yes)}", f"absent ×{ratio(finding.no)}"]
    if finding.unknown:
        worth.append(f"unknown ×{ratio(finding.unknown)}")
    return ", ".join(worth)


def code_text(code: Code) -> str:
    """A code of a terminology, as packs write it."""
    return f"{_SYSTEMS[code.system]} {code.code} {code.display}".rstrip()


def value_text(value: Value) -> str:
    """A value as packs write it."""
    match value:
        case Presence():
            return _PRESENCE[value]
        case Missing():
            return value.value
        case frozenset():
            return ", ".join(sorted(value))
        case _:
            return str(value)


def readings_text(contradiction: Contradiction) -> str:
    """The readings of a contradiction, as packs write them."""
    return " | ".join(
        ", ".join(f"{name} = {value_text(value)}" for name, value in reading.items())
        for reading in contradiction.readings
    )


def _tables(edition: Edition) -> Iterator[tuple[Place, Fields]]:
    content = edition.content
    yield Place(PACK), _head(content.head)
    for fact in content.facts:
        yield Place(FACTS, fact.name), _fact(fact)
    for match in content.text_matches:
        yield Place(FACTS, match.name), {"words": ", ".join(match.words)}
    for derived in content.derived:
        fields = {"when": criterion_text(derived.when), "meaning": derived.label}
        yield Place(FACTS, derived.name), fields | _marked("unknown is no", derived.unknown_is_no)
    for flag in content.flags:
        yield from _flag(flag)
    for score in content.scores:
        yield from _score(score)
    yield from _safety(content.safety)
    if content.ranking is not None:
        yield Place(DIFFERENTIAL), _method(content.ranking)
    for condition in content.conditions:
        yield Place(CONDITIONS, condition.id), _condition(edition, condition)
    for one in content.advice:
        yield Place(ADVICE, one.id), _advice(one)
    for key, text in content.texts.items():
        yield Place(texts_file(content), key), {"text": text}
    for source in content.evidence.values():
        yield Place(EVIDENCE, source.key), _source(source)


def _head(head: PackHead) -> Fields:
    return {
        "version": head.version,
        "title": head.title,
        "status": head.status,
        "questionnaires": _list(head.questionnaires),
        "approved on": _shown(head.approved_on),
        "reviewed on": _shown(head.reviewed_on),
        "effective from": _shown(head.effective_from),
        "effective to": _shown(head.effective_to),
        "note": head.note,
        "description": head.description,
        "purpose": head.purpose,
        "usage": head.usage,
        "copyright": head.copyright,
        "topics": _list(head.topics),
    }


def _fact(fact: FactDefinition) -> Fields:
    fields = {
        "question": fact.link_id,
        "kind": fact.kind.value,
        "label": fact.label,
        "codes": _list(sorted(fact.codes)),
        "unit": fact.unit or "",
        "least": _shown(fact.minimum),
        "most": _shown(fact.maximum),
        "screen": fact.screen.value,
    }
    return fields | _marked("negated", fact.negated) | _marked("clinician", fact.clinician)


def _flag(flag: Flag) -> Iterator[tuple[Place, Fields]]:
    fields = {"guards": flag.guards, "rationale": flag.rationale, "evidence": _list(flag.evidence)}
    yield Place(FLAGS, f"flag {flag.id}"), fields
    for line in flag.lines:
        fields = {
            "flag": flag.id,
            "urgency": "clinician_review" if line.urgency is None else line.urgency.value,
            "when": criterion_text(line.when),
            "raises": _list(line.raises),
            "text": line.text,
        }
        yield Place(FLAGS, line.id), fields | _marked("clinicians only", line.clinician_only)


def _score(score: ScoreDefinition) -> Iterator[tuple[Place, Fields]]:
    fields = {
        "title": score.title,
        "purpose": score.purpose,
        "population": score.population,
        "performance": score.performance,
        "known points": score.known_points_fact or "",
        "applies when": _when(score.applies_when),
        "evidence": _list(score.evidence),
        "if indeterminate": score.indeterminate or "",
    }
    fields |= {
        f"item {item.id}": f"{item.points} when {criterion_text(item.when)} ({item.answered_by.value}): {item.label}"
        for item in score.items
    }
    for number, one in enumerate(score.classes, 1):
        bounds = f"{_shown(one.at_least) or '…'} to {_shown(one.at_most) or '…'}"
        also = "" if one.when is None else f" and {criterion_text(one.when)}"
        fields[f"class {number}"] = f"{one.code}: {bounds}{also}{', reassures' if one.reassures else ''} ({one.text})"
    for number, exclusion in enumerate(score.exclusions, 1):
        unknown = "" if exclusion.unknown_counts else ", unknown withholds nothing"
        fields[f"exclusion {number}"] = (
            f"{criterion_text(exclusion.when)}: withholds {exclusion.withholds.value}{unknown} ({exclusion.text})"
        )
    yield Place(SCORES, score.id), fields | _marked("clinicians only", score.clinician_only)


def _safety(safety: SafetyRules) -> Iterator[tuple[Place, Fields]]:
    yield Place(SAFETY, "default"), {"urgency": safety.default.value, "undecided": safety.default_undecided.value}
    screen = safety.screen
    yield (
        Place(SAFETY, "screen"),
        {
            "page 1": f"{screen.page_1_floor.value} ({screen.page_1_text})",
            "required": f"{screen.required_floor.value} ({screen.required_text})",
            "raised": f"{screen.raised_floor.value} from {screen.raised_at} on ({screen.raised_text})",
            "raised when": criterion_text(screen.raised_when),
        },
    )
    yield (
        Place(SAFETY, "contradictions"),
        {
            "floor": safety.contradiction_floor.value,
            "two answers": f"{_list(safety.conflict_raises)} ({safety.conflict_text})",
        },
    )
    for contradiction in safety.contradictions:
        fields = _rule(contradiction) | {"readings": readings_text(contradiction)}
        yield Place(SAFETY, contradiction.id), fields | _marked("guards emergency", contradiction.guards_emergency)
    for floor in safety.floors:
        fields = _rule(floor) | {"urgency": floor.urgency.value, "evidence": _list(floor.evidence)}
        yield Place(SAFETY, floor.id), fields | _marked("withholds ranking", floor.withholds_ranking)


def _rule(rule: Contradiction | Floor) -> dict[str, str]:
    return {"when": criterion_text(rule.when), "raises": _list(rule.raises), "text": rule.text}


def _method(method: RankingMethod) -> Fields:
    return {
        "site": method.site_fact,
        "other sites": method.other_sites_fact or "",
        "at a further site": f"×{ratio(method.other_site)}",
        "supported from": f"×{ratio(method.support_at_least)}",
        "strongly supported from": f"×{ratio(method.strong_at_least)}",
        "among the first": str(method.support_rank),
        "at most below the first": f"×{ratio(method.support_within)}",
        "shown": str(method.shown),
    }


def _condition(edition: Edition, condition: Condition) -> Fields:
    fields = {
        "title": condition.title,
        "urgency": condition.urgency.value,
        "next step": condition.next_step,
        "never excluded by": condition.never_excluded_by,
        "codes": "; ".join(code_text(code) for code in condition.codes),
        "raises": _list(condition.raises),
        "guarded by": _list(condition.guarded_by),
        "when flagged": f"×{ratio(condition.flagged)}" if condition.flagged else "",
        "only when": _when(condition.only_when),
        "evidence": _list(condition.evidence),
        "prior": ", ".join(f"{site} {edition.prior(weight)}" for site, weight in sorted(condition.prior.items())),
        "prior elsewhere": edition.prior(condition.prior_elsewhere),
    }
    for finding in condition.findings:
        group = f", group {finding.group}" if finding.group else ""
        sources = f" ({_list(finding.evidence)})" if finding.evidence else ""
        name, worth = f"finding {criterion_text(finding.when)}", f"{weights(finding)}{group}{sources}"
        fields[name] = f"{fields[name]}; {worth}" if name in fields else worth
    return fields | _marked("confidential", condition.confidential)


def _advice(advice: Advice) -> Fields:
    fields = {
        "kind": advice.kind.value,
        "for": advice.audience.value,
        "text": advice.text,
        "when": _when(advice.when),
        "unless": "; ".join(criterion_text(caution) for caution in advice.unless),
        "conditions": _list(advice.conditions),
        "evidence": _list(advice.evidence),
    }
    return fields | _marked("only when clear", advice.only_when_clear)


def _source(source: Evidence) -> Fields:
    return {
        "citation": source.citation,
        "url": source.url or "",
        "checked": _shown(source.checked),
        "status": source.status,
    }


def _when(criterion: Criterion | None) -> str:
    return "" if criterion is None else criterion_text(criterion)


def _list(words: Iterable[str]) -> str:
    return ", ".join(words)


def _marked(name: str, holds: bool) -> dict[str, str]:
    return {name: "yes"} if holds else {}


def _shown(value: Decimal | object | None) -> str:
    return "" if value is None else str(value)

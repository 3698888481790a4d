"""What of a pack's FHIR is the same for every patient: written once, as JSON text, and used wherever it is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from math import exp

import orjson
from orjson import Fragment

from services.triage.basis import Resource, as_text, extension, number
from services.triage.engine.advice import AdviceGiven
from services.triage.engine.conditions import Condition
from services.triage.engine.keeping import keep
from services.triage.engine.pack import Pack
from services.triage.engine.results import FindingVerdict, FlagResult, MustNotMiss, ScoreResult, unique
from shared.fhir.codes import CANONICAL, CS_CONDITION, CS_RED_FLAG, EXT_RED_FLAG, EXT_SCORE

EXT_EVIDENCE = f"{CANONICAL}/StructureDefinition/evidence"
EXT_ADVICE = f"{CANONICAL}/StructureDefinition/advice"
_KEPT = 20_000
"""How many elements are kept at most: several times as many as a pack has findings."""
_KEPT_RESULTS = 3_000
"""How many results are kept at most: red flags that fired, red flags that are undecided, scores."""
_EXAMINATION_ONLY: Resource = {"url": "examinationOnly", "valueBoolean": True}
_CLINICIAN_ONLY: Resource = {"url": "clinicianOnly", "valueBoolean": True}
_END = b"]}"
"""The end of a complex extension whose last member is its list of parts."""


@dataclass(frozen=True, slots=True)
class Fired:
    """A red flag that fired in this way, but for the answers. `opening`: its extension up to them, as JSON text.

    `facts`: which answers they are. `code`, `detail`, `source`: of its DetectedIssue; `source` is None where no source
    has an address.
    """

    result: FlagResult
    opening: bytes
    facts: tuple[str, ...]
    code: Resource
    detail: str
    source: str | None


class Written:
    """The elements of one pack. Made by `written`."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self._link_ids = {name: fact.link_id for name, fact in pack.facts.items()}
        self._fired: dict[int, Fired] = {}
        self._undecided: dict[int, tuple[FlagResult, Fragment]] = {}
        self._scores: dict[int, tuple[ScoreResult, Fragment]] = {}
        self._evidence: dict[tuple[int, int, tuple[str, ...]], Fragment] = {}
        self._advice: dict[tuple[str, tuple[str, ...]], Fragment] = {}
        self._outcomes: dict[tuple[str, str], Fragment] = {}
        self._panel: dict[tuple[str, str], Fragment] = {}
        self._citations: dict[tuple[str, ...], tuple[str, ...]] = {}

    def fired(self, result: FlagResult) -> Fired:
        """A red flag that fired. What is made of results that are kept with the pack (`flag_plans.py`) is kept too."""
        kept = self._fired.get(id(result))
        if kept is None or kept.result is not result:
            kept = self._fire(result)
            keep(self._fired, id(result), kept, room=_KEPT_RESULTS)  # with the result, so its id stays its own
        return kept

    def _fire(self, result: FlagResult) -> Fired:
        flag, deciding = result.flag, result.fired
        sources = [self.pack.content.evidence[key] for key in flag.evidence]
        urgency = [] if result.urgency is None else [{"url": "urgency", "valueCode": result.urgency.value}]
        inner = [
            *_head(result),
            *urgency,
            *[{"url": "line", "valueCode": line.line.id} for line in deciding],
            *[{"url": "openLine", "valueCode": line.line.id} for line in result.open],
            *[{"url": "raises", "valueCode": name} for name in result.raises],
            {"url": "guards", "valueString": flag.guards},
            *[{"url": "source", "valueString": key} for key in flag.evidence],
            *[{"url": "citation", "valueString": source.citation} for source in sources],
            *([_CLINICIAN_ONLY] if flag.confidential else ()),
        ]
        return Fired(
            result=result,
            opening=orjson.dumps({"url": EXT_RED_FLAG, "extension": inner})[: -len(_END)],
            facts=unique([name for line in deciding for name in line.facts]),
            code={
                "coding": [{"system": CS_RED_FLAG, "version": self.pack.head.version, "code": flag.id}],
                "text": flag.guards,
            },
            detail=" ".join([*(self.pack.text(line.line.text) for line in deciding), flag.rationale]),
            source=next((source.url for source in sources if source.url is not None), None),
        )

    def flag(self, fired: Fired, answers: Iterable[bytes]) -> Fragment:
        """The extension of a red flag that fired, with these answers, which are JSON text."""
        return Fragment(b",".join((fired.opening, *answers)) + _END)

    def undecided(self, result: FlagResult) -> Fragment:
        """A red flag that is undecided, kept as in `fired`."""
        kept = self._undecided.get(id(result))
        if kept is not None and kept[0] is result:
            return kept[1]
        made = as_text(self._open(result))
        keep(self._undecided, id(result), (result, made), room=_KEPT_RESULTS)
        return made

    def _open(self, result: FlagResult) -> Resource:
        flag = result.flag
        facts = dict.fromkeys([name for line in result.lines for name in line.facts])
        inner = [
            *_head(result),
            *[{"url": "line", "valueCode": line.line.id} for line in result.lines],
            {"url": "guards", "valueString": flag.guards},
            *[{"url": "source", "valueString": key} for key in flag.evidence],
            *([_EXAMINATION_ONLY] if result.examination_only else ()),
            *([_CLINICIAN_ONLY] if flag.confidential else ()),
            *[{"url": "notAssessed", "valueString": link_id} for link_id in self.link_ids(facts)],
        ]
        return {"url": EXT_RED_FLAG, "extension": inner}

    def score(self, result: ScoreResult) -> Fragment:
        """A score, kept as in `fired`."""
        kept = self._scores.get(id(result))
        if kept is not None and kept[0] is result:
            return kept[1]
        made = as_text(_score(self, result))
        keep(self._scores, id(result), (result, made), room=_KEPT_RESULTS)
        return made

    def evidence(self, verdict: FindingVerdict) -> Fragment:
        """What a finding says about a condition, with the questions behind it."""
        key = (id(verdict.finding), verdict.weight, verdict.facts)  # the finding is the pack's, which is kept
        made = self._evidence.get(key)
        if made is None:
            made = as_text(_evidence(self.pack, verdict))
            keep(self._evidence, key, made, room=_KEPT)
        return made

    def advice(self, given: AdviceGiven) -> Fragment:
        """A piece of advice, for these conditions."""
        key = (given.advice.id, given.conditions)
        made = self._advice.get(key)
        if made is None:
            made = as_text(_advice(given))
            keep(self._advice, key, made, room=_KEPT)
        return made

    def outcome(self, condition: Condition, text: str) -> Fragment:
        """A condition as outcome: our own code, then those of terminologies. `text`: its title, or what a flag says."""
        made = self._outcomes.get((condition.id, text))
        if made is None:
            made = self._outcomes[condition.id, text] = as_text({"coding": _codings(condition), "text": text})
        return made

    def not_missed(self, one: MustNotMiss) -> Fragment:
        """A condition in the must-not-miss panel."""
        key = (one.standing.value, one.condition.id)
        made = self._panel.get(key)
        if made is None:
            made = self._panel[key] = as_text({"url": one.standing.value, "valueCode": one.condition.id})
        return made

    def citations(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """The sources behind these evidence keys, as they are cited."""
        made = self._citations.get(keys)
        if made is None:
            made = self._citations[keys] = tuple(self.pack.content.evidence[key].citation for key in keys)
        return made

    def link_ids(self, names: Iterable[str]) -> tuple[str, ...]:
        """The questions of these facts, none twice."""
        return tuple(dict.fromkeys([self._link_ids[name] for name in names]))


def written(pack: Pack) -> Written:
    """The elements of this pack, kept with it."""
    made: Written | None = pack.kept.get(Written)
    if made is None:
        made = pack.kept[Written] = Written(pack)
    return made


def _head(result: FlagResult) -> list[Resource]:
    return [{"url": "flag", "valueCode": result.flag.id}, {"url": "result", "valueCode": result.verdict.value}]


def _evidence(pack: Pack, verdict: FindingVerdict) -> Resource:
    finding = verdict.finding
    polarity = "unknown" if verdict.weight == 0 else "for" if verdict.weight > 0 else "against"
    public = [pack.facts[name].link_id for name in verdict.facts if name not in pack.confidential_facts]
    return extension(
        EXT_EVIDENCE,
        ("polarity", "Code", polarity),
        ("linkId", "String", tuple(dict.fromkeys(public))),
        ("likelihoodRatio", "Decimal", None if verdict.weight == 0 else _ratio(verdict.weight)),
        ("source", "String", finding.evidence or ("expert-opinion",)),
    )


def _ratio(weight: int) -> float:
    """A weight as the likelihood ratio that it stands for, with two digits that mean something."""
    return float(f"{exp(weight / 1000):.2g}")


def _advice(given: AdviceGiven) -> Resource:
    advice = given.advice
    return extension(
        EXT_ADVICE,
        ("advice", "Code", advice.id),
        ("kind", "Code", advice.kind.value),
        ("audience", "Code", advice.audience.value),
        ("condition", "Code", given.conditions),
        ("source", "String", advice.evidence),
    )


def _codings(condition: Condition) -> list[Resource]:
    own: Resource = {"system": CS_CONDITION, "code": condition.id, "display": condition.title}
    found = [own]
    for code in condition.codes:
        coding: Resource = {"system": code.system, "code": code.code}
        found.append(coding | {"display": code.display} if code.display else coding)
    return found


def _score(parts: Written, score: ScoreResult) -> Resource:
    return extension(
        EXT_SCORE,
        ("score", "Code", score.definition.id),
        ("title", "String", score.definition.title),
        ("minimum", "Decimal", _points(score.minimum)),
        ("maximum", "Decimal", _points(score.maximum)),
        ("known", "Decimal", _points(score.known_points)),
        ("class", "Code", _class(score)),
        ("unknownItem", "Code", score.unknown_items),
        ("atLeast", "Code", None if score.reached is None else score.reached.code),
        ("exclusion", "String", tuple(parts.pack.text(text) for text in score.exclusions)),
        *_sources(parts, score.definition.evidence, in_full=score.score_class is not None),
    )


def _class(score: ScoreResult) -> str:
    return "indeterminate" if score.score_class is None else score.score_class.code


def _sources(parts: Written, keys: tuple[str, ...], *, in_full: bool) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Evidence keys (the pack's Library has them as relatedArtifact), and in full where a result stands on them."""
    named = ("source", "String", keys)
    return (named, ("citation", "String", parts.citations(keys))) if in_full else (named,)


def _points(points: Decimal | None) -> int | float | None:
    return None if points is None else number(points)

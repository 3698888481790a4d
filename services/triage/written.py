"""What of a pack's FHIR is the same for every patient: written once, and used wherever it is said.

Whoever is given an element must not change it: it stands in many resources.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import exp

from services.triage.basis import Resource, extension
from services.triage.engine.advice import AdviceGiven
from services.triage.engine.conditions import Condition
from services.triage.engine.model import Flag
from services.triage.engine.pack import Pack
from services.triage.engine.results import FindingVerdict, FlagResult, Verdict
from shared.fhir.codes import CANONICAL, CS_CONDITION, EXT_RED_FLAG

EXT_EVIDENCE = f"{CANONICAL}/StructureDefinition/evidence"
EXT_ADVICE = f"{CANONICAL}/StructureDefinition/advice"
_KEPT = 20_000
"""How many elements are kept at most: several times as many as a pack has findings."""
_KEPT_UNDECIDED = 3_000
"""How many results of red flags are kept at most."""
_EXAMINATION_ONLY: Resource = {"url": "examinationOnly", "valueBoolean": True}


@dataclass(frozen=True, slots=True)
class FlagParts:
    """Parts of the extension of a red flag, each as it stands in it; `lines` by id."""

    fired: tuple[Resource, ...]
    undecided: tuple[Resource, ...]
    lines: Mapping[str, Resource]
    guards: tuple[Resource, ...]
    sources: tuple[Resource, ...]
    citations: tuple[Resource, ...]
    clinician_only: tuple[Resource, ...]


class Written:
    """The elements of one pack. Made by `written`."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self._link_ids = {name: fact.link_id for name, fact in pack.facts.items()}
        self._flags: dict[str, FlagParts] = {}
        self._undecided: dict[int, tuple[FlagResult, Resource]] = {}
        self._evidence: dict[tuple[int, int, tuple[str, ...]], Resource] = {}
        self._advice: dict[tuple[str, tuple[str, ...]], Resource] = {}
        self._codings: dict[str, list[Resource]] = {}
        self._citations: dict[tuple[str, ...], tuple[str, ...]] = {}

    def flag(self, flag: Flag) -> FlagParts:
        """What is said of a red flag of every patient."""
        made = self._flags.get(flag.id)
        if made is None:
            made = self._flags[flag.id] = self._flag(flag)
        return made

    def _flag(self, flag: Flag) -> FlagParts:
        named: Resource = {"url": "flag", "valueCode": flag.id}
        return FlagParts(
            fired=(named, {"url": "result", "valueCode": Verdict.FIRED.value}),
            undecided=(named, {"url": "result", "valueCode": Verdict.UNDECIDED.value}),
            lines={line.id: {"url": "line", "valueCode": line.id} for line in flag.lines},
            guards=({"url": "guards", "valueString": flag.guards},),
            sources=tuple({"url": "source", "valueString": key} for key in flag.evidence),
            citations=tuple({"url": "citation", "valueString": text} for text in self.citations(flag.evidence)),
            clinician_only=({"url": "clinicianOnly", "valueBoolean": True},) if flag.confidential else (),
        )

    def undecided(self, result: FlagResult) -> Resource:
        """A red flag that is undecided: of results that are kept with the pack (`flag_plans.py`) it is kept too."""
        kept = self._undecided.get(id(result))
        if kept is not None and kept[0] is result:
            return kept[1]
        made = self._open(result)
        if len(self._undecided) < _KEPT_UNDECIDED:
            self._undecided[id(result)] = (result, made)  # the result is kept, so its id stays its own
        return made

    def _open(self, result: FlagResult) -> Resource:
        flag = self.flag(result.flag)
        facts = dict.fromkeys([name for line in result.lines for name in line.facts])
        inner = [
            *flag.undecided,
            *[flag.lines[line.line.id] for line in result.lines],
            *flag.guards,
            *flag.sources,
            *([_EXAMINATION_ONLY] if result.examination_only else ()),
            *flag.clinician_only,
            *[{"url": "notAssessed", "valueString": link_id} for link_id in self.link_ids(facts)],
        ]
        return {"url": EXT_RED_FLAG, "extension": inner}

    def evidence(self, verdict: FindingVerdict) -> Resource:
        """What a finding says about a condition, with the questions behind it."""
        key = (id(verdict.finding), verdict.weight, verdict.facts)  # the finding is the pack's, which is kept
        made = self._evidence.get(key)
        if made is None:
            made = _evidence(self.pack, verdict)
            if len(self._evidence) < _KEPT:
                self._evidence[key] = made
        return made

    def advice(self, given: AdviceGiven) -> Resource:
        """A piece of advice, for these conditions."""
        key = (given.advice.id, given.conditions)
        made = self._advice.get(key)
        if made is None:
            made = _advice(given)
            if len(self._advice) < _KEPT:
                self._advice[key] = made
        return made

    def codings(self, condition: Condition) -> list[Resource]:
        """Our own code of a condition, then those of terminologies."""
        made = self._codings.get(condition.id)
        if made is None:
            made = self._codings[condition.id] = _codings(condition)
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

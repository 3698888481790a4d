"""Cases of a pack: small patients with the outcome that clinicians agreed on, and how they are run.

Every flag line has at least a firing, a near-miss and an unknown case; see README.md of this folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import Field

from services.triage.engine.assess import evaluate
from services.triage.engine.model import (
    FactDefinition,
    FactKind,
    Finding,
    Findings,
    Missing,
    Presence,
    Respondent,
    Value,
)
from services.triage.engine.pack import Pack
from services.triage.engine.results import Assessment, Verdict
from services.triage.knowledge.files import PackError, read_table
from services.triage.knowledge.schema import Code, FactName, Key, Strict, Urgencies, Words

FIRST = 5
"""How many of the first candidates a reader sees."""


class ExpectTable(Strict):
    """What a case must give; what is left out is not checked.

    `line` is the verdict of the case's line, `urgency` the whole assessment's, `clinical_urgency` the same
    without the incomplete-screen floors, `raises` names that must be among those reported, `floors` and
    `contradictions` ids of safety rules that must hold, `candidates` conditions that must be among the first five.
    """

    line: Literal["fired", "undecided", "not_fired"] | None = None
    urgency: Urgencies | None = None
    clinical_urgency: Urgencies | None = None
    raises: list[FactName] = Field(default_factory=list)
    not_raises: list[FactName] = Field(default_factory=list)
    floors: list[Key] = Field(default_factory=list)
    contradictions: list[Key] = Field(default_factory=list)
    candidates: list[FactName] = Field(default_factory=list)


class CaseTable(Strict):
    """cases/*.toml, at least one `[[case]]` of each kind per flag line.

    ```toml
    [[case]]
    id = "RFX-02a-sudden"
    line = "RFX-02a"                       # optional: the flag line that the case is about
    kind = "firing"                        # firing | near_miss | unknown | journey
    title = "A foot that went cold and pale suddenly is an emergency"
    others = "no"                          # yes/no facts that the case does not name: no (default) | unknown;
                                           # choices and quantities that it does not name are always unknown
    respondent = "patient"                 # patient (default) | proxy | clinician
    facts = { foot_cold_pale_blue = "yes", onset = "sudden", location = ["calf"], severity_0_10 = 6 }
    #        presence: yes | no | unknown; choice: code or codes; quantity: number;
    #        choice and quantity also "unknown" | "not_applicable"
    expect = { line = "fired", urgency = "emergency", raises = ["acute_limb_ischaemia"] }
    ```
    """

    id: Key
    line: Key | None = None
    kind: Literal["firing", "near_miss", "unknown", "journey"]
    title: Words
    others: Literal["no", "unknown"] = "no"
    respondent: Literal["patient", "proxy", "clinician"] = "patient"
    facts: dict[FactName, str | int | Decimal | list[Code]]
    expect: ExpectTable


class CasesFile(Strict):
    """One file of cases/."""

    case: list[CaseTable]


def read_cases(folder: Path) -> tuple[CaseTable, ...]:
    """All cases of a pack folder, in file order. Raises PackError for a file that has not the shape."""
    tables = (read_table(path, CasesFile).case for path in sorted((folder / "cases").glob("*.toml")))
    return tuple(case for file in tables for case in file)


def case_findings(pack: Pack, case: CaseTable) -> Findings:
    """The findings that a case describes. Raises PackError for a fact or value that the pack lacks."""
    unknown = [name for name in case.facts if name not in pack.facts]
    if unknown:
        raise PackError([f"case {case.id}: unknown fact {unknown[0]!r}"])
    rest = Presence.ABSENT if case.others == "no" else Presence.UNKNOWN
    findings = {
        fact.name: Finding(rest, (fact.link_id,), fact.label, case.others)
        for fact in pack.content.facts
        if fact.kind is FactKind.PRESENCE and not fact.clinician
    }
    for name, given in case.facts.items():
        fact = pack.facts[name]
        value = _value(case, fact, given)
        findings[name] = Finding(value, (fact.link_id,), fact.label, str(given))
    return Findings(findings, Respondent(case.respondent))


def run_case(pack: Pack, case: CaseTable) -> Assessment:
    """Evaluate a case in full scope."""
    return evaluate(pack, case_findings(pack, case))


def disagreements(case: CaseTable, assessment: Assessment) -> Iterator[str]:
    """What differs from the expectation, one sentence each; nothing when the case passes."""
    expect = case.expect
    if expect.line is not None and (found := line_verdict(assessment, case.line)) != expect.line:
        yield f"{case.line} is {found}, expected {expect.line}"
    for name, wanted, got in (
        ("urgency", expect.urgency, assessment.urgency),
        ("clinical urgency", expect.clinical_urgency, assessment.clinical_urgency),
    ):
        if wanted is not None and got != wanted:
            yield f"{name} is {got}, expected {wanted}"
    for raised in expect.raises:
        if raised not in assessment.raises:
            yield f"{raised} is not raised"
    for raised in expect.not_raises:
        if raised in assessment.raises:
            yield f"{raised} is raised"
    floors = [floor.id for floor in assessment.floors]
    yield from (f"the floor {one} does not hold" for one in expect.floors if one not in floors)
    contradictions = [one.id for one in assessment.quality.contradictions]
    yield from (f"the contradiction {one} is not found" for one in expect.contradictions if one not in contradictions)
    first = [one.condition.id for one in assessment.candidates[:FIRST]]
    yield from (f"{one} is not among the first {FIRST}" for one in expect.candidates if one not in first)


def line_verdict(assessment: Assessment, line_id: str | None) -> Verdict:
    """The verdict of one line. A line id that the pack does not have counts as not reached."""
    for result in (*assessment.fired, *assessment.undecided):
        for line in result.lines:
            if line.line.id == line_id:
                return line.verdict
    return Verdict.NOT_FIRED if line_id in assessment.not_fired else Verdict.NOT_REACHED


def _value(case: CaseTable, fact: FactDefinition, given: str | int | Decimal | list[str]) -> Value:
    words: dict[object, Value] = {"unknown": Missing.UNKNOWN, "not_applicable": Missing.NOT_APPLICABLE}
    if fact.kind is FactKind.PRESENCE:
        words |= {"yes": Presence.PRESENT, "no": Presence.ABSENT, "unknown": Presence.UNKNOWN}
    if isinstance(given, str) and given in words:
        return words[given]
    match fact.kind, given:
        case FactKind.CHOICE, str() | list():
            codes = frozenset([given] if isinstance(given, str) else given)
            if codes <= fact.codes:
                return codes
        case FactKind.QUANTITY, int() | Decimal():
            return Decimal(given)
        case FactKind.TEXT, str():
            return given
    raise PackError([f"case {case.id}: {fact.name} is a {fact.kind} and cannot have this value"])

"""A tiny invented pack, patients for it, and ways to edit a copy of it. Not clinical advice."""

from __future__ import annotations

import shutil
from decimal import Decimal
from functools import cache
from pathlib import Path

from services.triage.engine.model import (
    FactKind,
    Finding,
    FindingProblem,
    Findings,
    Missing,
    Presence,
    Respondent,
    Value,
    Visibility,
)
from services.triage.engine.pack import Pack
from services.triage.knowledge.loader import load_pack

PACKS = Path(__file__).parent / "example_packs"
EXAMPLE = PACKS / "example" / "0.0.1"

HEALTHY: dict[str, Value] = {
    "age_years": Decimal(41),
    "mechanism": Missing.NOT_APPLICABLE,
    "location": frozenset({"posterior_knee"}),
    "onset": frozenset({"gradual"}),
    "severity_0_10": Decimal(2),
    "other_concerns": Missing.NOT_APPLICABLE,
    "calf_circumference_diff_cm": Missing.UNKNOWN,
}
"""Answers of somebody with mild knee pain; every yes/no question that is not named is answered No."""

YES, NO, NOT_SURE = Presence.PRESENT, Presence.ABSENT, Presence.UNKNOWN
UNKNOWN, NOT_APPLICABLE = Missing.UNKNOWN, Missing.NOT_APPLICABLE


@cache
def example_pack() -> Pack:
    """The tiny pack, loaded once."""
    return load_pack(EXAMPLE)


def edited(folder: Path, file: str, *changes: tuple[str, str]) -> Path:
    """A copy of the tiny pack below `folder`, with passages of one file replaced."""
    copy = folder / "example" / "0.0.1"
    if not copy.exists():
        shutil.copytree(EXAMPLE, copy)
    text = (copy / file).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, f"{file} does not hold {old!r}"
        text = text.replace(old, new, 1)
    (copy / file).write_text(text, encoding="utf-8")
    return copy


def added(folder: Path, file: str, text: str) -> Path:
    """A copy of the tiny pack below `folder`, with text added at the end of one file."""
    copy = edited(folder, file)
    with (copy / file).open("a", encoding="utf-8") as opened:
        opened.write(f"\n{text}\n")
    return copy


def patient(*, respondent: Respondent = Respondent.PATIENT, **facts: object) -> Findings:
    """Somebody with mild knee pain, but for these facts.

    A fact is a Value, a number, a code, or a whole Finding.
    """
    return described(example_pack(), HEALTHY, respondent, facts)


def described(pack: Pack, usual: dict[str, Value], respondent: Respondent, facts: dict[str, object]) -> Findings:
    """Findings for any pack: `facts` over `usual`, and No for every other yes/no question of patients."""
    known: dict[str, object] = {
        fact.name: (NOT_SURE if fact.clinician else NO) for fact in pack.content.facts if fact.kind is FactKind.PRESENCE
    }
    known |= usual
    known |= facts
    return Findings({name: _finding(pack, name, value) for name, value in known.items()}, respondent)


def hidden(value: Value = NO, *, visibility: Visibility = Visibility.HIDDEN_NO) -> Finding:
    """A question that was not put."""
    return Finding(value, visibility=visibility)


def two_answers(*values: Value) -> Finding:
    """One question answered in several ways."""
    return Finding(UNKNOWN, alternatives=values, answer="Yes / No")


def out_of_range() -> Finding:
    """A number that cannot be right."""
    return Finding(UNKNOWN, answer="4711", problem=FindingProblem.OUT_OF_RANGE)


def _finding(pack: Pack, name: str, value: object) -> Finding:
    if isinstance(value, Finding):
        return value
    fact = pack.facts[name]
    match value:
        case int():
            converted: Value = Decimal(value)
        case str() if fact.kind is FactKind.CHOICE:
            converted = frozenset({value})
        case Presence() | Missing() | Decimal() | frozenset() | str():
            converted = value
        case _:
            raise TypeError(f"{name}: {value!r}")
    return Finding(converted, (fact.link_id,), f"Question about {fact.label}?", _shown(value))


def _shown(value: object) -> str:
    match value:
        case Presence.PRESENT:
            return "Yes"
        case Presence.ABSENT:
            return "No"
        case Presence() | Missing():
            return ""
        case frozenset():
            return ", ".join(sorted(value))
        case _:
            return str(value)

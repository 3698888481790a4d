"""Everything that a pack folder says, as one value: its head, its sources, its facts, flags, scores and conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from services.triage.engine.advice import Advice
from services.triage.engine.conditions import Condition, RankingMethod
from services.triage.engine.model import (
    DerivedFact,
    FactDefinition,
    Flag,
    SafetyRules,
    ScoreDefinition,
    TextMatch,
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One source, as checked on a day."""

    key: str
    citation: str
    url: str | None
    checked: date | None
    status: str


@dataclass(frozen=True, slots=True)
class PackHead:
    """Which pack this is: what is stamped on every assessment. `sha256` covers every file of the folder.

    From `effective_from` on, all fields are for readers of the published pack alone.
    """

    name: str
    version: str
    canonical: str
    title: str
    status: str
    language: str
    questionnaires: tuple[str, ...]
    sha256: str
    note: str
    approved_on: date | None = None
    reviewed_on: date | None = None
    effective_from: date | None = None
    effective_to: date | None = None
    description: str = ""
    purpose: str = ""
    usage: str = ""
    copyright: str = ""
    topics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that a pack folder says, checked and in file order.

    A pack without `ranking` has no conditions and ranks nothing.
    """

    head: PackHead
    facts: tuple[FactDefinition, ...]
    text_matches: tuple[TextMatch, ...]
    derived: tuple[DerivedFact, ...]
    flags: tuple[Flag, ...]
    scores: tuple[ScoreDefinition, ...]
    safety: SafetyRules
    conditions: tuple[Condition, ...] = ()
    ranking: RankingMethod | None = None
    advice: tuple[Advice, ...] = ()
    texts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    evidence: Mapping[str, Evidence] = field(default_factory=lambda: MappingProxyType({}))

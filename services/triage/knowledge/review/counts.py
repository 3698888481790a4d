"""How much a pack holds."""

from __future__ import annotations

from services.triage.engine.pack import Pack


def counts(pack: Pack) -> dict[str, int]:
    """What there is of each kind, by its name in the plural."""
    content = pack.content
    return {
        "facts": len(content.facts),
        "derived facts": len(content.derived),
        "flags": len(content.flags),
        "flag lines": sum(len(flag.lines) for flag in content.flags),
        "scores": len(content.scores),
        "contradictions": len(content.safety.contradictions),
        "floors": len(content.safety.floors),
        "conditions": len(content.conditions),
        "findings": sum(len(condition.findings) for condition in content.conditions),
        "advice": len(content.advice),
        "texts": len(content.texts),
        "sources": len(content.evidence),
    }

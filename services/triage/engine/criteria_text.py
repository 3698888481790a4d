"""Criteria as text again, in the language in which clinicians write them (`knowledge/criteria_language.py`)."""

from __future__ import annotations

from typing import assert_never

from services.triage.engine.criteria import All, AnyOf, Compare, Criterion, Fact, Not, OrUnknown


def criterion_text(criterion: Criterion) -> str:
    """The criterion as it is written, with no more brackets than needed; read again, it gives an equal criterion.

    Raises ValueError for what cannot be written: `All` or `AnyOf` of fewer than two parts, the negation of `OrUnknown`.
    """
    match criterion:
        case Fact(name):
            return name
        case OrUnknown(part):
            return f"{part.name}~"
        case Compare(name, operator, literal):
            return f"{name}{operator}{literal if isinstance(literal, str) else format(literal, 'f')}"
        case Not(part):
            if isinstance(part, OrUnknown):
                raise ValueError(f"!{part.part.name}~ can be read in two ways")
            return f"!{_bracketed(part, All, AnyOf, Compare)}"
        case All(parts):
            return _joined(" & ", parts, All, AnyOf)
        case AnyOf(parts):
            return _joined(" | ", parts, AnyOf)
        case _:
            assert_never(criterion)


def _joined(sign: str, parts: tuple[Criterion, ...], *in_brackets: type) -> str:
    if len(parts) < 2:
        raise ValueError(f"{sign.strip()} needs two parts")
    return sign.join(_bracketed(part, *in_brackets) for part in parts)


def _bracketed(criterion: Criterion, *in_brackets: type) -> str:
    text = criterion_text(criterion)
    return f"({text})" if isinstance(criterion, in_brackets) else text

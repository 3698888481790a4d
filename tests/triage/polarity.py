"""In which direction a yes counts: for a red-flag line, against it, or both, through derived facts and scores.

A sign is 1 where a yes can only help the line to fire, -1 where it can only keep it from firing. All operators but
negation are monotone in no < unknown < yes, so the sign of a fact in a criterion is the product of the negations above.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.triage.engine.criteria import All, AnyOf, Compare, Criterion, Fact, Not, Operator, OrUnknown
from services.triage.engine.model import DerivedFact, FactKind, ScoreDefinition, Screen
from services.triage.engine.pack import Pack

Signs = Mapping[str, Mapping[str, frozenset[int]]]
_UP = (Operator.AT_LEAST, Operator.MORE)


def line_signs(pack: Pack) -> Signs:
    """By red-flag line that sets an urgency: the facts it depends on, with their signs."""
    return {
        line.id: _collected(pack, line.when)
        for flag in pack.content.flags
        for line in flag.lines
        if line.urgency is not None
    }


def dangers(pack: Pack) -> list[str]:
    """Facts whose yes speaks for some line and against none."""
    signs = line_signs(pack)
    return [
        fact.name
        for fact in pack.content.facts
        if frozenset().union(*(facts.get(fact.name, frozenset()) for facts in signs.values())) == {1}
    ]


def silencers(pack: Pack) -> dict[str, list[str]]:
    """By yes/no fact whose yes may keep a line from firing: those lines, in pack order."""
    found: dict[str, list[str]] = {}
    for line, facts in line_signs(pack).items():
        for name, signs in sorted(facts.items()):
            if -1 in signs and pack.facts[name].kind is FactKind.PRESENCE:
                found.setdefault(name, []).append(line)
    return found


def unused_by_rules(pack: Pack) -> list[str]:
    """Facts on which no red flag, floor, contradiction or screen depends."""
    content = pack.content
    criteria = [line.when for flag in content.flags for line in flag.lines]
    criteria += [floor.when for floor in content.safety.floors]
    criteria += [one.when for one in content.safety.contradictions]
    criteria.append(content.safety.screen.raised_when)
    used = {name for criterion in criteria for name, _ in _signed(pack, criterion, 1)}
    used |= {name for one in content.safety.contradictions for reading in one.readings for name in reading}
    used |= {fact.name for fact in content.facts if fact.screen is not Screen.NONE}
    return [fact.name for fact in content.facts if fact.name not in used]


def counted_only_when_known(pack: Pack) -> set[str]:
    """Facts whose yes counts only when it is known: behind two-valued facts, known points and free text."""
    through = [name for name, one in pack.computed.items() if not isinstance(one, DerivedFact) or one.unknown_is_no]
    return {base for name in (*through, *pack.text_matches) for base in pack.base_facts[name]}


def counted_as_yes_when_unknown(pack: Pack, line_id: str) -> set[str]:
    """Base facts behind a ``~`` of this line."""
    [when] = [line.when for flag in pack.content.flags for line in flag.lines if line.id == line_id]
    return {base for part in _or_unknown(when) for base in pack.base_facts[part.part.name]}


def _or_unknown(criterion: Criterion) -> Iterator[OrUnknown]:
    match criterion:
        case OrUnknown():
            yield criterion
        case Not(part):
            yield from _or_unknown(part)
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from _or_unknown(part)


def _collected(pack: Pack, criterion: Criterion) -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for name, sign in _signed(pack, criterion, 1):
        found.setdefault(name, set()).add(sign)
    return {name: frozenset(signs) for name, signs in found.items()}


def _signed(pack: Pack, criterion: Criterion, sign: int) -> Iterator[tuple[str, int]]:
    match criterion:
        case Fact(name):
            yield from _of_fact(pack, name, sign)
        case OrUnknown(part):
            yield from _signed(pack, part, sign)
        case Not(part):
            yield from _signed(pack, part, -sign)
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from _signed(pack, part, sign)
        case Compare(name, operator):
            yield from _compared(pack, name, operator, sign)


def _of_fact(pack: Pack, name: str, sign: int) -> Iterator[tuple[str, int]]:
    derived = pack.computed.get(name)
    if isinstance(derived, DerivedFact):
        yield from _signed(pack, derived.when, sign)
    else:
        yield name, sign


def _compared(pack: Pack, name: str, operator: Operator, sign: int) -> Iterator[tuple[str, int]]:
    """A comparison of points takes its signs from the points; one of an answer has no direction: both signs."""
    score = pack.computed.get(name)
    if not isinstance(score, ScoreDefinition):
        yield from ((name, one) for one in (1, -1))
        return
    up = 1 if operator in _UP else -1
    for item in score.items:
        yield from _signed(pack, item.when, sign * up * (1 if item.points > 0 else -1))
    if score.applies_when is not None:
        yield from _signed(pack, score.applies_when, sign)

"""Where it hurts: how common each condition is there, the same for all who state the same sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.triage.engine.compile import Values
from services.triage.engine.keeping import keep

_REMEMBERED: Final = 100
"""For how many different statements of sites the answer is kept."""


@dataclass(frozen=True, slots=True)
class Here:
    """At the stated sites: the prior of every condition, and the same shifted to stand among totals (`ranking.py`).

    `occurring`: places of the conditions that are known to occur at one of them; all of them when no site is stated.
    """

    priors: Sequence[int]
    shifted: Sequence[int]
    occurring: frozenset[int]


@dataclass(frozen=True, slots=True, eq=False)
class Sites:
    """The sites of one pack.

    `priors`: by site, the prior of every condition there; `elsewhere` for sites that no condition names, `anywhere` for
    an unknown site, `other_site` what is added for a further site. `occurring`: by site, the places of the conditions
    whose prior names it. `shift`: by how many bits totals are shifted.
    """

    main_slot: int
    other_slot: int | None
    priors: Mapping[str, tuple[int, ...]]
    elsewhere: tuple[int, ...]
    anywhere: tuple[int, ...]
    other_site: int
    occurring: Mapping[str, tuple[int, ...]]
    shift: int
    known: dict[Any, Here] = field(init=False, repr=False, default_factory=dict)

    def of(self, values: Values) -> Here:
        """What holds at the sites that these values state."""
        key = (values[self.main_slot], None if self.other_slot is None else values[self.other_slot])
        here = self.known.get(key)
        if here is None:
            main, others = _codes(key[0]), _codes(key[1] or ())
            priors = self._priors(main, others)
            here = Here(priors, [prior << self.shift for prior in priors], self._occurring((*main, *others)))
            keep(self.known, key, here, room=_REMEMBERED)
        return here

    def _priors(self, main: Sequence[str], others: Sequence[str]) -> Sequence[int]:
        """The prior of every condition: the largest of those at the stated sites, a further site counting less."""
        at_main = [self.priors.get(site, self.elsewhere) for site in main]
        found: Sequence[int] | None = list(map(max, *at_main)) if len(at_main) > 1 else at_main[0] if at_main else None
        for site in others:
            if site in self.priors:
                less = [prior + self.other_site for prior in self.priors[site]]
                found = less if found is None else list(map(max, found, less))
        return self.anywhere if found is None else found

    def _occurring(self, sites: Sequence[str]) -> frozenset[int]:
        if not sites:
            return frozenset(range(len(self.anywhere)))
        return frozenset(place for site in sites for place in self.occurring.get(site, ()))


def _codes(values: Sequence[Any]) -> list[str]:
    """All codes of a choice under any reading; none when it is unknown."""
    return [code for value in values if isinstance(value, frozenset) for code in value]

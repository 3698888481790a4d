"""Conditions that a patient may have, and how a pack weighs what speaks for and against them.

All weights are natural logarithms in thousandths, rounded once when the pack is loaded: sums of whole numbers are the
same on every machine and in every order. They rank; they are never a probability.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.triage.engine.criteria import Criterion
from services.triage.engine.model import Urgency


@dataclass(frozen=True, slots=True)
class ConditionFinding:
    """One thing that speaks for or against a condition.

    `yes`, `no`, `unknown`: weights (0 says nothing). `unknown` differs from 0 only for a key feature, and counts for
    the order of candidates alone. Findings of one `group` restate each other: only the strongest of them counts.
    """

    when: Criterion
    yes: int
    no: int
    unknown: int = 0
    group: str | None = None
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Code:
    """A code of a terminology. `system`: its canonical URI."""

    system: str
    code: str
    display: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition: how soon it must be seen, where to, and what speaks for and against it.

    `prior`: by site code, weight of how common it is among adults with pain mainly there; `prior_elsewhere` holds for
    sites that are not in it, `prior_unknown` when the site is unknown. `flagged`: weight added (ranking only) when one
    of the red flags in `guarded_by` fired. `only_when` known to be no: not a candidate. `confidential`: never named
    where a patient or carer may read. `unguarded`: why no flag guards against something that cannot wait.
    """

    id: str
    title: str
    urgency: Urgency
    next_step: str
    findings: tuple[ConditionFinding, ...]
    prior: Mapping[str, int]
    prior_elsewhere: int
    prior_unknown: int
    codes: tuple[Code, ...] = ()
    raises: tuple[str, ...] = ()
    guarded_by: tuple[str, ...] = ()
    flagged: int = 0
    never_excluded_by: str = ""
    confidential: bool = False
    evidence: tuple[str, ...] = ()
    only_when: Criterion | None = None
    unguarded: str = ""

    @property
    def must_not_miss(self) -> bool:
        """True when it has to be seen the same day or sooner."""
        return self.urgency.rank <= Urgency.SAME_DAY.rank


@dataclass(frozen=True, slots=True)
class RankingMethod:
    """The numbers of the method, all weights as in `ConditionFinding`.

    `site_fact`, `other_sites_fact`: choice facts with the main site and (where there is one) further ones; the prior of
    a further site counts with `other_site` added. A condition is supported when its findings weigh at least
    `support_at_least`, it is among the first `support_rank`, and its score is at most `support_within` below the first;
    it is strongly supported from `strong_at_least` on. `shown`: how many candidates are reported.
    `background`: facts that are never told as reasons, because every reader knows them.
    """

    site_fact: str
    other_sites_fact: str | None
    other_site: int
    support_at_least: int
    strong_at_least: int
    support_rank: int
    support_within: int
    shown: int
    background: tuple[str, ...] = ()

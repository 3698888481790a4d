"""What was posted in a measurement, when it was assessed and told of, and whether each was once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from deploy.local.benchmark.generator import Post
from deploy.local.benchmark.mail_recorder import read_record
from deploy.local.benchmark.system import NotMeasurable, System
from shared.ids import DEFAULT_TENANT

POLL_S = 0.2
ASSESSED_SINCE = """
SELECT count(*) FROM triage.resource
WHERE tenant_id = %s AND type = 'RiskAssessment' AND is_current AND last_updated >= to_timestamp(%s)
"""
COMMITTED = """
SELECT held.response_id, extract(epoch FROM pg_xact_commit_timestamp(assessed.xmin))::float8
FROM triage.assessment AS held
JOIN triage.resource AS assessed ON assessed.tenant_id = held.tenant_id AND assessed.type = 'RiskAssessment'
     AND assessed.id = held.id AND assessed.is_current
WHERE held.tenant_id = %s AND held.response_id = ANY (%s)
"""
TOLD = """
SELECT held.response_id, sent.id::text
FROM triage.assessment AS held
JOIN notify.alert_assessment AS raised ON raised.tenant_id = held.tenant_id AND raised.assessment_id = held.id
JOIN notify.delivery AS sent ON sent.tenant_id = raised.tenant_id AND sent.alert_id = raised.alert_id
WHERE held.tenant_id = %s AND held.response_id = ANY (%s)
"""


@dataclass(frozen=True, slots=True)
class Wrong:
    """What must be nought: accepted and not assessed or not told of, assessed or told twice, not accepted at all."""

    lost: int = 0
    doubled: int = 0
    refused: int = 0

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.refused)


@dataclass(slots=True)
class Ledger:
    """Every response that was accepted in this measurement."""

    system: System
    posts: list[Post] = field(default_factory=list)

    def wait(self, posts: Sequence[Post], *, within_s: float) -> None:
        """Return once all of these are assessed, and the emergencies told of. Raises NotMeasurable if that fails."""
        self.posts += posts
        accepted = [post for post in posts if post.status == 201]
        if not accepted:
            raise NotMeasurable(f"Nothing was accepted: {dict(Counter(post.status for post in posts))}.")
        begin = min(post.sent for post in accepted)
        urgent = sum(post.urgent for post in accepted)
        end = time.monotonic() + within_s
        while True:
            (assessed,) = self.system.ask(ASSESSED_SINCE, DEFAULT_TENANT, begin)[0]
            told = sum(moment >= begin for moment, _ in read_record(self.system.mail))
            if assessed >= len(accepted) and told >= urgent:
                return
            if time.monotonic() > end:
                raise NotMeasurable(
                    f"After {within_s:.0f} s {assessed} of {len(accepted)} responses were assessed and {told} of "
                    f"{urgent} emergencies told of. See the logs; the machine may be too busy."
                )
            time.sleep(POLL_S)

    def assessed(self, posts: Iterable[Post]) -> list[float]:
        """When the RiskAssessment of each became readable: the commit, by the machine's clock."""
        found = self._committed([post.id for post in posts])
        return [times[0] for times in found.values()]

    def assessment_times(self, posts: Iterable[Post]) -> list[float]:
        """Seconds from the moment at which each was due to be sent, to the commit of its RiskAssessment."""
        due = {post.id: post.due for post in posts if post.status == 201}
        return [times[0] - due[one] for one, times in self._committed(list(due)).items()]

    def mail_times(self, posts: Iterable[Post]) -> list[float]:
        """Seconds from the moment at which each emergency was due, until the mail server said yes to its first mail."""
        due = {post.id: post.due for post in posts if post.status == 201 and post.urgent}
        return [min(times) - due[one] for one, times in self._told(list(due)).items()]

    def wrong(self) -> Wrong:
        """What was lost, done twice or not accepted of all that was posted."""
        accepted = {post.id: post.urgent for post in self.posts if post.status == 201}
        assessed = self._committed(list(accepted))
        urgent = [one for one, is_urgent in accepted.items() if is_urgent]
        told = self._told(urgent)
        return Wrong(
            lost=sum(one not in assessed for one in accepted) + sum(one not in told for one in urgent),
            doubled=sum(len(times) - 1 for found in (assessed, told) for times in found.values()),
            refused=sum(post.status != 201 for post in self.posts),
        )

    def _committed(self, ids: list[str]) -> Mapping[str, list[float]]:
        found: dict[str, list[float]] = {}
        for one, moment in self.system.ask(COMMITTED, DEFAULT_TENANT, ids):
            found.setdefault(one, []).append(moment)
        return found

    def _told(self, ids: list[str]) -> Mapping[str, list[float]]:
        """When the mail server took each mail about each of these."""
        taken: dict[str, list[float]] = {}
        for moment, name in read_record(self.system.mail):
            taken.setdefault(name, []).append(moment)
        found: dict[str, list[float]] = {}
        for one, delivery in self.system.ask(TOLD, DEFAULT_TENANT, ids):
            found.setdefault(one, []).extend(taken.get(delivery, []))
        return {one: times for one, times in found.items() if times}

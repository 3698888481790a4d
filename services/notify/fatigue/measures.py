"""How it goes with alerts, as numbers: for the page of measures and for /metrics. No patient is in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.notify.detail.store import feedback_by_flag
from services.notify.fatigue import store
from services.notify.fatigue.store import Measured
from shared.operations import Gauge
from shared.postgres import DictConnection, Pool

PERIOD = timedelta(days=30)
BY = ("flag", "team")
AGREE = "agree"


@dataclass(frozen=True, slots=True)
class Measures:
    """What the page shows: the last thirty days, by red flag and by team, and how many messages people were spared.

    `said`: by red flag, how often clinicians agreed with the assessment, and how often they said anything.
    """

    flags: tuple[Measured, ...]
    teams: tuple[Measured, ...]
    messages: int
    suppressed: int
    said: Mapping[str, tuple[int, int]]


def measures_of(connection: DictConnection, tenant: UUID, now: datetime) -> Measures:
    """The measures of one tenant."""
    since = now - PERIOD
    messages, suppressed = store.suppressed_share(connection, tenant, since)
    flags, teams = (tuple(store.measures(connection, tenant, since, by=by)) for by in BY)
    said: dict[str, tuple[int, int]] = {}
    for each in feedback_by_flag(connection, tenant, since):
        agreed, all_of_it = said.get(each.flag, (0, 0))
        said[each.flag] = (agreed + (each.number if each.verdict == AGREE else 0), all_of_it + each.number)
    return Measures(flags, teams, messages, suppressed, said)


def minutes(seconds: float | None) -> str:
    """A time as people read it."""
    if seconds is None:
        return "–"
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )


def share(part: int, whole: int) -> str:
    """A share with the numbers that it is made of: few of them say little."""
    return f"{100 * part / whole:.0f} % ({part} of {whole})" if whole else "–"


def gauges(pool: Pool) -> Iterator[Gauge]:
    """The same of all tenants together."""
    with pool.connection() as connection:
        rows = {by: store.measured_alerts(connection, by) for by in BY}
    for by, measured in rows.items():
        for row in measured:
            label = {"by": by, "name": row.name}
            about = "Alerts opened within 30 days, the newest 20,000 at most."
            yield Gauge("sural_alerts_30_days", about, label, float(row.alerts))
            yield Gauge("sural_alerts_closed_30_days", "Those of them that were closed.", label, float(row.closed))
            about = "Those of them whose urgency was not followed."
            yield Gauge("sural_alerts_overridden_30_days", about, label, float(row.overridden))
            for quantile, seconds in (("0.5", row.p50_s), ("0.9", row.p90_s)):
                if seconds is not None:
                    about = "Seconds until somebody acknowledged."
                    yield Gauge("sural_alert_acknowledge_seconds", about, {**label, "quantile": quantile}, seconds)

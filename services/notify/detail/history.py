"""All assessments of one patient, newest first: how urgent it was over time, and which alerts stand for each. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.notify.detail.assessed import Assessed, read_assessed


@dataclass(frozen=True, slots=True)
class Entry:
    """An assessment as it is now, and the alerts that stand for a version of it."""

    assessed: Assessed
    alerts: tuple[UUID, ...]

    @property
    def at(self) -> datetime | None:
        """When it was made."""
        return self.assessed.at


def entries(resources: Sequence[Mapping[str, Any]], alerts: Mapping[str, Sequence[UUID]]) -> tuple[Entry, ...]:
    """Newest first; those whose time cannot be read come first, so that they are seen."""
    found = [Entry(read_assessed(one, ()), tuple(alerts.get(str(one.get("id")), ()))) for one in resources]
    return tuple(sorted(found, key=lambda one: (one.at is None, one.at.timestamp() if one.at else 0.0), reverse=True))

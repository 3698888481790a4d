"""What names a published resource."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Canonical:
    """What names one published resource: two of one url and version are never published."""

    id: str
    url: str
    version: str
    name: str = ""
    title: str = ""

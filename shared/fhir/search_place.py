"""A place in the order of a search, as the opaque mark that next links carry.

It names the last resource of a page by what the order goes by, so the next page stays valid while data arrive.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

import orjson

from shared.fhir.search_conditions import RESOURCE_ID

Key: TypeAlias = str | float | datetime | None
"""The value that a row is ordered by; None: it has none."""


@dataclass(frozen=True, slots=True)
class Place:
    """The keys and the id of a row."""

    keys: tuple[Key, ...]
    id: str

    def mark(self) -> str:
        """For a link."""
        return base64.urlsafe_b64encode(orjson.dumps([*map(_written, self.keys), self.id])).decode().rstrip("=")


def place_of(mark: str, kinds: Sequence[type]) -> Place:
    """Read a mark back, for an order by keys of these kinds. Raises ValueError for what is not one of ours."""
    try:
        *written, resource_id = orjson.loads(base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4)))
        keys = tuple(_read(key, kind) for key, kind in zip(written, kinds, strict=True))
        if RESOURCE_ID.fullmatch(resource_id):
            return Place(keys, resource_id)
    except (binascii.Error, ValueError, TypeError, OverflowError):
        pass
    raise ValueError("this page mark is not one of ours; start the search again without it")


def _written(key: Key) -> str | None:
    """As text: JSON has no times and no infinity."""
    return key.isoformat() if isinstance(key, datetime) else None if key is None else str(key)


def _read(key: str | None, kind: type) -> Key:
    if kind is datetime and key is not None:
        moment = datetime.fromisoformat(key)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    elif kind is float:
        return None if key is None else float(key)
    elif kind is str and (key is None or (isinstance(key, str) and "\x00" not in key)):
        return key
    raise ValueError(kind)

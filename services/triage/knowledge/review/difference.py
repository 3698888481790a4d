"""What differs between two packs: tables that are new, gone, or say something else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.triage.knowledge.review.described import Fields, described
from services.triage.knowledge.review.edition import Edition
from services.triage.knowledge.review.places import Place


class Kind(StrEnum):
    """What became of a table."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of a table; empty where there is none."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class TableChange:
    """One table. `fields`: those that differ, all of them for a table that was added or removed."""

    kind: Kind
    place: Place
    fields: tuple[FieldChange, ...]


def differences(before: Edition, after: Edition) -> tuple[TableChange, ...]:
    """Everything that differs, in the order of the newer pack; what is gone stands at the end of its file."""
    old, new = dict(described(before)), dict(described(after))
    changes = [_change(place, old.get(place, {}), new.get(place, {})) for place in dict.fromkeys((*new, *old))]
    files = list(dict.fromkeys(place.file for place in (*new, *old)))
    found = [change for change in changes if change is not None]
    return tuple(sorted(found, key=lambda change: files.index(change.place.file)))


def _change(place: Place, old: Fields, new: Fields) -> TableChange | None:
    fields = tuple(
        FieldChange(name, old.get(name, ""), new.get(name, ""))
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    )
    if not fields:
        return None
    return TableChange(Kind.CHANGED if old and new else Kind.ADDED if new else Kind.REMOVED, place, fields)

"""The on-call documents that were saved: read, the next version, and what the look ahead found."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from services.notify.on_call.document import Document, person_of
from services.notify.on_call.flaw import DocumentFlawed, Flaw
from services.notify.on_call.read import read_document
from shared.audit.act import Act, Interaction, asker_or, record
from shared.postgres import DictConnection, load_queries

__all__ = [
    "Mark",
    "Saved",
    "Watch",
    "at_version",
    "current",
    "marked",
    "newest",
    "person_of",
    "save",
    "saved",
    "tenants",
    "watch",
]

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
MOST_KEPT = 64
_read_before: dict[tuple[str, int], Document] = {}
"""Documents by the hash of their text and their version: neither ever changes."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A version as it was saved."""

    version: int
    text: str
    sha256: str
    saved_at: datetime
    saved_by: str


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands for a version: its number, and the hash of its text."""

    version: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Watch:
    """What the last look 30 days ahead found."""

    version: int
    looked_at: datetime
    gap_hours: float
    flaws: int
    first_gap: datetime | None
    told_at: datetime | None = None


def current(connection: DictConnection, tenant: UUID) -> Document | None:
    """The newest document of the tenant; None where none was saved.

    Raises DocumentFlawed when it cannot be read (it could when it was saved).
    """
    return _document(connection, tenant, connection.execute(QUERIES["newest"], {"tenant_id": tenant}).fetchone())


def marked(connection: DictConnection, tenant: UUID, mark: Mark) -> Document | None:
    """The document that somebody has just seen to be there. Raises DocumentFlawed when it cannot be read."""
    return _document(connection, tenant, {"version": mark.version, "sha256": mark.sha256})


def newest(connection: DictConnection, tenant: UUID) -> int:
    """Number of the newest version; 0 where none was saved."""
    row = connection.execute(QUERIES["newest"], {"tenant_id": tenant}).fetchone()
    return int(row["version"]) if row else 0


def at_version(connection: DictConnection, tenant: UUID, version: int) -> Document | None:
    """This version of the document, or None. Raises DocumentFlawed when it cannot be read."""
    parameters = {"tenant_id": tenant, "version": version}
    return _document(connection, tenant, connection.execute(QUERIES["digest"], parameters).fetchone())


def _document(connection: DictConnection, tenant: UUID, row: Mapping[str, Any] | None) -> Document | None:
    """The document of a row: a text is fetched and read once in the life of a process."""
    if row is None:
        return None
    key = (row["sha256"], row["version"])
    if (document := _read_before.get(key)) is None:
        held = saved(connection, tenant, row["version"])
        if held is None:
            return None
        document = _read_before[key] = _read(held)
        for oldest in list(_read_before)[:-MOST_KEPT]:
            _read_before.pop(oldest, None)
    return document


def _read(held: Saved) -> Document:
    """Raises DocumentFlawed, for a fault of the reader's own too: an alert goes on without a document then."""
    try:
        return read_document(held.text, version=held.version)
    except DocumentFlawed:
        raise
    except Exception as error:
        found = f"text over which the reader stumbles ({type(error).__name__})"
        raise DocumentFlawed([Flaw("document", found, "a text that can be read", "Save it anew.")]) from error


def saved(connection: DictConnection, tenant: UUID, version: int) -> Saved | None:
    """This version as it was saved, or None."""
    row = connection.execute(QUERIES["version"], {"tenant_id": tenant, "version": version}).fetchone()
    return Saved(**row) if row else None


def save(connection: DictConnection, tenant: UUID, text: str, *, edited: int, by: str) -> int | None:
    """Save the version that follows `edited`, and note it in the audit; None when that one is not the newest any more.

    Whoever calls has checked the text.
    """
    version = edited + 1
    if newest(connection, tenant) != edited:
        return None
    parameters = {
        "tenant_id": tenant,
        "version": version,
        "text": text,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "saved_by": by,
    }
    if connection.execute(QUERIES["save"], parameters).rowcount != 1:
        return None
    act = Act(Interaction.UPDATE, "Basic", id="on-call-document", version=version, word="on_call_saved")
    record(connection, tenant, act, asker_or("service/notify"))
    return version


def versions(connection: DictConnection, tenant: UUID, *, limit: int = 20) -> list[dict[str, Any]]:
    """Who saved which version when, the newest first."""
    return connection.execute(QUERIES["versions"], {"tenant_id": tenant, "limit": limit}).fetchall()


def tenants(connection: DictConnection) -> list[UUID]:
    """Tenants that have a document."""
    return [row["tenant"] for row in connection.execute(QUERIES["tenants"]).fetchall()]


def watch(connection: DictConnection, tenant: UUID) -> Watch | None:
    """What the last look ahead found, locked, or None before the first."""
    row = connection.execute(QUERIES["watch"], {"tenant_id": tenant}).fetchone()
    return Watch(**row) if row else None


def save_watch(connection: DictConnection, tenant: UUID, found: Watch) -> None:
    """Keep what a look ahead found."""
    connection.execute(QUERIES["save_watch"], asdict(found) | {"tenant_id": tenant})

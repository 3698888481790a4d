"""The rounds of the watchdog: begun, full, told outside, forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from shared.postgres import DictConnection, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, slots=True)
class FullRound:
    """The newest full round: seconds since it began, and from then to its acknowledgement."""

    age_s: float
    took_s: float


def begin(connection: DictConnection, round_id: UUID, every: timedelta) -> datetime | None:
    """A new round, with the moment at which it begins, if the last one began that long ago; else None."""
    row = connection.execute(QUERIES["begin"], {"id": round_id, "every": every}).fetchone()
    return row["began_at"] if row else None


def drop(connection: DictConnection, round_id: UUID) -> None:
    """This round did not begin after all: another may begin at once."""
    connection.execute(QUERIES["drop"], {"id": round_id})


def note_full(connection: DictConnection, round_id: UUID) -> None:
    """The alert of this round was acknowledged."""
    connection.execute(QUERIES["note_full"], {"id": round_id})


def take_told(connection: DictConnection) -> UUID | None:
    """The newest full round, to whoever asks first; None when there is none that is not told yet."""
    row = connection.execute(QUERIES["take_told"]).fetchone()
    return row["id"] if row else None


def not_told(connection: DictConnection, round_id: UUID) -> None:
    """Nobody outside heard of it: the next look tells it again."""
    connection.execute(QUERIES["not_told"], {"id": round_id})


def full_round(connection: DictConnection) -> FullRound | None:
    """The newest full round; None before the first."""
    row = connection.execute(QUERIES["measure"]).fetchone()
    return FullRound(**row) if row else None


def forget(connection: DictConnection, kept: timedelta) -> None:
    """Delete what rounds older than this left in notify, and nothing of any other tenant."""
    connection.execute(QUERIES["forget"], {"kept": kept})

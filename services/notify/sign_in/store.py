"""Rows of accounts and sessions. Only this room asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from services.notify.sign_in.session import ABSOLUTE_S, IDLE_S, NOTED_S
from shared.ids import uuid7
from shared.postgres import DictConnection, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, slots=True)
class Found:
    """A session that is not over, with its account as it is now. `stale`: its use was not noted lately."""

    tenant: UUID
    id: UUID
    account: UUID
    name: str
    person: str | None
    roles: tuple[str, ...]
    complete: bool
    stale: bool


def session_of(connection: DictConnection, id_hash: bytes) -> Found | None:
    """The session of this cookie, whatever its tenant; None when there is none, or it is over."""
    limits = {"idle_s": IDLE_S, "absolute_s": ABSOLUTE_S, "noted_s": NOTED_S}
    row = connection.execute(QUERIES["session_of"], {"id_hash": id_hash} | limits).fetchone()
    if row is None:
        return None
    return Found(
        row["tenant_id"],
        row["id"],
        row["account_id"],
        row["name"],
        row["person"],
        tuple(row["roles"]),
        row["complete"],
        row["stale"],
    )


def note_use(connection: DictConnection, tenant: UUID, session: UUID) -> None:
    """Somebody was there: the idle time of this session begins anew."""
    connection.execute(QUERIES["note_use"], {"tenant": tenant, "id": session})


def begin_session(
    connection: DictConnection,
    tenant: UUID,
    account: UUID,
    id_hash: bytes,
    *,
    complete: bool,
    second_factor: bool,
    way: str,
    address: str | None,
) -> UUID:
    """A new session; returns the id that names it."""
    session = uuid7()
    given = {
        "tenant": tenant,
        "id": session,
        "id_hash": id_hash,
        "account": account,
        "complete": complete,
        "second_factor": second_factor,
        "way": way,
        "address": address,
    }
    connection.execute(QUERIES["begin_session"], given)
    return session


def end_session(connection: DictConnection, tenant: UUID, session: UUID) -> None:
    """It is over."""
    connection.execute(QUERIES["end_session"], {"tenant": tenant, "id": session})


def end_sessions(connection: DictConnection, tenant: UUID, account: UUID, *, but: UUID | None = None) -> int:
    """End all sessions of this account, but this one; returns how many."""
    return connection.execute(QUERIES["end_sessions"], {"tenant": tenant, "account": account, "but": but}).rowcount


def forget_sessions(connection: DictConnection) -> None:
    """Delete the rows of sessions that are over, of all tenants."""
    connection.execute(QUERIES["forget_sessions"], {"idle_s": IDLE_S, "absolute_s": ABSOLUTE_S})

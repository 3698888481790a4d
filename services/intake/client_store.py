"""Systems that may ask for access tokens: who they are, whose data they may see, their keys and scopes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from shared.postgres import DictConnection, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, slots=True)
class Client:
    """One registration. Either `jwks` (the text of a key set) or `jwks_url` is given."""

    id: str
    tenant: UUID
    name: str
    jwks: str | None
    jwks_url: str | None
    scopes: str
    created_at: datetime | None = None
    disabled_at: datetime | None = None


def add(connection: DictConnection, client: Client) -> None:
    """Register a client under a new id."""
    connection.execute(
        QUERIES["add"],
        {
            "id": client.id,
            "tenant": client.tenant,
            "name": client.name,
            "jwks": client.jwks,
            "jwks_url": client.jwks_url,
            "scopes": client.scopes,
        },
    )


def find(connection: DictConnection, client_id: str) -> Client | None:
    """The client of that id, disabled or not."""
    row = connection.execute(QUERIES["find"], {"id": client_id}).fetchone()
    return _client(row) if row else None


def every(connection: DictConnection) -> list[Client]:
    """All clients, the oldest first."""
    return [_client(row) for row in connection.execute(QUERIES["all"]).fetchall()]


def active(connection: DictConnection, tenant: UUID) -> list[Client]:
    """The clients of this tenant that get tokens now."""
    return [_client(row) for row in connection.execute(QUERIES["active"], {"tenant": tenant}).fetchall()]


def disable(connection: DictConnection, client_id: str) -> bool:
    """Give it no more tokens. False when there is no such client."""
    return connection.execute(QUERIES["disable"], {"id": client_id}).rowcount == 1


def replace_keys(connection: DictConnection, client_id: str, *, jwks: str | None, jwks_url: str | None) -> bool:
    """Take other keys from now on. False when there is no such client."""
    given = {"id": client_id, "jwks": jwks, "jwks_url": jwks_url}
    return connection.execute(QUERIES["replace_keys"], given).rowcount == 1


def use_assertion(connection: DictConnection, client_id: str, jti: str, *, expires: float) -> bool:
    """Note that an assertion was used, until it expires (seconds since 1970). False when it was used before."""
    given = {"client": client_id, "jti": jti, "expires": expires}
    return connection.execute(QUERIES["use_assertion"], given).rowcount == 1


def forget_assertions(connection: DictConnection) -> None:
    """Delete what has expired so long ago that it is refused for its age."""
    connection.execute(QUERIES["forget_assertions"])


def _client(row: dict[str, Any]) -> Client:
    return Client(
        id=row["id"],
        tenant=row["tenant"],
        name=row["name"],
        jwks=row["jwks"],
        jwks_url=row["jwks_url"],
        scopes=row["scopes"],
        created_at=row["created_at"],
        disabled_at=row["disabled_at"],
    )

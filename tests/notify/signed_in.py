"""Somebody who is signed in: an account and a session as rows, without the sign-in. For tests of any page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx

from services.notify.sign_in.session import csrf_of, new_token
from services.notify.sign_in.visitor import Role
from shared.access.session_cookie import hashed
from shared.ids import DEFAULT_TENANT

Rows = Callable[..., list[dict[str, Any]]]
COOKIE = "sural-session"
"""On http, where the tests are: without `__Host-`."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account and a session; `token` is what their browser's cookie holds."""

    account: UUID
    session: UUID
    token: str
    name: str

    @property
    def csrf(self) -> str:
        """What their forms send back."""
        return csrf_of(self.token)

    def uses(self, client: httpx.Client) -> httpx.Client:
        """This client is their browser from now on."""
        client.cookies.clear()
        client.cookies.set(COOKIE, self.token, domain="127.0.0.1", path="/")
        return client


def somebody(
    rows: Rows,
    *roles: Role,
    name: str = "Dr Osei",
    person: str | None = None,
    tenant: UUID = DEFAULT_TENANT,
    complete: bool = True,
) -> Person:
    """An account with these roles that is signed in now."""
    found = Person(uuid4(), uuid4(), new_token(), name)
    rows("SELECT set_config('sural.tenant', %s, false)", str(tenant))
    rows(
        "INSERT INTO account (id, tenant_id, login, name, person, roles, password_hash) "
        "VALUES (%s, %s, %s, %s, %s, %s, 'none')",
        found.account, tenant, f"user-{found.account}", name, person, [str(role) for role in roles],
    )  # fmt: skip
    rows(
        "INSERT INTO session (tenant_id, id, id_hash, account_id, complete, second_factor, way) "
        "VALUES (%s, %s, %s, %s, %s, true, 'password')",
        tenant, found.session, hashed(found.token), found.account, complete,
    )  # fmt: skip
    return found

"""A browser without JavaScript: opens pages, fills in their forms, follows where it is sent."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pyotp

from services.notify.sign_in import accounts
from services.notify.sign_in.password import hash_password
from services.notify.sign_in.visitor import Role
from shared.audit.act import Asker
from shared.ids import DEFAULT_TENANT
from shared.postgres import Pool, tenant_transaction

OURS = {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8123", "Sec-Fetch-User": "?1"}
PASSWORD = "seven grey herons wading"
HIDDEN = re.compile(r'type="hidden" name="(\w+)" value="([^"]*)"')
BY = Asker("command-line")


@dataclass
class Visit:
    """One browser. `page` is what it shows now."""

    client: httpx.Client
    origin: str = "http://127.0.0.1:8123"
    page: httpx.Response = field(init=False)

    def opens(self, path: str) -> httpx.Response:
        """Type an address; redirects within our pages are followed."""
        self.page = self.client.get(path, headers=self._headers)
        return self._followed()

    def sends(self, path: str, **fields: Any) -> httpx.Response:
        """Send the form of the present page to `path`, with its hidden fields and these."""
        form = dict(HIDDEN.findall(self.page.text)) | fields
        self.page = self.client.post(path, data=form, headers=self._headers)
        return self._followed()

    def signs_in(self, login: str, password: str, *, next: str = "/worklist") -> httpx.Response:
        self.opens(f"/worklist/sign-in?next={next}")
        return self.sends("/worklist/sign-in", login=login, password=password)

    def types_code(self, code: str) -> httpx.Response:
        return self.sends("/worklist/sign-in/code", code=code)

    @property
    def at(self) -> str:
        """The address of the present page."""
        return self.page.request.url.path

    @property
    def _headers(self) -> dict[str, str]:
        return OURS | {"Origin": self.origin}

    def _followed(self) -> httpx.Response:
        for _ in range(5):
            if self.page.status_code != 303 or not self.page.headers["Location"].startswith("/"):
                break
            self.page = self.client.get(self.page.headers["Location"], headers=self._headers)
        return self.page


@dataclass(frozen=True)
class Keeper:
    """Makes accounts, as the command line does."""

    pool: Pool

    def adds(self, login: str, *roles: Role, name: str = "Dr Osei", tenant: UUID = DEFAULT_TENANT) -> str:
        """A new account; its first password."""
        new = accounts.new_account(tenant, login, name, roles=roles or (Role.CLINICIAN,))
        with tenant_transaction(self.pool, tenant) as connection:
            return accounts.add(connection, new, BY)

    def adds_with_password(self, login: str, *roles: Role, **given: Any) -> str:
        """A new account whose own password was chosen before: `PASSWORD`."""
        self.adds(login, *roles, **given)
        with tenant_transaction(self.pool, given.get("tenant", DEFAULT_TENANT)) as connection:
            connection.execute(
                "UPDATE account SET password_hash = %s, must_change_password = false WHERE login = %s",
                (hash_password(PASSWORD), login),
            )
        return PASSWORD

    def adds_with_second_factor(self, login: str, *roles: Role, **given: Any) -> pyotp.TOTP:
        """The same with a second factor: what its telephone shows."""
        self.adds_with_password(login, *roles, **given)
        secret = pyotp.random_base32()
        with tenant_transaction(self.pool, given.get("tenant", DEFAULT_TENANT)) as connection:
            connection.execute(
                "UPDATE account SET totp_secret = %s, totp_since = now() WHERE login = %s", (f"plain:{secret}", login)
            )
        return pyotp.TOTP(secret)


def code_of(secret_or_totp: str | pyotp.TOTP, *, steps: int = 0) -> str:
    """What the telephone shows, now or some steps of 30 s from now."""
    totp = secret_or_totp if isinstance(secret_or_totp, pyotp.TOTP) else pyotp.TOTP(secret_or_totp)
    return totp.at(datetime.now(UTC) + timedelta(seconds=30 * steps))

"""Somebody who may sign in, as a row of `account`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from services.notify.sign_in.visitor import Role


@dataclass(frozen=True, slots=True)
class Account:
    """`login` and `password_hash` None: signs in by an identity provider, as `subject` of `issuer`.

    `person` is the id in the on-call document. `totp_since` None: no second factor yet.
    """

    id: UUID
    tenant_id: UUID
    login: str | None
    name: str
    person: str | None
    roles: frozenset[Role]
    password_hash: str | None = field(default=None, repr=False)
    must_change_password: bool = False
    totp_secret: str | None = field(default=None, repr=False)
    totp_since: datetime | None = None
    totp_last_step: int = 0
    issuer: str | None = None
    subject: str | None = None
    created_at: datetime | None = None
    disabled_at: datetime | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The account in a row."""
        values = {name: row[name] for name in cls.__dataclass_fields__}
        return cls(**(values | {"roles": frozenset(Role(role) for role in row["roles"])}))

    @property
    def has_password(self) -> bool:
        """Whether it signs in here, not with an identity provider."""
        return self.login is not None

    @property
    def has_second_factor(self) -> bool:
        """Whether a code is asked for at the sign-in."""
        return self.totp_since is not None

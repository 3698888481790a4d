"""Issuers of access tokens beside our own (SURAL_TRUSTED_ISSUERS), and which tenant each may speak for.

A JSON array::

    [{"issuer": "https://id.example/realms/clinic",
      "jwks_uri": "https://id.example/realms/clinic/protocol/openid-connect/certs",
      "audience": "https://sural.example/fhir",
      "tenants": {"north": "7b0e…", "south": "95c1…"},
      "tenant_claim": "tenant",
      "scope_claim": "scope"}]

`tenants` maps what stands in the claim to our tenants. With `"tenant": "7b0e…"` in their place every token of the
issuer is for that one tenant. Nothing else in a token decides the tenant.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared.access.claims import text_of
from shared.access.jose import JoseRefused
from shared.access.keys import Keys
from shared.access.scopes import understood
from shared.access.tokens import Issuer
from shared.principal import Principal

_REQUIRED = {"issuer", "jwks_uri", "audience"}
_ALLOWED = _REQUIRED | {"tenant", "tenants", "tenant_claim", "scope_claim"}


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One entry of the setting. `tenant`: for every token; None: `tenants` by the claim `tenant_claim`."""

    issuer: str
    jwks_uri: str
    audience: str
    tenant: UUID | None
    tenants: Mapping[str, UUID]
    tenant_claim: str = "tenant"
    scope_claim: str = "scope"

    def as_issuer(self, keys: Keys, *, v1: bool) -> Issuer:
        """With the keys at `jwks_uri`. `v1`: scopes of SMART version 1 count too."""

        def principal(claims: Mapping[str, Any]) -> Principal:
            scope = claims.get(self.scope_claim, "")
            text = " ".join(map(str, scope)) if isinstance(scope, list) else str(scope)
            subject = f"{self.issuer}|{text_of(claims, 'sub')}"
            return Principal(subject, self._tenant_of(claims), understood(text, v1=v1))

        return Issuer(self.issuer, self.audience, keys, principal)

    def _tenant_of(self, claims: Mapping[str, Any]) -> UUID:
        if self.tenant is not None:
            return self.tenant
        named = claims.get(self.tenant_claim)
        if not isinstance(named, str) or named not in self.tenants:
            raise JoseRefused(f"its {self.tenant_claim} names no tenant that its issuer may speak for")
        return self.tenants[named]


def parse_trusted_issuers(text: str) -> tuple[TrustedIssuer, ...]:
    """The setting's entries. Raises ValueError with a sentence about the first that is wrong."""
    if not text.strip():
        return ()
    try:
        entries = json.loads(text)
    except ValueError:
        raise ValueError("SURAL_TRUSTED_ISSUERS is no JSON.") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("SURAL_TRUSTED_ISSUERS must be an array of objects.")
    found = tuple(_entry(entry) for entry in entries)
    if len({one.issuer for one in found}) != len(found):
        raise ValueError("SURAL_TRUSTED_ISSUERS names an issuer twice.")
    return found


def _entry(entry: dict[str, Any]) -> TrustedIssuer:
    if not _REQUIRED <= set(entry) <= _ALLOWED or ("tenant" in entry) == ("tenants" in entry):
        raise ValueError(
            "An entry of SURAL_TRUSTED_ISSUERS needs issuer, jwks_uri, audience and one of tenant and tenants, and may "
            "have tenant_claim and scope_claim."
        )
    texts = {name: entry[name] for name in (*_REQUIRED, "tenant_claim", "scope_claim") if name in entry}
    if not all(isinstance(value, str) and value for value in texts.values()):
        raise ValueError("An entry of SURAL_TRUSTED_ISSUERS has a value that is no text.")
    try:
        tenant = UUID(entry["tenant"]) if "tenant" in entry else None
        tenants = {str(name): UUID(value) for name, value in entry.get("tenants", {}).items()}
    except (ValueError, AttributeError, TypeError):
        raise ValueError("An entry of SURAL_TRUSTED_ISSUERS names a tenant that is no UUID.") from None
    return TrustedIssuer(tenant=tenant, tenants=tenants, **texts)

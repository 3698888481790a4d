"""How one service shows another that it is one of ours, and for which tenant it asks.

    Authorization: Sural-Service v1.<service>.<tenant>.<until>.<mac>

`tenant` is a UUID, `until` the end in seconds since 1970, `mac` the HMAC-SHA256 (hex) of what stands before it, under
the secret that the services share (`SURAL_SERVICE_TOKEN`). The secret itself never travels, a tenant cannot be
exchanged for another, and what is overheard is worth nothing after two minutes.
"""

from __future__ import annotations

import hmac
import re
import time
from dataclasses import dataclass, field
from uuid import UUID

from pydantic import SecretStr

from shared.access.scopes import CREATE, EVERY_TYPE, Scope, Scopes
from shared.ids import WATCHDOG_TENANT
from shared.principal import Principal

SCHEME = "Sural-Service"
LIFETIME_S = 60
SKEW_S = 60
"""How far the clocks of two machines may differ."""
ID_PREFIX = "service/"
"""Begins the id of every principal that is a service of ours; no client may be registered under such an id."""

READS = Scopes((Scope(EVERY_TYPE, "rs"),))
"""What a service may do at another: look."""
SYNTHETIC = Scopes((*READS.granted, Scope("QuestionnaireResponse", CREATE)))
"""What it may do for the watchdog's tenant: notify sends synthetic emergencies through the whole line."""

_CREDENTIAL = re.compile(r"(v1\.([a-z]{1,20})\.([0-9a-f-]{36})\.([0-9]{1,12}))\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """Signs the calls of one service."""

    secret: bytes = field(repr=False)
    service: str

    def authorization(self, tenant: UUID, *, now: float | None = None) -> str:
        """The Authorization header of a call on behalf of this tenant."""
        until = int(time.time() if now is None else now) + LIFETIME_S
        claim = f"v1.{self.service}.{tenant}.{until}"
        return f"{SCHEME} {claim}.{_mac(self.secret, claim)}"


def signer(secret: SecretStr | None, service: str) -> ServiceToken | None:
    """What signs this service's calls; None where the services share no secret (a sandbox): calls are then unsigned."""
    return ServiceToken(secret.get_secret_value().encode(), service) if secret else None


def is_service_credential(authorization: str | None) -> bool:
    """True when the header claims to come from a service of ours, rightly or not."""
    return (authorization or "").partition(" ")[0].lower() == SCHEME.lower()


def service_principal(
    authorization: str | None, secret: SecretStr | None, *, now: float | None = None
) -> Principal | None:
    """The service that asks, for the tenant it names; None for a credential that is not ours, changed, or over.

    A service may read everything of that tenant and nothing of another. For the watchdog's it may also send responses.
    """
    scheme, _, credential = (authorization or "").partition(" ")
    found = _CREDENTIAL.fullmatch(credential)
    if secret is None or scheme.lower() != SCHEME.lower() or found is None:
        return None
    claim, service, tenant, until, mac = found.groups()
    if not hmac.compare_digest(_mac(secret.get_secret_value().encode(), claim), mac):
        return None
    moment = time.time() if now is None else now
    if not moment - SKEW_S <= int(until) <= moment + LIFETIME_S + SKEW_S:
        return None
    scopes = SYNTHETIC if UUID(tenant) == WATCHDOG_TENANT else READS
    return Principal(ID_PREFIX + service, UUID(tenant), scopes)


def is_service(principal: Principal) -> bool:
    """True when a service of ours asks, and no client."""
    return principal.id.startswith(ID_PREFIX)


def _mac(secret: bytes, claim: str) -> str:
    return hmac.new(secret, b"sural-service-token." + claim.encode(), "sha256").hexdigest()

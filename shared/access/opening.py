"""The gate that the settings ask for."""

from __future__ import annotations

from urllib.parse import urlsplit

from shared.access.gate import Gate
from shared.access.jose import JoseRefused, parse_key_set
from shared.access.keys import GivenKeys, Keys, RemoteKeys
from shared.access.limits import Limits
from shared.access.tokens import Verifier, own_issuer
from shared.access.trusted import parse_trusted_issuers
from shared.outbound import Outbound
from shared.settings import ServiceSettings


def gate_of(settings: ServiceSettings, own_keys: Keys | None = None, *, pages: tuple[str, ...] = ()) -> Gate:
    """Who is let in. `own_keys`: those of our own token endpoint, where they are at hand. Raises ValueError.

    `pages`: addresses below which this service has pages that find out themselves who looks.
    """
    if settings.sandbox:
        return Gate(service_secret=settings.service_token)
    registered = outbound_of(settings)
    issuers = [own_issuer(settings.public_url, own_keys or neighbour_keys(settings))]
    for trusted in parse_trusted_issuers(settings.trusted_issuers):
        if trusted.issuer == issuers[0].url:
            raise ValueError("SURAL_TRUSTED_ISSUERS names this installation itself.")
        issuers.append(trusted.as_issuer(RemoteKeys(trusted.jwks_uri, registered.get), v1=settings.smart_v1_scopes))
    limits = Limits(settings.rate_client, settings.rate_tenant, settings.rate_answers)
    return Gate(Verifier(issuers), settings.service_token, () if settings.pages == "closed" else pages, limits)


def outbound_of(settings: ServiceSettings) -> Outbound:
    """The door for addresses that somebody registered."""
    hosts = frozenset(name.strip().lower() for name in settings.outbound_hosts.split(",") if name.strip())
    return Outbound(hosts, sandbox=settings.sandbox)


def neighbour_keys(settings: ServiceSettings) -> Keys:
    """The public keys of intake's token endpoint: by value, or read from an address of our own network."""
    if settings.token_keys:
        try:
            return GivenKeys(parse_key_set(settings.token_keys))
        except JoseRefused as refused:
            raise ValueError(f"SURAL_TOKEN_KEYS cannot be used: {refused.reason}.") from None
    url = settings.token_keys_url or f"{settings.public_url.rstrip('/')}/.well-known/jwks.json"
    door = Outbound(frozenset({(urlsplit(url).hostname or "").lower()}), sandbox=True)
    return RemoteKeys(url, door.get)

"""Settings that every service has. Read once at start from SURAL_* variables; secrets may come from files.

A variable NAME may be given as NAME_FILE instead: the value is then the content of that file.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.access.trusted import parse_trusted_issuers
from shared.failpoint import traps

SHORTEST_SECRET = 32
"""Characters of a secret that nobody guesses."""


class ServiceSettings(BaseSettings):
    """What all three services share. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="SURAL_", extra="ignore", hide_input_in_errors=True)

    mode: Literal["production", "sandbox"] = "production"
    """`production`: every request below /fhir needs an access token. `sandbox`: no token is asked, test data only."""
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """The broker: `redis://`, or `rediss://` for TLS with a certificate that is checked (`?ssl_ca_certs=FILE` names who
    vouches for it)."""
    public_url: str = "http://127.0.0.1:8000"
    """Where people and EHR systems reach us: used in links and in Bundle.link."""
    allowed_hosts: str = ""
    """Further names, separated by commas, that requests may be addressed to (Host header)."""
    service_token: SecretStr | None = None
    """Secret with which the services sign their calls to each other. Checked when it is used, required outside the
    sandbox."""
    token_keys_url: str = ""
    """Where the public keys of intake's token endpoint are read: an address of our own network, http or https."""
    token_keys: str = ""
    """The same keys by value (a JSON Web Key Set), instead of the address."""
    trusted_issuers: str = ""
    """Other issuers of access tokens, as JSON; see `shared.access.trusted`."""
    smart_v1_scopes: bool = False
    """Whether SMART scopes of version 1 (`.read`, `.write`) are understood beside those of version 2."""
    outbound_hosts: str = ""
    """The only hosts, separated by commas, that registered addresses may name. Empty: any public one."""
    pages: Literal["sign-in", "behind-sign-in", "closed"] = "sign-in"
    """Pages with patients on them, outside the sandbox: shown to who signed in with us, to everybody (as a proxy before
    us signs people in), or to nobody."""
    sandbox_sign_in: bool = False
    """Whether people sign in in the sandbox too."""
    rate_client: float = Field(default=50, gt=0)
    """Requests a second that one client may send to one web process, and ten seconds' worth at once."""
    rate_tenant: float = Field(default=200, gt=0)
    """The same for all clients of a tenant together."""
    rate_answers: float = Field(default=1000, gt=0)
    """The only limit for what may bring a patient's answers: for all senders together, far above the others."""
    pool_size: int = Field(default=8, ge=1, le=100)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    failpoint: str = ""
    """Where this process shall die, fail or hang: for tests of the sandbox only (`shared.failpoint`)."""

    @property
    def sandbox(self) -> bool:
        """Test data only, and no token is asked."""
        return self.mode == "sandbox"

    @property
    def people_sign_in(self) -> bool:
        """Whether pages are shown to who signed in with us and to nobody else."""
        return self.sandbox_sign_in if self.sandbox else self.pages == "sign-in"

    @model_validator(mode="after")
    def require_what_production_needs(self) -> Self:
        """Outside the sandbox tokens travel: by https, or on this machine only; and services sign their calls."""
        parse_trusted_issuers(self.trusted_issuers)
        traps(self.failpoint)
        if not self.redis_url.get_secret_value().startswith(("redis://", "rediss://")):
            raise ValueError("SURAL_REDIS_URL must start with redis://, or rediss:// for TLS.")
        if self.sandbox:
            return self
        if self.failpoint:
            raise ValueError("SURAL_FAILPOINT makes processes die on purpose. Unset it: it is for the sandbox only.")
        if "public_url" not in self.model_fields_set:
            raise ValueError("Set SURAL_PUBLIC_URL, or SURAL_MODE=sandbox if nothing but test data will ever be sent.")
        url = urlsplit(self.public_url)
        if url.scheme != "https" and not (is_loopback(url.hostname or "") and is_loopback(self.host)):
            raise ValueError("SURAL_PUBLIC_URL must start with https://: access tokens must not travel in the open.")
        if self.service_token is None or len(self.service_token.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(
                f"Set SURAL_SERVICE_TOKEN, with at least {SHORTEST_SECRET} characters, the same for every service."
            )
        return self

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Settings from the environment, with NAME_FILE resolved. Raises pydantic.ValidationError."""
        values = dict(os.environ if environment is None else environment)
        given: dict[str, Any] = {}
        for field in cls.model_fields:
            name = f"SURAL_{field.upper()}"
            if path := values.get(f"{name}_FILE"):
                given[field] = Path(path).read_text(encoding="utf-8").strip()
            elif values.get(name):
                given[field] = values[name]
        return cls.model_validate(given)


def owner_database_url(environment: Mapping[str, str] | None = None) -> str:
    """SURAL_DATABASE_URL, or the content of the file in SURAL_DATABASE_URL_FILE: the owner, for migrations only.

    Raises KeyError when neither is set.
    """
    values = os.environ if environment is None else environment
    if path := values.get("SURAL_DATABASE_URL_FILE"):
        return Path(path).read_text(encoding="utf-8").strip()
    return values["SURAL_DATABASE_URL"]


def is_loopback(host: str) -> bool:
    """True for localhost and 127.0.0.0/8 and ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

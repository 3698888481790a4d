"""Settings that every service has. Read once at start from SURAL_* variables; secrets may come from files.

A variable NAME may be given as NAME_FILE instead: the value is then the content of that file.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """What all three services share. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="SURAL_", extra="ignore", hide_input_in_errors=True)

    mode: Literal["sandbox", ""] = ""
    """`sandbox`: no token is asked of clients. Nothing else exists until authentication does."""
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    public_url: str = "http://127.0.0.1:8000"
    """Where people and EHR systems reach us: used in links and in Bundle.link."""
    allowed_hosts: str = ""
    """Further names, separated by commas, that requests may be addressed to (Host header)."""
    service_token: SecretStr | None = None
    """Secret with which the services sign their calls to each other. Checked when it is used, required outside the
    sandbox."""
    pool_size: int = Field(default=8, ge=1, le=100)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def refuse_open_door(self) -> Self:
        """Without authentication only loopback is safe, unless the sandbox is asked for in so many words."""
        if self.mode != "sandbox" and not is_loopback(self.host):
            raise ValueError(
                f"SURAL_HOST is {self.host}, which other machines can reach, and this version has no sign-in yet. "
                "Use 127.0.0.1, or set SURAL_MODE=sandbox if nothing but test data will ever be sent."
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

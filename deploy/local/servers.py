"""The two servers that Sural needs: those the environment names, else embedded ones below the data folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deploy.local.embedded import EmbeddedServer
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.valkey import EmbeddedValkey

__all__ = ["EmbeddedPostgres", "EmbeddedValkey", "embedded_servers"]


def embedded_servers(data_dir: Path, environment: Mapping[str, str]) -> dict[str, EmbeddedServer]:
    """The servers to start here, by the name of the variable that would name a real one instead."""
    servers: dict[str, EmbeddedServer] = {}
    if not environment.get("SURAL_DATABASE_URL"):
        servers["SURAL_DATABASE_URL"] = EmbeddedPostgres(data_dir)
    if not environment.get("SURAL_REDIS_URL"):
        servers["SURAL_REDIS_URL"] = EmbeddedValkey(data_dir)
    return servers

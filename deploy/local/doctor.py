"""Checks of this machine, each with a remedy."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deploy.local import running
from deploy.local.environment import server_variables
from deploy.local.errors import StartError
from deploy.local.folder import CHECKOUT, FREE_SPACE_BYTES, DataFolder, port_is_free
from deploy.local.programs import postgres_major, postgres_programs, valkey_program
from deploy.local.servers import embedded_servers
from deploy.local.users import server_user
from shared.broker import check_broker
from shared.operations import check_database
from shared.postgres import open_pool

LOCK = CHECKOUT / "deploy" / "requirements" / "dev.txt"
STAMP = CHECKOUT / ".venv" / "sural-installed.txt"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; a remedy means that it failed."""

    name: str
    found: str
    remedy: str | None = None


def examine(data: DataFolder, *, port: int) -> Iterator[Finding]:
    """All findings, in the order in which one would mend them."""
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("Python", _python),
        ("Packages", _packages),
        ("Data folder", lambda: _folder(data)),
        ("PostgreSQL programs", lambda: _postgres(data)),
        ("Valkey program", _valkey),
        ("Web port", lambda: _port(data, port)),
        ("Database", lambda: _database(data)),
        ("Broker", lambda: _broker(data)),
    )
    for name, check in checks:
        try:
            yield Finding(name, check())
        except StartError as error:
            yield Finding(name, error.message, error.remedy)


def _python() -> str:
    version = platform.python_version()
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        raise StartError(f"Python {version}.", "Use Python 3.11, 3.12 or 3.13.")
    return version


def _packages() -> str:
    if not STAMP.exists():
        return f"{_installed()} packages; this environment was not made by ./sural, so the lock is not checked"
    if STAMP.read_bytes() != LOCK.read_bytes():
        raise StartError("The environment is not what the lock says.", "Call ./sural once more.")
    return f"{_installed()} packages, as locked"


def _installed() -> int:
    return len({package.name for package in importlib.metadata.distributions()})


def _folder(data: DataFolder) -> str:
    DataFolder.open(data.path)
    if not os.access(data.path, os.W_OK):
        raise StartError(f"{data.path} cannot be written.", "Choose another folder with --data.")
    data.require_space()
    for secret in (data.path / "secrets").iterdir():
        if secret.stat().st_mode & 0o077:
            raise StartError(f"{secret} can be read by others.", f"chmod 600 {secret}")
    return f"{data.path}, private, more than {FREE_SPACE_BYTES // 1_000_000} MB free"


def _postgres(data: DataFolder) -> str:
    if os.environ.get("SURAL_DATABASE_URL"):
        return "not needed: SURAL_DATABASE_URL is set"
    user = server_user()
    programs = postgres_programs(data, user)
    return f"version {postgres_major(programs)}" + (f", run as the user {user.name}" if user else "")


def _valkey() -> str:
    if os.environ.get("SURAL_REDIS_URL"):
        return "not needed: SURAL_REDIS_URL is set"
    return str(valkey_program())


def _port(data: DataFolder, port: int) -> str:
    system = running.find(data)
    if system:
        return f"Sural answers on {system.port}"
    if not port_is_free(port):
        raise StartError(f"Port {port} is taken.", f"Stop that program, or use --port {port + 1}.")
    return f"{port} is free"


def _database(data: DataFolder) -> str:
    urls = _urls(data)
    if "SURAL_DATABASE_URL" not in urls:
        return "starts with ./sural up"
    pool = open_pool(urls["SURAL_DATABASE_URL"], schema="public", size=1)
    try:
        if wrong := check_database(pool)():
            raise StartError(wrong, "Then call ./sural doctor again.")
    finally:
        pool.close()
    return "answers, and keeps what it confirms"


def _broker(data: DataFolder) -> str:
    urls = _urls(data)
    if "SURAL_REDIS_URL" not in urls:
        return "starts with ./sural up"
    if wrong := check_broker(urls["SURAL_REDIS_URL"]):
        raise StartError(wrong, "Then call ./sural doctor again.")
    return "answers, and throws nothing away"


def _urls(data: DataFolder) -> dict[str, str]:
    """The URLs that can be asked now: those of the environment, and the embedded ones while they run."""
    embedded = embedded_servers(data.path, os.environ)
    if embedded and running.find(data) is None:
        return {name: os.environ[name] for name in ("SURAL_DATABASE_URL", "SURAL_REDIS_URL") if name not in embedded}
    return server_variables(os.environ, {name: server.url for name, server in embedded.items()}, data)

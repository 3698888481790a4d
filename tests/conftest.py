"""Real servers for the tests: one PostgreSQL and one Valkey per run, and a fresh migrated database per test."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from deploy.local.servers import EmbeddedPostgres, EmbeddedValkey
from tests.waiting import eventually

TEMPLATE = "sural_template"


@dataclass(frozen=True)
class Servers:
    """Addresses of the servers of this test run."""

    owner_url: str
    redis_url: str
    password: str

    def owner(self, database: str) -> str:
        return make_conninfo(self.owner_url, dbname=database)

    def service(self, service: str, database: str) -> str:
        login = conninfo_to_dict(self.owner_url)
        return (
            f"postgresql://sural_{service}:{self.password}@{login['host']}:{login['port']}/{database}"
        )


@dataclass(frozen=True)
class Database:
    """One migrated database: the owner's address and each service's own."""

    name: str
    owner_url: str
    intake_url: str
    triage_url: str
    notify_url: str


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    folder = Path(tempfile.gettempdir()) / f"sural-test-{secrets.token_hex(4)}"
    try:
        with EmbeddedPostgres(folder) as postgres, EmbeddedValkey(folder) as valkey:
            yield Servers(postgres.url, valkey.url, secrets.token_hex(16))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment(servers: Servers, database: str) -> dict[str, str]:
    """The variables with which every service starts in tests."""
    return {
        "SURAL_MODE": "sandbox",
        "SURAL_DATABASE_URL": servers.owner(database),
        "SURAL_INTAKE_DATABASE_URL": servers.service("intake", database),
        "SURAL_TRIAGE_DATABASE_URL": servers.service("triage", database),
        "SURAL_NOTIFY_DATABASE_URL": servers.service("notify", database),
        "SURAL_REDIS_URL": servers.redis_url,
        "SURAL_ALERT_RECIPIENTS": "on-call@example.org",
    }


@pytest.fixture(scope="session")
def template(servers: Servers) -> str:
    """A database with all migrations and published content, to be copied for each test."""
    from services.intake.__main__ import migrate as migrate_intake
    from services.intake.settings import IntakeSettings
    from services.notify.__main__ import migrate as migrate_notify
    from services.notify.settings import NotifySettings
    from services.triage.__main__ import migrate as migrate_triage
    from services.triage.settings import TriageSettings

    with psycopg.connect(servers.owner_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    values = environment(servers, TEMPLATE)
    owner = servers.owner(TEMPLATE)
    migrate_intake(owner, IntakeSettings.load(values))
    migrate_triage(owner, TriageSettings.load(values))
    migrate_notify(owner, NotifySettings.load(values))
    return TEMPLATE


@pytest.fixture
def database(servers: Servers, template: str) -> Iterator[Database]:
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(servers.owner_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        yield Database(
            name,
            servers.owner(name),
            servers.service("intake", name),
            servers.service("triage", name),
            servers.service("notify", name),
        )
        eventually(lambda: dropped(connection, name), within_s=20)


def dropped(connection: psycopg.Connection[Any], name: str) -> bool:
    """Drop a test's database; False while a connection of the test is still closing."""
    try:
        connection.execute(f"DROP DATABASE {name}")
    except psycopg.errors.ObjectInUse:
        return False
    return True

"""Real servers for the tests: one PostgreSQL and one Valkey per run, and an empty migrated database for each test."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from deploy.local.servers import EmbeddedPostgres, EmbeddedValkey
from shared.audit import act
from shared.ids import DEFAULT_TENANT
from tests import kept
from tests.fast_disk import new_folder

os.environ.setdefault("SURAL_MODE", "sandbox")
"""A test that says nothing of the mode runs a sandbox; without the word a service is in production."""

pytest_plugins = ["tests.browser", "tests.order"]

kept.keep()


@dataclass(frozen=True)
class Servers:
    """Addresses of the servers of this test run."""

    owner_url: str
    redis_url: str
    password: str

    def owner(self, database: str) -> str:
        """The owner's address. What the owner does is for the default tenant: row security holds for the owner too."""
        return make_conninfo(self.owner_url, dbname=database, options=f"-c sural.tenant={DEFAULT_TENANT}")

    def service(self, service: str, database: str) -> str:
        login = conninfo_to_dict(self.owner_url)
        return f"postgresql://sural_{service}:{self.password}@{login['host']}:{login['port']}/{database}"


@dataclass(frozen=True)
class Database:
    """One migrated database: the owner's address and each service's own."""

    name: str
    owner_url: str
    intake_url: str
    triage_url: str
    notify_url: str


@pytest.fixture(autouse=True)
def nobody_asks() -> Iterator[None]:
    """Whoever asked in a test that calls a door itself does not ask in the next one."""
    before = act._asker.set(None)
    yield
    act._asker.reset(before)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    folder = new_folder()
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
def migrated(servers: Servers) -> Database:
    """The run's database with all migrations and published content."""
    from services.intake.__main__ import migrate as migrate_intake
    from services.intake.settings import IntakeSettings
    from services.notify.__main__ import migrate as migrate_notify
    from services.notify.settings import NotifySettings
    from services.triage.__main__ import migrate as migrate_triage
    from services.triage.settings import TriageSettings

    name = "sural"
    values = environment(servers, name)
    owner = servers.owner(name)
    migrate_intake(owner, IntakeSettings.load(values))
    migrate_triage(owner, TriageSettings.load(values))
    migrate_notify(owner, NotifySettings.load(values))
    empty(owner)  # what the first test finds, every other one finds: migrations write to the audit
    urls = [servers.service(service, name) for service in ("intake", "triage", "notify")]
    return Database(name, owner, *urls)


@pytest.fixture
def database(migrated: Database) -> Iterator[Database]:
    """The database as migrations left it: what the test wrote is deleted after it."""
    yield migrated
    empty(migrated.owner_url)


def empty(owner_url: str) -> None:
    """Delete what was written, but not what migrations publish."""
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("SET lock_timeout = '10s'")
        owner.execute(EMPTY)


EMPTY = """
DO $$
DECLARE
    found record;
    written boolean;
    to_empty text[] := '{}';
BEGIN
    PERFORM set_config('sural.across_tenants', 'on', true);
    FOR found IN
        SELECT format('%I.%I', schemaname, tablename) AS name,
               tablename LIKE ANY (ARRAY['resource%', 'search%', 'questionnaire', 'canonical']) AS published
        FROM pg_tables
        WHERE schemaname IN ('intake', 'triage', 'notify') AND tablename NOT IN ('migration', 'search_edition')
    LOOP
        IF found.published THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE tenant_id <> intake.published_tenant())', found.name)
            INTO written;
            IF written THEN
                EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', found.name);
                EXECUTE format('DELETE FROM %s WHERE tenant_id <> intake.published_tenant()', found.name);
                EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', found.name);
            END IF;
        ELSE
            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', found.name) INTO written;
            IF written THEN
                EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', found.name);
                to_empty := to_empty || found.name;
            END IF;
        END IF;
    END LOOP;
    IF to_empty <> '{}' THEN
        EXECUTE format('TRUNCATE %s CASCADE', array_to_string(to_empty, ', '));
    END IF;
    FOR found IN SELECT unnest(to_empty) AS name LOOP
        EXECUTE format('ALTER TABLE %s ENABLE TRIGGER USER', found.name);
    END LOOP;
END
$$
"""
"""Everything that a test has written, but not what migrations publish. Tables without such rows are left alone: to
empty all of them takes longer than most tests."""

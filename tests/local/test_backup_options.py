"""A backup holds the rows of all tenants, however the address of the database is written."""

from __future__ import annotations

import subprocess
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from deploy.local.backup import save
from deploy.local.folder import DataFolder
from deploy.local.programs import postgres_programs
from tests.conftest import Database

KEEP = (
    "INSERT INTO intake.resource (tenant_id, type, id, version_id, last_updated, body, sha256) "
    "VALUES (%s, 'QuestionnaireResponse', 'kept-4711', 1, now(), '{}', sha256('{}'))"
)


@pytest.mark.parametrize("options", ["", "-c statement_timeout=60000"])
def test_every_tenant_is_in_a_backup_whatever_options_the_address_has(
    database: Database, tmp_path: Path, options: str
) -> None:
    tenant, target, data = str(uuid4()), tmp_path / "sural.dump", DataFolder(tmp_path)
    with psycopg.connect(make_conninfo(database.owner_url, options=f"-c sural.tenant={tenant}")) as owner:
        owner.execute(KEEP, (tenant,))

    login = {**conninfo_to_dict(database.owner_url), "options": options}
    address = make_conninfo("", **{name: str(value) for name, value in login.items() if value})

    save({"SURAL_DATABASE_URL": address}, data, target)

    program = postgres_programs(data, None) / "pg_restore"
    said = subprocess.run([program, "--data-only", "--file=-", target], capture_output=True, text=True, check=True)
    assert "kept-4711" in said.stdout

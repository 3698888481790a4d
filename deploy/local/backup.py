"""`./sural backup` and `./sural restore`: the database as one file, and back into an empty one.

The owner is under row security as everybody is. A dump made without saying that all tenants are meant would hold
what we publish and not one patient, and no error would say so: therefore a command, not a line of options to remember.
The broker is not saved: it holds nothing that the database does not know better.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from deploy.local.environment import SERVICES
from deploy.local.errors import StartError
from deploy.local.folder import DataFolder
from deploy.local.migrate import migrate_all
from deploy.local.programs import postgres_programs
from deploy.local.verify import Violation, check
from deploy.local.verify.checking import connect_as_owner, require_owner
from shared.postgres import unavailable

ALL_TENANTS = "-c sural.across_tenants=on"
"""The setting with which the owner sees the rows of all tenants (shared/migrations/0006_row_security.sql)."""
AGES_S = 1e9
"""Nothing moves in a database that no service runs on: only what does not depend on time is checked."""


def save(variables: Mapping[str, str], data: DataFolder, target: Path) -> int:
    """Write everything of all tenants, as it is at one moment, into a file that only we can read; its size in bytes.

    The system may run meanwhile. Raises StartError, and leaves no file, when that is impossible.
    """
    if target.exists():
        raise StartError(f"{target} is there already.", "Give a new name: a backup is never overwritten.")
    url = variables["SURAL_DATABASE_URL"]
    _require_all_rows(url)
    draft = target.with_name(f"{target.name}.part")
    draft.unlink(missing_ok=True)
    draft.touch(0o600, exist_ok=False)
    try:
        parts = [f"--schema={service}" for service in SERVICES]
        _run(
            data, url, "pg_dump", ["--format=custom", "--enable-row-security", "--no-owner", *parts, f"--file={draft}"]
        )
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)
    return target.stat().st_size


def restore(variables: Mapping[str, str], data: DataFolder, source: Path) -> Sequence[Violation]:
    """Bring the file back into an empty database, make it fit this version, and say what is not whole.

    Raises StartError when the database is not empty, and when the file cannot be read; then nothing is there.
    """
    if not source.is_file():
        raise StartError(f"{source} is no file.", "Name the file that ./sural backup wrote.")
    url = variables["SURAL_DATABASE_URL"]
    _prepare(url, [variables[f"SURAL_{service.upper()}_DATABASE_URL"] for service in SERVICES])
    options = ["--single-transaction", "--exit-on-error", "--no-owner", str(source)]
    _run(data, url, "pg_restore", options)
    migrate_all(variables)
    with connect_as_owner(url) as connection:
        return check(connection, quiet_s=AGES_S, recompute=20)


def _prepare(url: str, services: Sequence[str]) -> None:
    """The roles that the file grants rights to; their passwords come with the migration."""
    try:
        with connect_as_owner(url) as connection:
            if connection.execute("SELECT FROM pg_namespace WHERE nspname = ANY (%s)", (list(SERVICES),)).rowcount:
                raise StartError(
                    "This database is not empty: a restore would mix what is there with what was saved.",
                    "Use a new database, or a new data folder (--data).",
                )
            for role in [str(conninfo_to_dict(service)["user"]) for service in services]:
                if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).rowcount:
                    connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    except Exception as error:
        raise _explained(error) from error


def _require_all_rows(url: str) -> None:
    try:
        with connect_as_owner(url) as connection:
            require_owner(connection)
    except Exception as error:
        raise _explained(error) from error


def _explained(error: Exception) -> Exception:
    if not unavailable(error):
        return error
    return StartError("The database does not answer.", "Start it, or correct SURAL_DATABASE_URL.")


def _run(data: DataFolder, url: str, program: str, options: Sequence[str]) -> None:
    """Run a program of PostgreSQL on this database. The password is not an argument: everybody could read it.

    Options of the address would count instead of PGOPTIONS, and hide every patient: they are made a part of it.
    """
    login = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    password, options_given = login.pop("password", ""), login.pop("options", "")
    where = make_conninfo("", **login)
    command = [str(postgres_programs(data, None) / program), f"--dbname={where}", *options]
    environment = {**os.environ, "PGPASSWORD": password, "PGOPTIONS": f"{options_given} {ALL_TENANTS}"}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if answer.returncode:
        said = answer.stderr.strip().splitlines()
        raise StartError(f"{program} failed: {said[0] if said else 'it gave no reason'}.", "See docs/backup.md.")

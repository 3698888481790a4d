"""PostgreSQL as a child of this process: its own programs, its own folder, loopback only, a password."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import IO

from deploy.local.embedded import EmbeddedServer
from deploy.local.errors import StartError
from deploy.local.folder import make_folder
from deploy.local.process import spawn
from deploy.local.programs import postgres_major, postgres_programs
from deploy.local.users import blocked_at, server_user

OWNER = "sural_owner"
DATABASE = "sural"
BUILTIN_LOCALE_SINCE = 17
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    # New tables are analysed soon, as each connection keeps its plans; a look reads 30,000 rows of a table that grows.
    "autovacuum_naptime": "20s",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The log must hold no health data: no statements, no parameters, no "Key (...)=(...)" details.
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}


class EmbeddedPostgres(EmbeddedServer):
    """One PostgreSQL server on the data below a folder. Its URL is that of the owner, who is no superuser."""

    title = "PostgreSQL"
    name = "postgres"
    port_taken = "could not bind"
    ready_s = 120.0  # recovery after a crash may have to replay a long log
    stop_steps = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0))  # fast shutdown, then immediate

    @property
    def url(self) -> str:
        password = self.data.secret("postgres-owner")
        return f"postgresql://{OWNER}:{password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def _cluster(self) -> Path:
        return self.data.path / "postgres"

    def _prepare(self) -> None:
        self._user = server_user()
        self._require_reach()
        self._programs = postgres_programs(self.data, self._user)
        if self._cluster.exists():
            self._require_own_data()
            self._forget_dead_server()
            return
        # Made under another name, so that an interrupted first start leaves nothing half-made behind.
        draft = self.data.path / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        self._make_data(draft)
        draft.rename(self._cluster)

    def _require_reach(self) -> None:
        if self._user and (blocked := blocked_at(self.data.path, self._user)):
            raise StartError(
                f"PostgreSQL runs as the user `{self._user.name}`, who cannot enter {blocked}"
                f" on the way to the data folder {self.data.path}.",
                "Choose a folder that this user can reach, for example --data /var/lib/sural,"
                f" or allow the way through with `chmod o+x {blocked}`.",
            )

    def _make_data(self, draft: Path) -> None:
        """Make the cluster, owner and database; the superuser gets no password, so nobody can be it."""
        make_folder(draft, 0o700)
        if self._user:
            shutil.chown(draft, self._user.uid, self._user.gid)
        builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self._run(
            "initdb",
            f"--pgdata={draft}",
            "--username=postgres",
            "--auth=trust",
            "--data-checksums",
            "--encoding=UTF8",
            "--locale=C",
            *(builtin if postgres_major(self._programs) >= BUILTIN_LOCALE_SINCE else []),
        )
        (draft / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        password = self.data.secret("postgres-owner")
        self._as_superuser(
            draft,
            f"CREATE ROLE {OWNER} LOGIN CREATEROLE CREATEDB PASSWORD '{password}'",
            f"GRANT pg_monitor TO {OWNER}",
            f"CREATE DATABASE {DATABASE} OWNER {OWNER}",
        )

    def _as_superuser(self, data: Path, *statements: str) -> None:
        """Run these, a line each, in a server that has no other user and nobody can reach. Raises StartError."""
        encrypted = ("-c", "password_encryption=scram-sha-256")
        self._run("postgres", "--single", "-D", str(data), *encrypted, "postgres", stdin="\n".join([*statements, ""]))

    def _run(self, program: str, *arguments: str, stdin: str = "") -> None:
        """Run one of the programs to its end. Raises StartError with its complaint."""
        answer = subprocess.run(
            [self._programs / program, *arguments],
            user=self._user.uid if self._user else None,
            group=self._user.gid if self._user else None,
            extra_groups=[] if self._user else None,
            input=stdin,
            capture_output=True,
            text=True,
            cwd="/",
            env=ENVIRONMENT,
            check=False,
        )
        if answer.returncode or "ERROR:" in answer.stderr or "FATAL:" in answer.stderr:
            raise self._explain_start(answer.stderr)

    def _require_own_data(self) -> None:
        version = self._cluster / "PG_VERSION"
        if not version.exists():
            raise self._explain("FATAL: PG_VERSION is missing")
        found, ours = version.read_text().strip(), str(postgres_major(self._programs))
        if found != ours:
            raise StartError(
                f"The data in {self._cluster} are of PostgreSQL {found}, but the program here is {ours}.",
                f"Use PostgreSQL {found} through SURAL_DATABASE_URL, or start with a new folder (--data).",
            )
        if not self.data.has_secret("postgres-owner"):
            raise StartError(
                f"The password of the database in {self._cluster} is missing from its `secrets` folder.",
                "Restore the data folder as a whole from a backup, or start with a new one (--data).",
            )

    def _forget_dead_server(self) -> None:
        """Remove the pid file of a server that was killed: its number may by now belong to another program.

        We hold the lock, so no server of ours lives; one that somebody started by hand keeps its file.
        """
        pid_file = self._cluster / "postmaster.pid"
        if pid_file.exists() and Path("/proc/self/comm").exists():
            pid = pid_file.read_text().split("\n", 1)[0].strip()
            program = Path("/proc") / pid / "comm"
            if not (program.exists() and "postgres" in program.read_text()):
                pid_file.unlink()

    def _settings(self) -> dict[str, str]:
        """What the server is started with."""
        return SETTINGS | {"port": str(self.port)}

    def _spawn(self, lock: IO[str]) -> subprocess.Popen[bytes]:
        options = [part for name, value in self._settings().items() for part in ("-c", f"{name}={value}")]
        return spawn(
            [self._programs / "postgres", "-D", self._cluster, *options],
            log=self.log,
            env=ENVIRONMENT,
            cwd=Path("/"),
            death_signal=signal.SIGQUIT,
            user=self._user,
            keep_open=[lock.fileno()],
        )

    def _answers(self) -> bool:
        """The server writes "ready" into the eighth line of its pid file (what pg_ctl waits for)."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"

    def _explain(self, reason: str) -> StartError:
        complaints = [line for line in reason.splitlines() if re.search(r"FATAL:|PANIC:|error:", line)]
        said = re.sub(r"^.*?(FATAL|PANIC|error):\s*", "", complaints[0]) if complaints else "it gave no reason"
        return StartError(
            f"PostgreSQL cannot use the data in {self._cluster} ({said}).",
            f"See {self.log}; restore the folder from a backup, or start with a new one (--data).",
        )

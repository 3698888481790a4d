"""A system of its own to measure: started, spoken to, looked into, and gone afterwards.

In production mode, so that what people will run is what is measured: access tokens are asked for, every act is
recorded, the mail server is a real one (`mail_recorder.py`). Three settings differ from those of a new installation:
alerts are not told a second time while we measure, one sender may send as fast as it can, and PostgreSQL notes when
each transaction was committed.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg

from deploy.local import running
from deploy.local.benchmark.accounting import Books, Memory, read_books, read_memory
from deploy.local.benchmark.generator import Answered, Order, Post
from deploy.local.folder import CHECKOUT, DataFolder, free_port
from deploy.local.servers import EmbeddedPostgres
from services.intake.token import ASSERTION_TYPE
from shared.access.jose import sign

SCOPES = "system/QuestionnaireResponse.cr system/RiskAssessment.rs"
TOKEN_S = 240.0
"""Half a minute less than an access token lives, and some more."""
COMMIT_TIMES = "\ntrack_commit_timestamp = on\n"
DIFFERENT = {"SURAL_REPEAT_EMERGENCY_S": "86400", "SURAL_RATE_ANSWERS": "100000"}


class NotMeasurable(Exception):
    """The system did not start, or does not do its work. The text is a sentence."""


@dataclass(slots=True)
class System:
    """A running system with our own tools beside it.

    `observer` is our own connection to its database, which is left out of its books.
    """

    folder: Path
    port: int
    mail: Path
    client_id: str
    key: dict[str, Any]
    observer: psycopg.Connection[Any]
    generator: subprocess.Popen[bytes]
    mail_server: subprocess.Popen[bytes]
    _token: str = ""
    _token_until: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def root(self) -> int:
        """The supervisor, from which all its processes come. Raises NotMeasurable when it is gone."""
        found = running.find(DataFolder(self.folder))
        if found is None:
            raise NotMeasurable(f"The system that was measured ended. See {self.folder}/logs.")
        return found.pid

    def books(self) -> Books:
        """Processor time of all its processes now."""
        return read_books(self.root, without={self.observer.info.backend_pid})

    def memory(self) -> dict[str, Memory]:
        """Memory of all its processes now."""
        return read_memory(self.root, without={self.observer.info.backend_pid})

    def token(self) -> str:
        """An access token that holds for some minutes more."""
        if time.monotonic() > self._token_until:
            endpoint = f"{self.url}/auth/token"
            claims = {
                "iss": self.client_id,
                "sub": self.client_id,
                "aud": endpoint,
                "exp": int(time.time()) + 120,
                "jti": secrets.token_hex(16),
            }
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": sign(claims, private_jwk=self.key, kind="JWT"),
                "scope": SCOPES,
            }
            answer = httpx.post(endpoint, data=form, timeout=20, trust_env=False).raise_for_status()
            self._token, self._token_until = str(answer.json()["access_token"]), time.monotonic() + TOKEN_S
        return self._token

    def post(self, **order: Any) -> Answered:
        """Have the load generator send this; see `Order`."""
        whole = Order(port=self.port, mark=secrets.token_hex(5), token=self.token(), **order)
        assert self.generator.stdin is not None
        assert self.generator.stdout is not None
        self.generator.stdin.write(orjson.dumps(asdict(whole)) + b"\n")
        self.generator.stdin.flush()
        line = self.generator.stdout.readline()
        if not line:
            raise NotMeasurable("The load generator ended; what it said stands above.")
        answered = orjson.loads(line)
        return Answered(**answered | {"posts": [Post(**post) for post in answered["posts"]]})

    def ask(self, query: str, *parameters: object) -> list[Any]:
        """Rows of the database, of all tenants."""
        return self.observer.execute(query.encode(), parameters or None).fetchall()

    def version(self) -> str:
        """Of the database."""
        return str(self.ask("SHOW server_version")[0][0])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a system keeps everything, and what it is started with. Systems use it one after the other."""

    folder: Path
    port: int
    mail_port: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def mail(self) -> Path:
        return self.folder / "mail.txt"

    @property
    def environment(self) -> dict[str, str]:
        """The caller's, with nothing of Sural in it but what the measurement needs."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("SURAL_")}
        return {
            **ours,
            **DIFFERENT,
            "SURAL_MODE": "production",
            "SURAL_SMTP_URL": f"smtp://127.0.0.1:{self.mail_port}",
            "SURAL_ALERT_RECIPIENTS": "on-call@example.org",
            "PYTHONPATH": str(CHECKOUT),
        }


@contextmanager
def a_place() -> Iterator[Place]:
    """A folder for a system, gone afterwards. Its database keeps the time of each commit."""
    folder = Path(tempfile.mkdtemp(prefix="sural-bench-"))
    folder.chmod(0o711)
    place = Place(folder, free_port(), free_port())
    try:
        with EmbeddedPostgres(place.data):
            pass
        with (place.data / "postgres" / "postgresql.conf").open("a") as settings:
            settings.write(COMMIT_TIMES)
        yield place
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def whole_system(place: Place) -> Iterator[System]:
    """Everything, as `./sural up --mode production` runs it."""
    with _running(["deploy.local", "up", "--detach"], place) as system:
        yield system


@contextmanager
def intake_system(place: Place) -> Iterator[System]:
    """Intake with its background loops, PostgreSQL and Valkey, and nobody behind it."""
    with _running(["deploy.local.benchmark.intake_only"], place) as system:
        yield system


@contextmanager
def _running(command: Sequence[str], place: Place) -> Iterator[System]:
    with _tool("mail_recorder", str(place.mail_port), str(place.mail), place=place) as mail_server:
        _sural(*command, "--port", str(place.port), place=place)
        try:
            client_id, key = _sender(place)
            with (
                _tool("generator", place=place) as generator,
                psycopg.connect(EmbeddedPostgres(place.data).url, autocommit=True) as observer,
            ):
                observer.execute("SET sural.across_tenants = 'on'")
                yield System(place.data, place.port, place.mail, client_id, key, observer, generator, mail_server)
        finally:
            running.stop(DataFolder(place.data))


def _sural(*command: str, place: Place) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-m", *command, "--data", str(place.data)],
        env=place.environment,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotMeasurable(f"Sural did not start for the measurement: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _sender(place: Place) -> tuple[str, dict[str, Any]]:
    """Who posts: its id and its private key. Registered at the first call."""
    key, known = place.folder / "key.json", place.folder / "client-id"
    if not known.exists():
        words = ["client", "add", "Benchmark", "--scope", SCOPES, "--new-key", str(key)]
        known.write_text(_sural("deploy.local", *words, place=place).split()[1])
    return known.read_text(), json.loads(key.read_text())


@contextmanager
def _tool(module: str, *arguments: str, place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """One of our own tools, beside what is measured."""
    command = [sys.executable, "-P", "-m", f"deploy.local.benchmark.{module}", *arguments]
    with subprocess.Popen(
        command, env=place.environment, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.terminate()

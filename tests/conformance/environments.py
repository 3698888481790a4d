"""Locked environments for the kit: a Python one from a requirements file with hashes, a Node one from a package-lock.

Each is made on first use in `.conformance/` at the root of the checkout and named after its lock, so that a changed
lock makes a new one. Nothing is ever installed into the environment of the tests.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".conformance"
INSTALL_S = 300
RUN_S = 300


class CannotRunError(Exception):
    """This machine cannot run it; the message says why."""


@dataclass(frozen=True)
class Environment:
    """A program with what it needs: `folder` holds its lock, `program` is run by Python or by Node."""

    folder: Path
    program: str

    @property
    def is_node(self) -> bool:
        return not self.program.endswith(".py")

    @property
    def lock(self) -> Path:
        return self.folder / ("package-lock.json" if self.is_node else "requirements.txt")

    @property
    def home(self) -> Path:
        """Where it is installed."""
        known = [self.lock.read_bytes(), (self.folder / self.program).read_bytes()]
        known.append(_node_version() if self.is_node else sys.version.encode())
        return CACHE / f"{self.folder.name}-{hashlib.sha256(b'|'.join(known)).hexdigest()[:16]}"

    def run(self, lines: str, *arguments: str, timeout: int = RUN_S) -> str:
        """Run the program with `lines` on its standard input; what it wrote. Raises CannotRunError."""
        home = made(self)
        start = ["node", str(home / self.program)] if self.is_node else [str(_python(home)), str(home / self.program)]
        ended = subprocess.run(
            [*start, *arguments], input=lines, capture_output=True, text=True, timeout=timeout, cwd=home, check=False
        )
        if ended.returncode != 0:
            raise RuntimeError(
                f"{self.folder.name}/{self.program} ended with {ended.returncode}: {ended.stderr[-2000:]}"
            )
        return ended.stdout


def made(environment: Environment) -> Path:
    """The folder of the environment, made if it is not there yet. Raises CannotRunError."""
    outcome = _made_or_why_not(environment)
    if isinstance(outcome, str):
        raise CannotRunError(outcome)
    return outcome


@cache
def _made_or_why_not(environment: Environment) -> Path | str:
    """Tried once in a process: what failed for want of a registry would fail again."""
    CACHE.mkdir(exist_ok=True)
    try:
        home = environment.home
        with _only_one(home):
            if not (home / "ready").exists():
                shutil.rmtree(home, ignore_errors=True)
                home.mkdir()
                _install(environment, home)
                (home / "ready").touch()
    except CannotRunError as error:
        return str(error)
    return home


def _install(environment: Environment, home: Path) -> None:
    shutil.copy(environment.folder / environment.program, home)
    if environment.is_node:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(environment.folder / name, home)
        npm = shutil.which("npm")
        if npm is None:
            raise CannotRunError("npm is not on this machine")
        _try([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], home, "npm could not install the lock")
        return
    _try([sys.executable, "-m", "venv", str(home / "environment")], home, "no virtual environment could be made")
    pip = [str(_python(home)), "-m", "pip", "install", "--quiet", "--require-hashes"]
    _try([*pip, "-r", str(environment.lock)], home, "pip could not install the lock")


def _try(command: Sequence[str], folder: Path, reason: str) -> None:
    try:
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotRunError(f"{reason}: {type(error).__name__}") from None
    if ended.returncode != 0:
        last = [line for line in (ended.stderr or ended.stdout).splitlines() if line.strip()][-1:]
        raise CannotRunError(f"{reason}: {' '.join(last)[:200]}")


def _python(home: Path) -> Path:
    return home / "environment" / ("Scripts" if os.name == "nt" else "bin") / "python"


@cache
def _node_version() -> bytes:
    node = shutil.which("node")
    if node is None:
        raise CannotRunError("Node.js is not on this machine")
    return subprocess.run([node, "--version"], capture_output=True, check=True, timeout=60).stdout


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Test processes side by side make an environment once."""
    with (home.parent / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

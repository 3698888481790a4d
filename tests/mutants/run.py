"""Breaking a copy of the tree and running the one test that must notice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutant import ROOT, Mutant

LONGEST_S = 600
PASSED, FAILED = 0, 1
"""Exit codes of pytest; any other says that the test did not run."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a mutant. `problem` None: the test noticed, as it must."""

    mutant: Mutant
    seconds: float
    problem: str | None


@contextmanager
def copied() -> Iterator[Path]:
    """The files of the tree as they are now, in a folder that is gone afterwards."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    folder = Path(tempfile.mkdtemp(prefix="sural-mutant-"))
    folder.chmod(0o711)  # the servers of the tests run as a user of their own
    try:
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_tests(folder: Path, tests: Sequence[str]) -> tuple[int, str]:
    """pytest's exit code and its last lines."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *dict.fromkeys(tests)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SURAL_", "PYTEST_"))}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_S * len(tests),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return -1, f"longer than {LONGEST_S} s"
    return done.returncode, done.stdout[-2000:] + done.stderr[-500:]


def try_mutant(mutant: Mutant) -> Fate:
    """Make the mutant and see whether its test notices. The whole tree must pass that test (`try_whole`)."""
    if problems := mutant.problems():
        return Fate(mutant, 0.0, "; ".join(problems))
    with copied() as folder:
        mutant.apply(folder)
        begun = time.monotonic()
        code, said = run_tests(folder, [mutant.test])
    seconds = time.monotonic() - begun
    match code:
        case _ if code == FAILED:
            return Fate(mutant, seconds, None)
        case _ if code == PASSED:
            return Fate(mutant, seconds, "NOT NOTICED")
        case _:
            return Fate(mutant, seconds, f"the test did not run ({code}): {said}")


def try_whole(tests: Sequence[str]) -> str | None:
    """Run these tests on the tree as it is; what is wrong, or None when they pass."""
    with copied() as folder:
        code, said = run_tests(folder, tests)
    return None if code == PASSED else said

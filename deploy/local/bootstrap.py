"""Make .venv from the locked requirements. Run by ./sural with the machine's Python: standard library only.

    bootstrap.py VENV LOCK STAMP

The stamp, a copy of the lock, is written last: whatever interrupts this, the next call goes on from there. A
second call at the same time waits for the first.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path


def main(venv: Path, lock: Path, stamp: Path) -> int:
    """0 when the environment holds what the lock says, else 1, a sentence and a remedy on standard error."""
    wanted = lock.read_bytes()
    try:
        venv.mkdir(exist_ok=True)
        # The lock is on the folder itself and ends with this process; emptying the folder does not lift it.
        fcntl.flock(os.open(venv, os.O_RDONLY), fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_bytes() == wanted and runs(venv)):
            make(venv, lock)
            draft = stamp.with_suffix(".new")
            draft.write_bytes(wanted)
            draft.replace(stamp)
    except subprocess.CalledProcessError as error:
        step = "pip could not install the requirements" if "pip" in error.cmd else "venv could not be made"
        return refuse(f"{step} (see above).", "Check the connection to the package index and the free disk space.")
    except OSError as error:
        return refuse(f"{venv} cannot be written: {error.strerror}.", "Use a checkout that you may write to.")
    except KeyboardInterrupt:
        return refuse("Interrupted.", "Nothing is broken; the next call goes on from here.")
    return 0


def make(venv: Path, lock: Path) -> None:
    """Environment, then packages. Raises subprocess.CalledProcessError."""
    say(f"making the Python environment {venv} (once; about a minute)")
    fresh = [] if runs(venv) else ["--clear"]
    subprocess.run([sys.executable, "-m", "venv", *fresh, venv], check=True)
    say("installing the packages, each checked against its hash")
    pip: list[str | Path] = [
        venv / "bin" / "python",
        "-I",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        "install",
    ]
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    options: list[str | Path] = ["--require-hashes", "--only-binary=:all:", "--requirement", lock]
    environment = {name: value for name, value in os.environ.items() if name not in ("PIP_USER", "PIP_TARGET")}
    subprocess.run([*pip, *quiet, *options], check=True, env=environment)
    say("ready")


def runs(venv: Path) -> bool:
    """Whether the environment's Python starts (its base may be gone) and is one that we support."""
    check = "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))"
    try:
        return subprocess.run([venv / "bin" / "python", "-I", "-c", check], check=False).returncode == 0
    except OSError:
        return False


def say(line: str) -> None:
    print(f"sural: {line}", file=sys.stderr, flush=True)


def refuse(found: str, remedy: str) -> int:
    print(f"sural: {found} {remedy}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(*(Path(argument) for argument in sys.argv[1:4])))

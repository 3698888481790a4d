"""Install a peer into a folder of its own, which is thrown away afterwards. Our own environment stays as it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from deploy.local.benchmark.outside import outside
from deploy.local.benchmark.peers.catalogue import Candidate

PROGRAMS = Path(__file__).parent / "programs"
MOST_S = 600.0


class NotInstalledError(Exception):
    """Why a peer is not measured, in a sentence."""


def install(candidate: Candidate, folder: Path) -> None:
    """Make the folder with packages and programs. Raises NotInstalledError."""
    folder.mkdir(parents=True)
    for name in candidate.programs:
        shutil.copy(PROGRAMS / name, folder / name)
    for name in candidate.folders:
        (folder / name).mkdir()
    if candidate.node:
        if shutil.which("npm") is None or shutil.which("node") is None:
            raise NotInstalledError("node and npm are not on this machine")
        (folder / "package.json").write_text('{"private": true}\n')
        _run(folder, ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *candidate.packages])
        return
    _run(folder, [sys.executable, "-m", "venv", "env"])
    _run(folder, ["env/bin/python", "-m", "pip", "install", "--quiet", "--no-input", *candidate.packages])


def _run(folder: Path, command: list[str]) -> None:
    kept = {name: value for name, value in outside().items() if name not in ("PIP_USER", "PIP_TARGET")}
    program = str(folder / command[0]) if "/" in command[0] and not command[0].startswith("/") else command[0]
    try:
        done = subprocess.run(
            [program, *command[1:]], cwd=folder, env=kept, capture_output=True, text=True, timeout=MOST_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotInstalledError(f"it was not installed within {MOST_S / 60:.0f} minutes") from None
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise NotInstalledError(f"it could not be installed ({lines[-1] if lines else 'no reason given'})")

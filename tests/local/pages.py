"""Pages of docs/ as stories: every block for the shell is run as it stands, and what it prints is compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.local.folder import CHECKOUT

BLOCK = re.compile(r"^```(sh|python|text|json)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
PORT = ":8000"
MARK = "====== the next block ======"
SHELL_S = 180
"""How long all blocks of a page may take."""


@dataclass(frozen=True)
class Step:
    """A block for the shell, and what the page says that it prints."""

    script: str
    printed: str


def steps(page: str) -> list[Step]:
    """The shell's blocks in their order."""
    blocks = [(kind, text) for kind, text in BLOCK.findall(page) if kind in ("sh", "text")]
    following = [*blocks[1:], ("", "")]
    return [
        Step(text, after if kind == "text" else "")
        for (this, text), (kind, after) in zip(blocks, following, strict=True)
        if this == "sh"
    ]


def programs(page: str) -> dict[str, str]:
    """The Python files of the page by their names, which stand in their first lines."""
    found = {}
    for kind, text in BLOCK.findall(page):
        if kind == "python":
            name = re.match(r"# (\w+\.py):", text)
            assert name, "a program of the page begins with its name"
            found[name[1]] = text
    return found


def here(text: str, port: int, place: Path) -> str:
    """The same with a port and a folder of this test's own, and this Python."""
    text = text.replace(PORT, f":{port}")
    text = text.replace("./sural up ", f"sural up --port {port} --data {place}/data ")
    return text.replace("./sural client", f"sural client --data {place}/data")


def run(place: Path, scripts: list[str]) -> list[str]:
    """What each block printed, all of them in one shell. What they leave running ends with it."""
    sural = f'sural() {{ "{sys.executable}" -m deploy.local "$@"; }}\n'
    end = "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n"
    whole = "set -eu\n" + sural + end + f"\necho '{MARK}'\n".join(scripts)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SURAL_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(CHECKOUT),
        "no_proxy": "*",
    }
    done = subprocess.run(
        ["bash", "-c", whole], cwd=place, env=environment, capture_output=True, text=True, timeout=SHELL_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [part.strip("\n") for part in done.stdout.split(f"{MARK}\n")]


def pattern(text: str) -> re.Pattern[str]:
    """What is printed, with `…` for anything."""
    parts = [re.escape(part) for part in text.strip("\n").split("…")]
    return re.compile(".*".join(parts), flags=re.DOTALL)

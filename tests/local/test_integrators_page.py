"""docs/integrators.md as it stands: every block is run, against a real system in production mode with fresh keys."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local import running
from deploy.local.folder import CHECKOUT, DataFolder
from tests.journeys.system import free_port

PAGE = (CHECKOUT / "docs" / "integrators.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(sh|python|text|json)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
PORT = ":8000"
MARK = "====== the next block ======"


@dataclass(frozen=True)
class Step:
    """A block for the shell, and what the page says that it prints."""

    script: str
    printed: str


def steps() -> list[Step]:
    """The shell's blocks in their order."""
    blocks = [(kind, text) for kind, text in BLOCK.findall(PAGE) if kind in ("sh", "text")]
    following = [*blocks[1:], ("", "")]
    return [
        Step(text, after if kind == "text" else "")
        for (this, text), (kind, after) in zip(blocks, following, strict=True)
        if this == "sh"
    ]


def programs() -> dict[str, str]:
    """The Python files of the page by their names, which stand in their first lines."""
    found = {}
    for kind, text in BLOCK.findall(PAGE):
        if kind == "python":
            name = re.match(r"# (\w+\.py):", text)
            assert name, "a program of the page begins with its name"
            found[name[1]] = text
    return found


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for the files of the story; what runs there is stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="sural-integrator-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        running.stop(DataFolder(folder / "data"))
        shutil.rmtree(folder)


def test_the_page_leads_from_nothing_to_a_read_assessment(place: Path) -> None:
    port = free_port()
    for name, text in programs().items():
        (place / name).write_text(text, encoding="utf-8")
    (place / "examples").symlink_to(CHECKOUT / "examples")
    said = run(place, [here(step.script, port, place) for step in steps()])

    for step, printed in zip(steps(), said, strict=True):
        assert pattern(step.printed.replace(PORT, f":{port}")).fullmatch(printed), f"{step.script}\nprinted:\n{printed}"


def here(text: str, port: int, place: Path) -> str:
    """The same with a port and a folder of this test's own, and this Python."""
    text = text.replace(PORT, f":{port}")
    text = text.replace("./sural up ", f"sural up --port {port} --data {place}/data ")
    return text.replace("./sural client", f"sural client --data {place}/data")


def run(place: Path, scripts: list[str]) -> list[str]:
    """What each block printed, all of them in one shell."""
    sural = f'sural() {{ "{sys.executable}" -m deploy.local "$@"; }}\n'
    whole = "set -eu\n" + sural + f"\necho '{MARK}'\n".join(scripts)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SURAL_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(CHECKOUT),
        "no_proxy": "*",
    }
    done = subprocess.run(
        ["bash", "-c", whole], cwd=place, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [part.strip("\n") for part in done.stdout.split(f"{MARK}\n")]


def pattern(text: str) -> re.Pattern[str]:
    """What is printed, with `…` for anything."""
    parts = [re.escape(part) for part in text.strip("\n").split("…")]
    return re.compile(".*".join(parts), flags=re.DOTALL)


def test_a_block_that_prints_something_else_would_be_noticed() -> None:
    assert pattern("201\n…").fullmatch("201\nanything")
    assert not pattern("201").fullmatch("200")
    assert len(steps()) >= 8
    assert {"assertion.py", "ehr.py"} == set(programs())

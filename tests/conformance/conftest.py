"""One whole running system for all tests of the kit that speak HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.journeys.system import System, a_system


@pytest.fixture(scope="package")
def system() -> Iterator[System]:
    with a_system() as running:
        yield running


@pytest.fixture
def client(system: System) -> Iterator[httpx.Client]:
    """A client whose addresses begin at the root of the system."""
    with httpx.Client(base_url=system.url, timeout=30, trust_env=False) as client:
        yield client

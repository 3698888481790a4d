"""One whole system for all stories that do not break it for the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.journeys.system import System, a_system


@pytest.fixture(scope="package")
def system() -> Iterator[System]:
    with a_system() as running:
        yield running

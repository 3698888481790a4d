"""What the workers of `./sural test` take first: what takes long, so that nobody is left alone with it at the end.

A worker takes a file at a time; files that share one running system are taken together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

LONG = (
    "tests/journeys/test_kills.py",
    "tests/conformance/",
    "tests/benchmark/test_smoke.py",
    "tests/journeys/",
    "tests/triage/test_properties.py",
    "tests/local/",
    "tests/notify/detail/test_browser.py",
    "tests/intake/form/",
    "tests/notify/worklist/",
    "tests/notify/sign_in/",
    "tests/notify/push/",
    "tests/notify/acts/test_alert_states.py",
)
"""Beginnings of paths, the longest first."""

ONE_SYSTEM = {
    "tests/conformance": ("any_document", "clients", "description", "emitted", "vectors_over_http"),
    "tests/journeys": ("main_line", "no_health_data_leaks", "refused"),
}
"""Folders with a running system, and their files that share it."""


def place(path: str) -> int:
    """The place of a file among those that are taken first."""
    return next((number for number, long in enumerate(LONG) if path.startswith(long)), len(LONG))


def taken_with(path: str) -> str:
    """What a worker takes together with this file: a name that the file shares with those."""
    folder, _, name = path.rpartition("/")
    shared = ONE_SYSTEM.get(folder, ())
    return folder if name.removeprefix("test_").removesuffix(".py") in shared else path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: place(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Callable[..., Any]) -> Any:
    """Only where there are several workers."""
    from xdist.scheduler import LoadFileScheduling

    class InTurn(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return taken_with(super()._split_scope(nodeid))

    config.option.loadscopereorder = False
    return InTurn(config, log)

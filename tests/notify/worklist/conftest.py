"""Notify's web process on a real socket, for browsers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.notify.app import create_app
from services.notify.settings import NotifySettings
from tests.serving import served


@pytest.fixture
def site(settings: NotifySettings) -> Iterator[str]:
    """Its address."""
    with served(create_app(settings)) as url:
        yield url

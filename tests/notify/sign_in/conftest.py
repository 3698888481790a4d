"""Notify where people sign in."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from services.notify.app import create_app
from services.notify.settings import NotifySettings
from tests.notify.conftest import Service
from tests.notify.sign_in.visits import Keeper, Visit
from tests.serving import client_of


@pytest.fixture
def asking(settings: NotifySettings) -> NotifySettings:
    """Settings of a sandbox where people sign in."""
    return settings.model_copy(update={"sandbox_sign_in": True})


@pytest.fixture
def client(asking: NotifySettings) -> Iterator[httpx.Client]:
    """A browser at the door."""
    with client_of(create_app(asking)) as opened:
        yield opened


@pytest.fixture
def visit(client: httpx.Client) -> Visit:
    """A browser of somebody who is not signed in."""
    return Visit(client)


@pytest.fixture
def keeper(service: Service) -> Keeper:
    """Whoever keeps the accounts."""
    return Keeper(service.notify.pool)

"""A notify that tells devices, and a push service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
from pydantic import SecretStr

from services.notify.escalation import Recipient
from services.notify.push import store
from services.notify.push.device import Device
from services.notify.push.vapid import new_key
from services.notify.settings import NotifySettings
from shared.ids import DEFAULT_TENANT, uuid7
from shared.postgres import tenant_transaction
from tests.notify.conftest import Service
from tests.notify.push.push_service import Browser, PushService, a_push_service

PERSON = "p-osei"
CONTACT = "mailto:alerts@clinic.example"


@pytest.fixture
def push_service() -> Iterator[PushService]:
    with a_push_service() as running:
        yield running


@pytest.fixture
def settings(settings: NotifySettings) -> NotifySettings:
    return settings.model_copy(update={"push_key": SecretStr(new_key()), "push_contact": CONTACT})


@pytest.fixture
def pushing(
    settings: NotifySettings, open_service: Callable[[NotifySettings], AbstractContextManager[Service]]
) -> Iterator[Service]:
    """A service whose alerts go to the devices of one person, and to nobody else."""
    with open_service(settings) as service:
        plan = replace(service.notify.plan, recipients=(Recipient("push", PERSON, PERSON),))
        yield Service(replace(service.notify, plan=plan), service.rows)


def subscribe(service: Service, browser: Browser, *, person: str = PERSON) -> None:
    """What the page does when the button was pressed."""
    device = Device(uuid7(), person, "My phone", browser.endpoint, browser.point, browser.auth)
    with tenant_transaction(service.notify.pool, DEFAULT_TENANT) as connection:
        store.register(connection, DEFAULT_TENANT, device)

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest

from services.notify.app import create_app
from services.notify.settings import NotifySettings
from tests.notify.conftest import Service
from tests.notify.neighbours import MailServer, Triage, an_assessment
from tests.notify.on_call.clinic import STANDARD, Clinic
from tests.serving import client_of


@pytest.fixture
def clinic(service: Service, triage: Triage, mail: MailServer) -> Clinic:
    """First, then second; the head of the clinic when nobody acknowledges."""
    clinic = Clinic(service, triage, mail)
    clinic.agrees_on(STANDARD)
    return clinic


@pytest.fixture
def told(service: Service, triage: Triage) -> UUID:
    """An emergency that was told."""
    service.hears(triage.publish(an_assessment()))
    service.sends()
    alert_id: UUID = service.alert()["id"]
    return alert_id


@pytest.fixture
def client(settings: NotifySettings) -> Iterator[httpx.Client]:
    """A browser of somebody who is not signed in."""
    with client_of(create_app(settings)) as opened:
        yield opened

from __future__ import annotations

import pytest

from tests.notify.conftest import Service
from tests.notify.neighbours import MailServer, Triage
from tests.notify.on_call.clinic import Clinic


@pytest.fixture
def clinic(service: Service, triage: Triage, mail: MailServer) -> Clinic:
    return Clinic(service, triage, mail)

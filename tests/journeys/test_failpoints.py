"""Every place where a process can be made to die is passed by a system at work: none is dead code, none misnamed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from deploy.local.verify.checking import connect_as_owner
from shared.failpoint import NAMES, VARIABLE
from shared.ids import DEFAULT_TENANT
from tests.builders import a_response
from tests.intake.ehr import post
from tests.journeys.system import System, a_system
from tests.notify.subscriptions.conftest import a_subscription
from tests.waiting import eventually

NOWHERE = "http://127.0.0.1:1"
"""Nobody answers there: what is sent to it is sent, and fails."""
DUE = "UPDATE notify.alert SET due_at = now() WHERE state = 'received'"


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """A system that writes down each place it passes, with a server of an EHR and digests at any time."""
    monkeypatch.setenv(VARIABLE, ",".join(f"{name}:note" for name in sorted(NAMES)))
    monkeypatch.setenv("SURAL_EHR_URL", f"{NOWHERE}/fhir")
    monkeypatch.setenv("SURAL_DIGEST_AT", "00:00")
    with a_system() as running:
        yield running


def passed(system: System) -> set[str]:
    """The places that are in the logs."""
    found = set()
    for path in (system.folder / "logs").iterdir():
        for line in path.read_text(errors="replace").splitlines():
            if '"failpoint"' in line and line.startswith("{"):
                found.add(json.loads(line).get("kind"))
    return found & NAMES


@pytest.mark.requirement("REQ-43")
@pytest.mark.timeout(300)
def test_a_system_at_work_passes_every_place(system: System) -> None:
    assert [row.problem for row in system.demo() if row.problem] == []
    with httpx.Client(base_url=system.url, timeout=20, trust_env=False) as client:
        assert post(client, {**a_response({"chest_pain": "Y"}), "status": "nonsense"}).status_code == 400
        assert post(client, a_response({"chest_pain": "Y"})).status_code == 201
        wanted = json.dumps(a_subscription(f"{NOWHERE}/hook"))
        made = client.post("/fhir/Subscription", content=wanted, headers={"Content-Type": "application/fhir+json"})
        assert made.status_code == 201, made.text
    password, port = system.data.secret("postgres-owner"), system.data.port("postgres")
    with connect_as_owner(f"postgresql://sural_owner:{password}@127.0.0.1:{port}/sural") as owner:
        owner.execute("SELECT set_config('sural.tenant', %s, false)", (str(DEFAULT_TENANT),))
        eventually(lambda: owner.execute(DUE).rowcount, within_s=30)
    system.kill("background")  # digests are looked for once a minute, and when the process begins

    def all_passed() -> bool:
        assert NAMES - passed(system) == set()
        return True

    eventually(all_passed, within_s=120)

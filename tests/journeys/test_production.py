"""Production mode as `./sural up` runs it: tokens for systems, a sign-in for people, alerts acknowledged by either."""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.local import running
from deploy.local.folder import CHECKOUT, free_port
from shared.fhir.codes import SID_RESPONSE
from tests.access.keyring import jwks, public_jwk
from tests.intake.test_token import ASSERTION_TYPE, assertion
from tests.journeys.system import System
from tests.notify.sign_in.visits import PASSWORD, Visit, code_of
from tests.waiting import eventually

PEOPLE = {"SURAL_ALERT_RECIPIENTS": "doctor@clinic.example", "SURAL_SMTP_URL": "smtp://127.0.0.1:9"}
SCOPES = "system/QuestionnaireResponse.cr system/RiskAssessment.rs system/Task.rus"
EMERGENCY = (CHECKOUT / "examples" / "cold-pale-foot.json").read_bytes()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("production")
    for above in (folder, *folder.parents):
        if above.is_relative_to(tempfile.gettempdir()) and above != Path(tempfile.gettempdir()):
            above.chmod(0o711)
    system = System(folder / "data", free_port())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in PEOPLE.items():
            patch.setenv(name, value)
        started = system.command("up", "--mode", "production", "--detach", "--port", str(system.port))
        assert started.returncode == 0, started.stdout + started.stderr
        try:
            yield system
        finally:
            running.stop(system.data)


class Ehr:
    """A registered system with its key."""

    def __init__(self, system: System, folder: Path, *, tenant: str | None = None) -> None:
        self.key = ec.generate_private_key(ec.SECP384R1())
        file = folder / f"{uuid4()}.json"
        file.write_text(jwks(public_jwk(self.key)))
        words = ["client", "add", "An EHR", "--scope", SCOPES, "--jwks-file", str(file)]
        added = system.command(*words, *(["--tenant", tenant] if tenant else []))
        assert added.returncode == 0, added.stdout + added.stderr
        self.id = added.stdout.split()[1]
        self.http = httpx.Client(base_url=system.url, timeout=20, trust_env=False)
        self.http.headers["Authorization"] = f"Bearer {self.token()}"

    def token(self) -> str:
        url = self.http.get("/.well-known/smart-configuration").json()["token_endpoint"]
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion(self.id, key=self.key, aud=url),
            "scope": SCOPES,
        }
        return str(self.http.post(url, data=form).raise_for_status().json()["access_token"])

    def post(self) -> str:
        """Send an emergency; its id."""
        headers = {"Content-Type": "application/fhir+json"}
        body = json.loads(EMERGENCY) | {"identifier": {"system": "urn:test", "value": str(uuid4())}}
        stored = self.http.post("/fhir/QuestionnaireResponse", content=json.dumps(body), headers=headers)
        assert stored.status_code == 201, stored.text
        return stored.headers["location"].split("/")[-3]

    def found(self, resource_type: str, response_id: str) -> list[dict[str, Any]]:
        answer = self.http.get(f"/fhir/{resource_type}", params={"identifier": f"{SID_RESPONSE}|{response_id}"})
        return [entry["resource"] for entry in answer.raise_for_status().json().get("entry", [])]


@pytest.fixture
def ehr(system: System, tmp_path: Path) -> Iterator[Ehr]:
    ehr = Ehr(system, tmp_path)
    yield ehr
    ehr.http.close()


def test_an_emergency_is_assessed_alerted_and_acknowledged_with_tokens_alone(ehr: Ehr) -> None:
    response_id = ehr.post()

    [task] = eventually(lambda: ehr.found("Task", response_id), within_s=30)
    [assessment] = ehr.found("RiskAssessment", response_id)
    assert assessment["mitigation"].startswith("Emergency")
    version = task["meta"]["versionId"]
    accepted = task | {"status": "accepted", "owner": {"display": "Dr Example"}}
    answer = ehr.http.put(
        f"/fhir/Task/{task['id']}",
        content=json.dumps(accepted),
        headers={"If-Match": f'W/"{version}"', "Content-Type": "application/fhir+json"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "accepted"


def test_a_response_can_be_tried_without_storing_it(ehr: Ehr) -> None:
    headers = {"Content-Type": "application/fhir+json"}
    answer = ehr.http.post("/fhir/QuestionnaireResponse/$triage", content=EMERGENCY, headers=headers)

    assert answer.status_code == 200, answer.text
    assert answer.json()["entry"][0]["resource"]["mitigation"].startswith("Emergency")


def test_without_a_token_nothing_of_a_patient_is_given_out(system: System, ehr: Ehr) -> None:
    response_id = ehr.post()
    with httpx.Client(base_url=system.url, trust_env=False) as stranger:
        types = [part["type"] for part in stranger.get("/fhir/metadata").json()["rest"][0]["resource"]]
        assert {"QuestionnaireResponse", "RiskAssessment", "Task"} <= set(types)
        for resource_type in types:
            assert stranger.get(f"/fhir/{resource_type}").status_code == 401
        assert stranger.get(f"/fhir/QuestionnaireResponse/{response_id}").status_code == 401
        assert stranger.get("/worklist").status_code == 303
        assert stranger.post("/fhir", json={}).status_code == 401


def test_a_clinician_signs_in_with_password_and_code_and_acknowledges(system: System, ehr: Ehr) -> None:
    response_id = ehr.post()
    [task] = eventually(lambda: ehr.found("Task", response_id), within_s=30)
    added = system.command("account", "add", "osei", "--name", "Dr Osei", "--role", "clinician")
    assert added.returncode == 0, added.stdout + added.stderr
    [password] = re.findall(r"first password  (\S+)", added.stdout)

    with httpx.Client(base_url=system.url, timeout=20, trust_env=False) as client:
        visit = Visit(client, origin=system.url)
        assert visit.opens(f"/submission/{response_id}").request.url.path == "/worklist/sign-in"
        visit.sends("/worklist/sign-in", login="osei", password=password)
        visit.sends("/worklist/sign-in/password", password=PASSWORD, again=PASSWORD)
        assert visit.at == "/worklist/sign-in/second-factor"
        [secret] = re.findall(r"<code>([A-Z2-7 ]+)</code>", visit.page.text)
        visit.sends("/worklist/sign-in/second-factor", code=code_of(secret.replace(" ", "")))
        assert f'href="/submission/{response_id}"' in visit.page.text
        assert "What happens next" in visit.opens(f"/submission/{response_id}").text
        visit.opens("/worklist")
        button = rf'action="(/worklist/[^"]*{task["id"]}/acknowledge)">(.*?)</form>'
        [(action, fields)] = re.findall(button, visit.page.text, flags=re.DOTALL)
        seen = dict(re.findall(r'type="hidden" name="(urgency|assessments)" value="(\w+)"', fields))
        visit.sends(action, name="Dr Osei", **seen)
    [accepted] = ehr.found("Task", response_id)
    assert accepted["status"] == "accepted"


def test_a_client_of_another_tenant_finds_nothing(system: System, ehr: Ehr, tmp_path: Path) -> None:
    response_id = ehr.post()
    other = Ehr(system, tmp_path, tenant=str(uuid4()))

    assert other.http.get(f"/fhir/QuestionnaireResponse/{response_id}").status_code == 404
    assert other.found("RiskAssessment", response_id) == []
    other.http.close()


def test_another_tenants_emergency_is_assessed_too(system: System, tmp_path: Path) -> None:
    other = Ehr(system, tmp_path, tenant=str(uuid4()))
    response_id = other.post()

    [assessment] = eventually(lambda: other.found("RiskAssessment", response_id), within_s=60)
    assert assessment["mitigation"].startswith("Emergency")
    other.http.close()


def test_a_token_outlives_the_process_that_granted_it(system: System, ehr: Ehr) -> None:
    response_id = ehr.post()
    before = system.process("web").pid
    os.kill(before, signal.SIGKILL)

    def again() -> bool:
        try:
            answer = ehr.http.get(f"/fhir/QuestionnaireResponse/{response_id}")
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and system.process("web").pid != before

    assert eventually(again, within_s=60)


def test_the_demonstration_refuses_to_alert_real_people(system: System) -> None:
    answer = system.command("demo")

    assert answer.returncode == 1
    assert "no sandbox" in answer.stderr

"""What services show each other: signed for one tenant, for two minutes."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from shared.access.service_token import LIFETIME_S, SKEW_S, ServiceToken, is_service, service_principal, signer
from shared.events import Ref
from shared.fhir.client import FhirClient, NeighbourUnavailable
from shared.ids import DEFAULT_TENANT
from tests.builders import a_response
from tests.conftest import Database
from tests.serving import served

SECRET = SecretStr("shared by the services")
NOW = 1_800_000_000.0


def signed(tenant: object = DEFAULT_TENANT) -> str:
    triage = signer(SECRET, "triage")
    assert triage is not None
    return triage.authorization(tenant, now=NOW)  # type: ignore[arg-type]


def test_a_signed_call_is_that_service_for_that_tenant() -> None:
    tenant = uuid4()
    principal = service_principal(signed(tenant), SECRET, now=NOW + 1)
    assert principal is not None
    assert (principal.id, principal.tenant) == ("service/triage", tenant)
    assert is_service(principal)


def test_the_secret_never_travels() -> None:
    assert "shared" not in signed()
    assert "shared" not in repr(signer(SECRET, "triage"))


@pytest.mark.parametrize("late_s", [-(LIFETIME_S + SKEW_S + 1), LIFETIME_S + SKEW_S + 1])
def test_a_credential_is_worth_nothing_outside_its_time(late_s: float) -> None:
    assert service_principal(signed(), SECRET, now=NOW + late_s) is None


@pytest.mark.parametrize("late_s", [-SKEW_S, LIFETIME_S + SKEW_S])
def test_clocks_may_differ_by_a_minute(late_s: float) -> None:
    assert service_principal(signed(), SECRET, now=NOW + late_s) is not None


@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text.replace(str(DEFAULT_TENANT), str(uuid4())),
        lambda text: text.replace("triage", "notify"),
        lambda text: text.replace("v1.", "v2."),
        lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"),
        lambda text: text.replace(str(int(NOW) + LIFETIME_S), str(int(NOW) + LIFETIME_S + 1)),
        lambda text: text.replace("Sural-Service", "Bearer"),
        lambda text: text + ".",
        lambda text: "Sural-Service",
        lambda text: "",
    ],
)
def test_whatever_is_changed_makes_it_worthless(changed: object) -> None:
    assert service_principal(changed(signed()), SECRET, now=NOW) is None  # type: ignore[operator]


def test_another_secret_signs_nothing_for_us() -> None:
    foreign = ServiceToken(b"guessed", "triage").authorization(DEFAULT_TENANT, now=NOW)
    assert service_principal(foreign, SECRET, now=NOW) is None


def test_without_a_secret_nobody_is_a_service() -> None:
    assert signer(None, "triage") is None
    assert service_principal(signed(), None, now=NOW) is None


def test_a_service_answers_for_the_tenant_of_the_credential_and_refuses_a_false_one(database: Database) -> None:
    settings = IntakeSettings(intake_database_url=database.intake_url, service_token=SECRET)  # type: ignore[arg-type]
    with served(create_app(settings)) as url, FhirClient(url, token=signer(SECRET, "triage")) as triage:
        with httpx.Client(base_url=url, trust_env=False) as ehr:
            posted = ehr.post("/fhir/QuestionnaireResponse", json=a_response())
        response_id = posted.headers["location"].split("/")[-3]
        assert triage.read_many("QuestionnaireResponse", [Ref(response_id, 1)]) != {}
        assert triage.read_many("QuestionnaireResponse", [Ref(response_id, 1, uuid4())]) == {}
        with FhirClient(url, token=ServiceToken(b"guessed", "triage")) as stranger, pytest.raises(NeighbourUnavailable):
            stranger.find("QuestionnaireResponse", {})

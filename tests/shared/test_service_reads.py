"""What our services ask of each other by ids is answered a short way, with the same bytes, and only to them."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from shared.access.service_token import signer
from shared.fhir.rest import ResourceApi
from shared.ids import DEFAULT_TENANT
from tests.builders import a_response
from tests.conftest import Database
from tests.intake.ehr import POST, id_of, post
from tests.serving import client_of

SECRET = "s" * 40


@pytest.fixture
def intake(database: Database) -> Iterator[httpx.Client]:
    settings = IntakeSettings(intake_database_url=database.intake_url, service_token=SecretStr(SECRET))  # type: ignore[arg-type]
    with client_of(create_app(settings)) as client:
        yield client


def by_ids(intake: httpx.Client, ids: str, *, tenant: UUID | None = None, **headers: str) -> httpx.Response:
    """Asked by triage for a tenant, else by anybody."""
    token = signer(SecretStr(SECRET), "triage")
    assert token is not None
    signed = {} if tenant is None else {"Authorization": token.authorization(tenant)}
    return intake.get(POST, params={"_id": ids, "_count": "100"}, headers={**signed, **headers})


def seen(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """All that an answer says, but for the number of the request."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
    return answer.status_code, answer.content, headers


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_service_is_given_what_anybody_is_given(intake: httpx.Client, encoding: str) -> None:
    ids = [id_of(post(intake, a_response(identifier=f"form-{number}"))) for number in range(3)]
    asked = ",".join([*reversed(ids), "unknown", ids[0]])

    given = by_ids(intake, asked, tenant=DEFAULT_TENANT, **{"Accept-Encoding": encoding})

    assert [entry["resource"]["id"] for entry in given.json()["entry"]] == ids
    assert seen(given) == seen(by_ids(intake, asked, **{"Accept-Encoding": encoding}))
    nothing = by_ids(intake, "unknown", tenant=DEFAULT_TENANT)
    assert seen(nothing) == seen(by_ids(intake, "unknown"))


def test_it_is_given_nothing_of_another_tenant(intake: httpx.Client) -> None:
    found = id_of(post(intake, a_response()))

    assert by_ids(intake, found, tenant=uuid4()).json()["total"] == 0
    assert by_ids(intake, found, tenant=DEFAULT_TENANT).json()["total"] == 1


def test_only_a_service_is_answered_the_short_way(
    intake: httpx.Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = id_of(post(intake, a_response()))
    by_ids(intake, found)
    with psycopg.connect(database.owner_url) as owner:
        searches = owner.execute("SELECT agent FROM intake.audit_event WHERE interaction = 'search-type'").fetchall()
    assert searches == [("sandbox",)], "what a client looks at is recorded"

    def no_long_way(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(ResourceApi, "search", no_long_way)
    assert by_ids(intake, found, tenant=DEFAULT_TENANT).json()["total"] == 1
    assert by_ids(intake, found).status_code == 500


@pytest.mark.parametrize(
    "asked",
    [
        {"_id": "a"},
        {"_id": "a", "_count": "0"},
        {"_id": "a", "_count": "100", "_elements": "status"},
        {"_id": "a,$", "_count": "100"},
        {"_id": ",".join(f"id-{number}" for number in range(60)), "_count": "100"},
        {"_id": "a", "_count": "x"},
        {"status": "completed", "_count": "100"},
    ],
)
def test_whatever_else_a_service_asks_is_answered_as_ever(intake: httpx.Client, asked: dict[str, str]) -> None:
    token = signer(SecretStr(SECRET), "triage")
    assert token is not None
    strict = {"Prefer": "handling=strict"}
    given = intake.get(POST, params=asked, headers={"Authorization": token.authorization(DEFAULT_TENANT), **strict})

    assert seen(given) == seen(intake.get(POST, params=asked, headers=strict))

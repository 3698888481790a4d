"""Keys at an address: read from the registered place alone, over the real network of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.intake import client_store
from services.intake.app import create_app
from services.intake.client_store import Client
from services.intake.settings import IntakeSettings
from shared.ids import DEFAULT_TENANT
from shared.postgres import connect
from tests.access.keyring import public_jwk
from tests.conftest import Database
from tests.intake.test_token import EC, OTHER, Intake, assertion, refused, settings
from tests.serving import client_of, served

TOKEN_URL = "http://127.0.0.1:8000/auth/token"


class KeyServer:
    """A client's own server. `keys` is what it gives out now."""

    def __init__(self) -> None:
        self.keys = [public_jwk(EC)]
        self.asked = 0
        self.app = Starlette(routes=[Route("/jwks.json", self.answer)])

    def answer(self, _request: Request) -> Response:
        self.asked += 1
        return JSONResponse({"keys": self.keys}, headers={"Cache-Control": "max-age=600"})


@pytest.fixture
def keys() -> KeyServer:
    return KeyServer()


@pytest.fixture
def address(keys: KeyServer) -> Iterator[str]:
    with served(keys.app) as url:
        yield f"{url}/jwks.json"


@pytest.fixture
def sandbox(database: Database) -> Iterator[Intake]:
    url: Any = database.intake_url
    with client_of(create_app(IntakeSettings(mode="sandbox", intake_database_url=url))) as http:
        yield Intake(http, database)


def registered(database: Database, address: str) -> str:
    client = Client(str(uuid4()), DEFAULT_TENANT, "an EHR", None, address, "system/Task.rs")
    with connect(database.intake_url, schema="intake") as connection:
        client_store.add(connection, client)
    return client.id


def ask(intake: Intake, client: str, **more: Any) -> httpx.Response:
    return intake.ask(assertion(client, aud=TOKEN_URL, **more), "system/Task.r")


def test_keys_are_read_from_the_registered_address_once(sandbox: Intake, keys: KeyServer, address: str) -> None:
    client = registered(sandbox.database, address)

    assert ask(sandbox, client).status_code == 200
    assert ask(sandbox, client, header={"jku": address}).status_code == 200
    assert keys.asked == 1


def test_a_token_cannot_send_us_to_another_address(sandbox: Intake, keys: KeyServer, address: str) -> None:
    client = registered(sandbox.database, address)
    evil = KeyServer()
    evil.keys = [public_jwk(OTHER)]

    with served(evil.app) as url:
        answer = ask(sandbox, client, header={"jku": f"{url}/jwks.json"}, key=OTHER)
    assert "jku" in refused(answer)
    assert evil.asked == 0


def test_outside_the_sandbox_an_address_on_this_machine_is_never_asked(
    database: Database, keys: KeyServer, address: str
) -> None:
    client = registered(database, address.replace("http://", "https://"))
    with client_of(create_app(settings(database))) as http:
        http.headers["Host"] = "sural.clinic.example"
        answer = Intake(http, database).ask(assertion(client), "system/Task.r")

    assert "not on the public network" in refused(answer)
    assert keys.asked == 0

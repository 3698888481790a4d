"""The gate before the routes: sign-in, permissions, and that a refusal tells nothing about what exists."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from shared.access.gate import Gate, TokenRefused
from shared.access.limits import Limits
from shared.access.scopes import parse_scopes
from shared.access.service_token import ServiceToken
from shared.fhir.http import fault, install_error_handlers
from shared.ids import DEFAULT_TENANT
from shared.operations import install_operations
from shared.origin import host_check
from shared.principal import Principal, principal_of
from shared.service_app import guard_of
from tests.serving import client_of

SECRET = SecretStr("shared by the services")
READER = Principal("reader", DEFAULT_TENANT, parse_scopes("system/Task.rs"))


class OneToken:
    """Knows one token. The real verification has tests of its own."""

    def known(self, token: str) -> Principal | None:
        return None

    def verify(self, token: str) -> Principal:
        if token != "good":
            raise TokenRefused("it is not the good one")
        return READER


async def answered_directly(scope: Scope, receive: Receive, send: Send) -> bool:
    """What answers for itself, without the routes."""
    await PlainTextResponse(f"directly {principal_of(Request(scope)).id}")(scope, receive, send)
    return True


async def failing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """What fails in a way that nobody expected."""
    raise RuntimeError("a name that must not be told")


def app_behind(gate: Gate) -> FastAPI:
    """An app that answers everything with the name of who asks."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    install_error_handlers(app)
    install_operations(
        app,
        service="test",
        checks={},
        measure=lambda: (),
        version="0",
        guard=guard_of(host_check("http://127.0.0.1"), gate),
        fault=fault,
    )

    app.state.direct["POST", "/fhir/Task"] = answered_directly
    app.state.direct["POST", "/fhir/Patient"] = failing

    @app.get("/fhir/metadata")
    def metadata() -> Response:
        return PlainTextResponse("metadata")

    @app.api_route("/{rest:path}", methods=["GET", "POST", "PUT", "DELETE"])
    def who(request: Request) -> Response:
        return PlainTextResponse(principal_of(request).id)

    return app


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with client_of(app_behind(Gate(OneToken(), SECRET))) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_without_a_token_one_is_asked_to_sign_in(client: httpx.Client) -> None:
    answer = client.get("/fhir/Task/1")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert answer.json()["issue"][0]["code"] == "login"


@pytest.mark.parametrize("header", ["", "good", "Basic Z29vZDo=", "Bearer", "Bearer wrong", "Bearer g\u00f6"])
def test_what_is_not_a_good_bearer_token_is_refused(client: httpx.Client, header: str) -> None:
    answer = client.get("/fhir/Task/1", headers=[("Authorization", header.encode("latin-1"))])  # type: ignore[list-item]

    assert answer.status_code == 401
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_two_authorization_headers_are_refused(client: httpx.Client) -> None:
    answer = client.get("/fhir/Task/1", headers=[("Authorization", "Bearer good"), ("Authorization", "Bearer wrong")])

    assert answer.status_code == 401


def test_a_good_token_may_do_what_its_scopes_say(client: httpx.Client) -> None:
    assert client.get("/fhir/Task/1", headers=bearer("good")).text == "reader"


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/fhir/Task/1"), ("GET", "/fhir/RiskAssessment/1"), ("POST", "/fhir/Task/$unheard-of"), ("GET", "/fhir")],
)
def test_a_good_token_may_do_nothing_else(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path, headers=bearer("good"))

    assert answer.status_code == 403
    assert answer.json()["issue"][0]["code"] == "forbidden"
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_a_refusal_is_the_same_whether_or_not_the_resource_exists(client: httpx.Client) -> None:
    refused = [client.get(f"/fhir/RiskAssessment/{name}", headers=bearer("good")).content for name in ("1", "2")]
    unknown = [client.get(f"/fhir/RiskAssessment/{name}").content for name in ("1", "2")]

    assert refused[0] == refused[1]
    assert unknown[0] == unknown[1]


@pytest.mark.parametrize("path", ["/fhir/metadata", "/fhir/metadata/", "/livez", "/readyz", "/metrics"])
def test_what_is_public_needs_no_token(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/fhir/metadata%3f", "/fhir//metadata", "/fhir/metadata%2f..%2fTask"])
def test_what_only_looks_public_is_not(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 401


@pytest.mark.parametrize("path", ["/worklist", "/worklist/1/acknowledge", "/anything"])
def test_pages_that_no_service_has_a_sign_in_for_stay_closed(client: httpx.Client, path: str) -> None:
    answer = client.get(path, headers=bearer("good"))

    assert answer.status_code == 403
    assert "This page is closed" in answer.text


def test_our_services_may_read_and_write_nothing(client: httpx.Client) -> None:
    signed = {"Authorization": ServiceToken(SECRET.get_secret_value().encode(), "triage").authorization(DEFAULT_TENANT)}

    assert client.get("/fhir/Task/1", headers=signed).text == "service/triage"
    assert client.put("/fhir/Task/1", headers=signed).status_code == 403


@pytest.mark.parametrize("operation", ["$validate", "$triage"])
def test_our_services_may_ask_each_other_to_judge_what_is_not_stored(client: httpx.Client, operation: str) -> None:
    signed = {"Authorization": ServiceToken(SECRET.get_secret_value().encode(), "triage").authorization(DEFAULT_TENANT)}

    assert client.post(f"/fhir/QuestionnaireResponse/{operation}", headers=signed).text == "service/triage"
    assert client.post("/fhir/QuestionnaireResponse", headers=signed).status_code == 403


def test_a_false_service_credential_is_refused(client: httpx.Client) -> None:
    signed = {"Authorization": ServiceToken(b"guessed", "triage").authorization(DEFAULT_TENANT)}

    assert client.get("/fhir/Task/1", headers=signed).status_code == 401


def test_without_a_service_secret_no_service_is_let_in() -> None:
    signed = {"Authorization": ServiceToken(b"", "triage").authorization(DEFAULT_TENANT)}
    with client_of(app_behind(Gate(OneToken(), None))) as client:
        assert client.get("/fhir/Task/1", headers=signed).status_code == 401


def test_pages_that_find_out_who_looks_are_reached_and_no_others() -> None:
    with client_of(app_behind(Gate(OneToken(), pages=("/worklist",)))) as client:
        assert client.get("/worklist").text == "page"
        assert client.get("/worklist/account").text == "page"
        assert client.get("/worklists").status_code == 403
        assert client.get("/anything").status_code == 403
        assert client.get("/fhir/Task").status_code == 401


def test_the_sandbox_asks_nobody() -> None:
    with client_of(app_behind(Gate())) as client:
        assert client.delete("/fhir/Task/1").text == "sandbox"


def test_a_client_that_asks_too_much_is_told_when_to_come_back() -> None:
    limits = Limits(per_client=0.1, per_tenant=100, answers=100)
    with client_of(app_behind(Gate(OneToken(), limits=limits))) as client:
        assert client.get("/fhir/Task", headers=bearer("good")).status_code == 200
        answer = client.get("/fhir/Task", headers=bearer("good"))

    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert answer.json()["issue"][0]["code"] == "throttled"


def test_our_own_services_are_never_throttled() -> None:
    limits = Limits(per_client=0.1, per_tenant=0.1, answers=0.1)
    signed = {"Authorization": ServiceToken(SECRET.get_secret_value().encode(), "triage").authorization(DEFAULT_TENANT)}
    with client_of(app_behind(Gate(OneToken(), SECRET, limits=limits))) as client:
        assert [client.get("/fhir/Task", headers=signed).status_code for _ in range(20)] == [200] * 20


def test_what_answers_for_itself_is_guarded_like_all_else(client: httpx.Client) -> None:
    answers = [
        client.post("/fhir/Task"),
        client.post("/fhir/Task", headers=bearer("good")),  # it may read only
        client.post("/fhir/Task", headers=bearer("good") | {"Host": "evil.example.org"}),
    ]
    with client_of(app_behind(Gate())) as sandbox:
        answers.append(sandbox.post("/fhir/Task", headers={"Accept": "text/plain"}))

    assert [answer.status_code for answer in answers] == [401, 403, 421, 406]


def test_what_answers_for_itself_is_counted_named_and_kept_by_nobody() -> None:
    with client_of(app_behind(Gate())) as sandbox:
        answer = sandbox.post("/fhir/Task/", headers={"X-Request-Id": "theirs"})
        counted = sandbox.get("/metrics").text

    assert answer.text == "directly sandbox"
    assert answer.headers["x-request-id"] == "theirs"
    assert answer.headers["cache-control"] == "no-store"
    assert 'sural_http_requests_total{method="POST",service="test",status="2xx"} 1.0' in counted


def test_what_answers_for_itself_keeps_its_failures_to_itself() -> None:
    with client_of(app_behind(Gate())) as sandbox:
        answer = sandbox.post("/fhir/Patient")

    assert answer.status_code == 500
    assert answer.json()["issue"][0]["diagnostics"].startswith("reference ")
    assert "name" not in answer.text


def test_only_its_method_and_address_are_answered_directly() -> None:
    with client_of(app_behind(Gate())) as sandbox:
        assert sandbox.get("/fhir/Task").text == "sandbox"
        assert sandbox.post("/fhir/Task/1").text == "sandbox"

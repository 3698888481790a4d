"""The token endpoint over HTTP: from a registered key to an access token, and every assertion that gets none."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives import serialization as form
from pydantic import SecretStr

from services.intake import client_store
from services.intake.app import create_app
from services.intake.client_store import Client
from services.intake.settings import IntakeSettings
from services.intake.token import ASSERTION_TYPE
from services.intake.token_key import new_token_keys, read_token_keys
from shared.audit.denials import MOST_A_MINUTE
from shared.ids import DEFAULT_TENANT
from shared.postgres import connect
from tests.access.keyring import ec_key, jwks, public_jwk, rsa_key, signed
from tests.builders import SENDER, a_response
from tests.conftest import Database
from tests.serving import client_of

PUBLIC = "https://sural.clinic.example"
TOKEN_URL = f"{PUBLIC}/auth/token"
EC, RSA, OTHER = ec_key(), rsa_key(), ec_key()
KEYS = new_token_keys()
SCOPES = "system/QuestionnaireResponse.cr system/RiskAssessment.rs"


@dataclass
class Intake:
    """Intake in production, and ways to register and to ask."""

    http: httpx.Client
    database: Database

    def register(self, *, jwks_text: str | None = None, scopes: str = SCOPES, tenant: UUID = DEFAULT_TENANT) -> str:
        client = Client(
            str(uuid4()), tenant, "an EHR", jwks_text or jwks(public_jwk(EC), public_jwk(RSA, "k2")), None, scopes
        )
        with connect(self.database.intake_url, schema="intake") as connection:
            client_store.add(connection, client)
        return client.id

    def disable(self, client_id: str) -> None:
        with connect(self.database.intake_url, schema="intake") as connection:
            assert client_store.disable(connection, client_id)

    def ask(self, assertion: str, scope: str | None = SCOPES, **changed: str | None) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
            "scope": scope,
            **changed,
        }
        return self.http.post("/auth/token", data={name: value for name, value in form.items() if value is not None})

    def token(self, client_id: str, scope: str = SCOPES) -> str:
        answer = self.ask(assertion(client_id), scope)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


def assertion(client_id: str, *, header: dict[str, Any] | None = None, key: Any = EC, **claims: Any) -> str:
    said = {
        "iss": client_id,
        "sub": client_id,
        "aud": TOKEN_URL,
        "exp": int(time.time()) + 240,
        "jti": str(uuid4()),
        **claims,
    }
    said = {name: value for name, value in said.items() if value is not None}
    return signed({"alg": "ES384", "kid": "k1", "typ": "JWT"} | (header or {}), said, key)


def settings(database: Database, **more: Any) -> IntakeSettings:
    return IntakeSettings(
        mode="production",
        public_url=PUBLIC,
        service_token="a secret of at least thirty-two characters",  # type: ignore[arg-type]
        token_key=KEYS.as_text(),  # type: ignore[arg-type]
        intake_database_url=database.intake_url,  # type: ignore[arg-type]
        **more,
    )


@pytest.fixture
def intake(database: Database) -> Iterator[Intake]:
    with client_of(create_app(settings(database))) as http:
        http.headers["Host"] = "sural.clinic.example"
        yield Intake(http, database)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def refused(answer: httpx.Response, error: str = "invalid_client") -> str:
    """The description of an OAuth error."""
    body = answer.json()
    assert set(body) == {"error", "error_description"}
    assert body["error"] == error
    assert answer.status_code == (401 if error == "invalid_client" else 400)
    assert answer.headers["cache-control"] == "no-store"
    return str(body["error_description"])


def test_a_registered_client_gets_a_token_for_five_minutes_and_may_use_it(intake: Intake) -> None:
    client = intake.register()
    answer = intake.ask(assertion(client))

    body = answer.json()
    assert answer.status_code == 200
    assert {name: body[name] for name in ("token_type", "expires_in", "scope")} == {
        "token_type": "bearer",
        "expires_in": 300,
        "scope": SCOPES,
    }
    assert answer.headers["cache-control"] == "no-store"
    posted = intake.http.post("/fhir/QuestionnaireResponse", json=a_response(), headers=bearer(body["access_token"]))
    assert posted.status_code == 201
    path = httpx.URL(posted.headers["location"]).path
    assert intake.http.get(path, headers=bearer(body["access_token"])).status_code == 200
    assert intake.http.get(path).status_code == 401


def test_rs384_works_too_and_the_audience_may_be_an_array(intake: Intake) -> None:
    client = intake.register()

    rs384 = assertion(client, header={"alg": "RS384", "kid": "k2"}, key=RSA, aud=["https://other.example", TOKEN_URL])
    assert intake.ask(rs384, client_id=client).status_code == 200


def test_a_token_reaches_no_further_than_its_scopes(intake: Intake) -> None:
    token = intake.token(intake.register(), "system/QuestionnaireResponse.c")

    answer = intake.http.get("/fhir/QuestionnaireResponse", headers=bearer(token))
    assert answer.status_code == 403
    assert answer.json()["issue"][0]["code"] == "forbidden"


@pytest.mark.parametrize("kind", ["post", "transaction"])
def test_a_conditional_create_shows_no_answers_of_others_to_whoever_may_only_create(intake: Intake, kind: str) -> None:
    writer = intake.token(intake.register(), "system/QuestionnaireResponse.c")
    reader = intake.token(intake.register(), "system/QuestionnaireResponse.cr")
    intake.http.post(
        "/fhir/QuestionnaireResponse", json=a_response({"chest_pain": "Y"}, identifier="f"), headers=bearer(reader)
    )
    guess, condition = a_response({}, identifier="f"), f"identifier={SENDER}|f"
    request = {"method": "POST", "url": "QuestionnaireResponse", "ifNoneExist": condition}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": guess, "request": request}]}

    def shown(token: str) -> str:
        headers = bearer(token) | {"Prefer": "return=representation"}
        if kind == "post":
            headers |= {"If-None-Exist": condition}
            answer = intake.http.post("/fhir/QuestionnaireResponse", json=guess, headers=headers)
        else:
            answer = intake.http.post("/fhir", json=bundle, headers=headers)
        assert answer.status_code == 200
        return answer.text

    assert "linkId" not in shown(writer)
    assert "identifier-reused" in shown(writer)
    assert "linkId" in shown(reader)


def test_the_tenant_of_a_token_is_that_of_the_registration(intake: Intake) -> None:
    here = intake.token(intake.register())
    there = intake.token(intake.register(tenant=uuid4()))
    posted = intake.http.post("/fhir/QuestionnaireResponse", json=a_response(), headers=bearer(here))
    path = httpx.URL(posted.headers["location"]).path

    assert intake.http.get(path, headers=bearer(here)).status_code == 200
    assert intake.http.get(path, headers=bearer(there)).status_code == 404


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"header": {"alg": "none"}}, "algorithm"),
        ({"header": {"alg": "HS384"}, "key": b"secret"}, "algorithm"),
        ({"header": {"alg": "RS384"}}, "not one for its algorithm"),
        ({"header": {"alg": "RS256", "kid": "k2"}, "key": RSA}, "algorithm"),
        ({"header": {"jwk": public_jwk(OTHER)}, "key": OTHER}, "brings a key"),
        ({"header": {"x5u": "https://evil.example/"}, "key": OTHER}, "brings a key"),
        ({"header": {"jku": "https://evil.example/"}, "key": OTHER}, "jku"),
        ({"header": {"crit": ["exp"]}}, "crit"),
        ({"header": {"typ": "at+jwt"}}, "typ"),
        ({"header": {"kid": "k9"}}, "kid"),
        ({"header": {"kid": None}}, "kid"),
        ({"key": OTHER}, "signature"),
        ({"exp": 1}, "expired"),
        ({"exp": 4_000_000_000}, "more than 300 seconds ahead"),
        ({"exp": None}, "no exp"),
        ({"nbf": 4_000_000_000}, "not hold yet"),
        ({"aud": f"{PUBLIC}/fhir"}, "aud"),
        ({"aud": None}, "aud"),
        ({"sub": "another"}, "must be the same"),
        ({"iss": None}, "iss"),
        ({"jti": None}, "jti"),
        ({"jti": "x" * 300}, "jti"),
        ({"padding": "x" * 9000}, "longer"),
    ],
)
def test_an_assertion_that_is_not_as_it_must_be_gets_no_token(
    intake: Intake, change: dict[str, Any], reason: str
) -> None:
    description = refused(intake.ask(assertion(intake.register(), **change)))

    assert reason in description


def test_an_assertion_counts_once(intake: Intake) -> None:
    client = intake.register()
    once = assertion(client)

    assert intake.ask(once).status_code == 200
    assert "jti was used before" in refused(intake.ask(once))


def test_of_fifty_equal_assertions_at_once_one_gets_a_token(intake: Intake) -> None:
    once = assertion(intake.register())
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(intake.ask(once).status_code)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(answers) == [200, *[401] * 49]


def test_what_was_used_is_forgotten_once_its_age_alone_refuses_it(intake: Intake) -> None:
    client = intake.register()
    with connect(intake.database.intake_url, schema="intake") as connection:
        for jti, expires in (("old", time.time() - 3600), ("new", time.time() + 60)):
            assert client_store.use_assertion(connection, client, jti, expires=expires)
        client_store.forget_assertions(connection)
        again = [client_store.use_assertion(connection, client, jti, expires=0) for jti in ("old", "new")]

    assert again == [True, False]


def test_two_clients_may_use_the_same_jti(intake: Intake) -> None:
    assert intake.ask(assertion(intake.register(), jti="1")).status_code == 200
    assert intake.ask(assertion(intake.register(), jti="1")).status_code == 200


def test_an_assertion_with_a_false_signature_uses_up_nothing(intake: Intake) -> None:
    client = intake.register()
    refused(intake.ask(assertion(client, key=OTHER, jti="1")))

    assert intake.ask(assertion(client, jti="1")).status_code == 200


def test_a_disabled_client_and_one_that_nobody_knows_get_the_same_answer(intake: Intake) -> None:
    client = intake.register()
    intake.disable(client)

    assert refused(intake.ask(assertion(client))) == refused(intake.ask(assertion(str(uuid4()))))


def test_an_access_token_is_no_assertion(intake: Intake) -> None:
    refused(intake.ask(intake.token(intake.register())))


def test_an_assertion_is_no_access_token(intake: Intake) -> None:
    client = intake.register()

    for used in (assertion(client), assertion(client, header={"typ": "at+jwt"}, aud=f"{PUBLIC}/fhir")):
        assert intake.http.get("/fhir/QuestionnaireResponse", headers=bearer(used)).status_code == 401


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": None}, "unsupported_grant_type"),
        ({"client_assertion_type": "urn:other"}, "invalid_client"),
        ({"client_assertion": None}, "invalid_client"),
        ({"client_id": "another"}, "invalid_client"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "system/RiskAssessment.cruds"}, "invalid_scope"),
        ({"scope": "system/*.rs"}, "invalid_scope"),
        ({"scope": "system/RiskAssessment.rs?patient=1"}, "invalid_scope"),
        ({"scope": "system/RiskAssessment.read"}, "invalid_scope"),
    ],
    ids=str,
)
def test_a_form_that_asks_for_something_else_gets_the_error_of_oauth(
    intake: Intake, changed: dict[str, str | None], error: str
) -> None:
    refused(intake.ask(assertion(intake.register()), **changed), error)


def test_a_field_given_twice_is_refused(intake: Intake) -> None:
    body = f"grant_type=client_credentials&client_assertion_type={ASSERTION_TYPE}&scope=a&scope=b"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    refused(intake.http.post("/auth/token", content=body, headers=headers), "invalid_request")


def test_a_form_sent_as_json_is_refused(intake: Intake) -> None:
    refused(intake.http.post("/auth/token", json={"grant_type": "client_credentials"}), "invalid_request")


def test_an_error_repeats_nothing_of_the_assertion(intake: Intake) -> None:
    text = intake.ask(assertion(str(uuid4()), secret="ZZCANARY", sub="ZZCANARY")).text

    assert "ZZCANARY" not in text


def test_smart_configuration_stands_under_the_host_and_under_the_base(intake: Intake) -> None:
    first, second = (intake.http.get(f"{prefix}/.well-known/smart-configuration") for prefix in ("", "/fhir"))

    found = first.json()
    assert found == second.json()
    assert found["token_endpoint"] == TOKEN_URL
    assert found["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert found["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert "client-confidential-asymmetric" in found["capabilities"]
    assert "system/Questionnaire" in " ".join(found["scopes_supported"])


def test_the_published_keys_hold_no_private_part(intake: Intake) -> None:
    [key] = intake.http.get("/.well-known/jwks.json").json()["keys"]

    assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}


def test_the_capability_statement_names_the_token_endpoint_and_is_public(intake: Intake) -> None:
    [rest] = intake.http.get("/fhir/metadata").json()["rest"]

    assert rest["security"]["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    assert TOKEN_URL in json.dumps(rest["security"])


def test_the_sandbox_says_that_no_token_is_asked(database: Database) -> None:
    url: Any = database.intake_url
    with client_of(create_app(IntakeSettings(mode="sandbox", intake_database_url=url))) as http:
        security = http.get("/fhir/metadata").json()["rest"][0]["security"]

    assert "no access token is asked" in security["description"]


def test_after_a_rotation_the_old_key_proves_what_it_signed(database: Database) -> None:
    rotated = KEYS.rotated()
    assert [key["kid"] for key in rotated.jwks["keys"]][1] == KEYS.private[0]["kid"]
    assert len(rotated.rotated().private) == 2
    with client_of(create_app(settings(database))) as http:
        before = Intake(http, database)
        http.headers["Host"] = "sural.clinic.example"
        token = before.token(before.register())
    changed = settings(database).model_copy(update={"token_key": SecretStr(rotated.as_text())})
    with client_of(create_app(changed)) as http:
        http.headers["Host"] = "sural.clinic.example"
        assert http.get("/fhir/QuestionnaireResponse/x", headers=bearer(token)).status_code == 404


@pytest.mark.parametrize(
    "text", ["", "{", "{}", '{"keys": []}', json.dumps({"keys": [public_jwk(EC)]}), "-----BEGIN X"]
)
def test_a_key_file_without_a_private_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="SURAL_TOKEN_KEY"):
        read_token_keys(text)


def test_a_key_in_pem_is_read() -> None:
    pem = EC.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()).decode()
    assert read_token_keys(pem).public[0].algorithms == ("ES384",)


def audited(database: Database) -> list[tuple[str, str, str, str]]:
    with psycopg.connect(database.owner_url) as owner:
        return owner.execute(
            "SELECT interaction, word, outcome, agent FROM intake.audit_event "
            "WHERE interaction = 'login' ORDER BY number"
        ).fetchall()


def test_tokens_that_are_granted_and_refused_are_in_the_audit(intake: Intake, database: Database) -> None:
    client_id = intake.register()
    intake.token(client_id)
    intake.ask(assertion(client_id, key=OTHER))

    assert audited(database) == [
        ("login", "token-issued", "0", client_id),
        ("login", "token-denied", "4", "unknown"),
    ]


def test_requests_that_are_not_let_in_are_in_the_audit(intake: Intake, database: Database) -> None:
    client_id = intake.register(scopes="system/Task.r")
    token = intake.token(client_id, "system/Task.r")
    assert intake.http.get("/fhir/QuestionnaireResponse/1").status_code == 401
    assert intake.http.get("/fhir/QuestionnaireResponse/1", headers=bearer(token)).status_code == 403

    assert audited(database)[1:] == [
        ("login", "login-denied", "4", "unknown"),
        ("login", "login-denied", "4", client_id),
    ]


def test_a_stranger_cannot_fill_the_audit(intake: Intake, database: Database) -> None:
    for _ in range(MOST_A_MINUTE + 5):
        assert intake.http.get("/fhir/QuestionnaireResponse/1").status_code == 401

    assert len(audited(database)) == MOST_A_MINUTE

"""Access tokens: from this installation or a trusted issuer, for us, now; the tenant from the issuer alone."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from shared.access.gate import TokenRefused
from shared.access.jose import parse_key_set
from shared.access.keys import GivenKeys, KeysUnavailable
from shared.access.tokens import Verifier, own_issuer
from shared.access.trusted import parse_trusted_issuers
from shared.problems import ProblemError
from tests.access.keyring import ec_key, jwks, public_jwk, rsa_key, signed

OURS, THEIRS, STRANGER = ec_key(), rsa_key(), ec_key()
NOW = 1_800_000_000.0
TENANT, NORTH = uuid4(), uuid4()
URL = "https://sural.clinic.example"
PARTNER = "https://id.partner.example"
TRUSTED = {
    "issuer": PARTNER,
    "jwks_uri": f"{PARTNER}/jwks.json",
    "audience": f"{URL}/fhir",
    "tenants": {"north": str(NORTH)},
}


class Clock:
    """A clock that a test moves."""

    now = NOW

    def __call__(self) -> float:
        return self.now


def verifier(clock: Clock | None = None, **trusted: Any) -> Verifier:
    own = own_issuer(URL, GivenKeys(parse_key_set(jwks(public_jwk(OURS)))))
    [partner] = parse_trusted_issuers(json.dumps([TRUSTED | trusted]))
    theirs = partner.as_issuer(GivenKeys(parse_key_set(jwks(public_jwk(THEIRS, "p1")))), v1=False)
    return Verifier([own, theirs], clock or Clock())


def own(key: Any = OURS, header: dict[str, Any] | None = None, **claims: Any) -> str:
    said = {
        "iss": URL,
        "aud": f"{URL}/fhir",
        "sub": "client-1",
        "tenant": str(TENANT),
        "scope": "system/Task.rs",
        "exp": NOW + 300,
        **claims,
    }
    return signed({"alg": "ES384", "kid": "k1", "typ": "at+jwt"} | (header or {}), said, key)


def partner(**claims: Any) -> str:
    said = {
        "iss": PARTNER,
        "aud": [f"{URL}/fhir"],
        "sub": "system-7",
        "tenant": "north",
        "scope": "openid system/Task.rs",
        "exp": NOW + 300,
        **claims,
    }
    return signed({"alg": "RS256", "kid": "p1", "typ": "at+jwt"}, said, THEIRS)


def test_our_own_token_speaks_for_its_client_and_tenant_with_its_scopes() -> None:
    principal = verifier().verify(own())

    assert (principal.id, principal.tenant, str(principal.scopes)) == ("client-1", TENANT, "system/Task.rs")


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (own(exp=NOW - 31), "expired"),
        (own(nbf=NOW + 60), "not hold yet"),
        (own(aud=URL), "aud"),
        (own(aud=f"{URL}/auth/token"), "aud"),
        (own(iss="https://evil.example"), "issuer"),
        (own(STRANGER), "signature"),
        (own(header={"typ": "JWT"}), "typ"),
        (own(header={"typ": None}), "typ"),
        (own(header={"alg": "none"}), "algorithm"),
        (own(header={"jku": f"{PARTNER}/jwks.json"}), "jku"),
        (own(header={"kid": "p1"}), "kid"),
        (own(tenant="north"), "tenant"),
        (own(scope="everything"), "scope"),
        ("opaque", "three parts"),
    ],
    ids=lambda value: value if len(value) < 20 else "",
)
def test_any_other_token_is_refused_with_its_reason(token: str, reason: str) -> None:
    with pytest.raises(TokenRefused, match=reason):
        verifier().verify(token)


def test_a_client_assertion_is_no_access_token() -> None:
    assertion = signed(
        {"alg": "ES384", "kid": "k1", "typ": "JWT"},
        {"iss": "client-1", "sub": "client-1", "aud": f"{URL}/auth/token", "exp": NOW + 60, "jti": "1"},
        OURS,
    )
    with pytest.raises(TokenRefused):
        verifier().verify(assertion)


def test_a_trusted_issuer_speaks_for_the_tenants_that_it_was_given() -> None:
    principal = verifier().verify(partner())

    assert (principal.id, principal.tenant) == (f"{PARTNER}|system-7", NORTH)
    assert str(principal.scopes) == "system/Task.rs"


@pytest.mark.parametrize(
    "tenant",
    ["south", str(TENANT), str(NORTH), None, ["north"]],
    ids=["another's name", "the default one's id", "its own id", "none", "a list"],
)
def test_a_trusted_issuer_speaks_for_no_other_tenant(tenant: object) -> None:
    with pytest.raises(TokenRefused, match="tenant"):
        verifier().verify(partner(tenant=tenant))


def test_an_issuer_for_one_tenant_cannot_choose_another() -> None:
    single = {key: value for key, value in TRUSTED.items() if key != "tenants"} | {"tenant": str(NORTH)}
    [issuer] = parse_trusted_issuers(json.dumps([single]))
    keys = GivenKeys(parse_key_set(jwks(public_jwk(THEIRS, "p1"))))

    principal = Verifier([issuer.as_issuer(keys, v1=False)], Clock()).verify(partner(tenant=str(TENANT)))
    assert principal.tenant == NORTH


def test_a_token_of_one_issuer_is_not_proven_by_the_keys_of_another() -> None:
    claims = {"iss": URL, "aud": f"{URL}/fhir", "sub": "x", "tenant": str(TENANT), "scope": "system/*.cruds"}
    forged = signed({"alg": "RS256", "kid": "p1", "typ": "at+jwt"}, claims | {"exp": NOW + 60}, THEIRS)
    with pytest.raises(TokenRefused, match="algorithm"):
        verifier().verify(forged)


def test_a_verified_token_is_remembered_until_it_ends() -> None:
    clock = Clock()
    tokens = verifier(clock)
    token = own()
    assert tokens.known(token) is None
    principal = tokens.verify(token)

    assert tokens.known(token) == principal
    assert tokens.known(token + "x") is None
    clock.now += 300
    assert tokens.known(token) is None


def test_keys_that_cannot_be_had_are_no_refusal_but_a_reason_to_try_again() -> None:
    class Away:
        def named(self, kid: str | None) -> Any:
            raise KeysUnavailable("timeout")

    with pytest.raises(ProblemError) as away:
        Verifier([own_issuer(URL, Away())], Clock()).verify(own())
    assert away.value.http_status == 503


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        "[1]",
        json.dumps([{**TRUSTED, "tenant": str(NORTH)}]),
        json.dumps([{key: value for key, value in TRUSTED.items() if key != "tenants"}]),
        json.dumps([{key: value for key, value in TRUSTED.items() if key != "audience"}]),
        json.dumps([TRUSTED | {"unknown": 1}]),
        json.dumps([TRUSTED | {"tenants": {"north": "north"}}]),
        json.dumps([TRUSTED | {"tenants": ["north"]}]),
        json.dumps([TRUSTED | {"issuer": ""}]),
        json.dumps([TRUSTED, TRUSTED]),
    ],
)
def test_a_setting_that_could_be_misread_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="SURAL_TRUSTED_ISSUERS"):
        parse_trusted_issuers(text)


def test_no_trusted_issuer_is_the_default() -> None:
    assert parse_trusted_issuers("") == ()

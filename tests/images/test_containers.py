from __future__ import annotations

import re

import pytest
from docker.models.containers import Container

from tests.waiting import eventually

pytestmark = pytest.mark.timeout(300)

ONCE = {"migrate-intake", "migrate-triage", "migrate-notify"}
LASTING = {
    *("postgres", "valkey", "proxy", "mail"),
    *("intake", "intake-background"),
    *("triage", "triage-worker", "triage-background"),
    *("notify", "notify-urgent", "notify-routine", "notify-background"),
}
Containers = dict[str, Container]


def status(container: Container) -> dict[str, str]:
    """What the kernel says of the container's first process."""
    text = container.exec_run(["cat", "/proc/1/status"]).output.decode()
    return dict(re.findall(r"^(\w+):\s*(.*)$", text, flags=re.MULTILINE))


def test_every_process_is_there_and_healthy(containers: Containers) -> None:
    assert set(containers) == ONCE | LASTING
    for name in sorted(LASTING):
        container = containers[name]
        container.reload()
        assert container.attrs["State"]["Health"]["Status"] == "healthy", name
        assert container.attrs["RestartCount"] == 0, name


def test_the_migrations_ended_well(containers: Containers) -> None:
    for name in sorted(ONCE):
        state = containers[name].attrs["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", 0), name


def test_no_process_of_ours_nor_broker_nor_proxy_has_any_right_of_root(containers: Containers) -> None:
    for name in sorted(LASTING - {"postgres"}):
        found = status(containers[name])
        assert "0" not in found["Uid"].split(), name
        assert int(found["CapEff"], 16) == 0, name
        assert found["NoNewPrivs"] == "1", name


def test_every_disk_is_read_only_and_every_container_has_limits(containers: Containers) -> None:
    for name in sorted(LASTING):
        host = containers[name].attrs["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] > 0, name
        assert host["CapDrop"] == ["ALL"], name


def test_only_the_proxy_and_the_inbox_can_be_reached_and_only_from_this_machine(containers: Containers) -> None:
    published = {}
    for name, container in containers.items():
        if ports := container.attrs["HostConfig"]["PortBindings"]:
            published[name] = {binding["HostIp"] for bindings in ports.values() for binding in bindings}

    assert published == {"proxy": {"127.0.0.1"}, "mail": {"127.0.0.1"}}


def test_database_and_broker_are_out_of_the_proxy_s_reach_and_only_notify_has_a_way_out(containers: Containers) -> None:
    networks = {
        name: {network.rpartition("_")[2] for network in container.attrs["NetworkSettings"]["Networks"]}
        for name, container in containers.items()
    }

    assert networks["postgres"] == networks["valkey"] == {"data"}
    assert networks["proxy"] == networks["mail"] == {"web", "outside"}
    assert {name for name, found in networks.items() if "outside" in found} == {
        *("proxy", "mail", "notify", "notify-urgent", "notify-routine", "notify-background")
    }


def test_no_password_stands_in_an_environment(containers: Containers) -> None:
    for name, container in containers.items():
        for variable in container.attrs["Config"]["Env"]:
            assert not re.search(r"://[^/@]*:[^/@]+@", variable), f"{name}: {variable.partition('=')[0]}"


def test_a_service_that_is_away_is_told_as_an_operation_outcome_and_comes_back(containers: Containers) -> None:
    proxy, notify = containers["proxy"], containers["notify"]

    def ask(path: str) -> tuple[str, str]:
        command = ["curl", "--silent", "--write-out", "\n%{http_code}", f"http://127.0.0.1:8000{path}"]
        body, _, code = proxy.exec_run(command).output.decode().rpartition("\n")
        return code, body

    notify.stop(timeout=30)
    try:
        code, body = ask("/fhir/Task")
        assert (code, '"resourceType":"OperationOutcome"' in body) == ("503", True)
        assert ask("/worklist")[0] == "503"
        assert ask("/readyz")[0] == "503"
        assert ask("/readyz/intake")[0] == "200"
    finally:
        notify.start()

    eventually(lambda: ask("/readyz")[0] == "200", within_s=60)
    assert ask("/fhir/Task")[0] == "200"

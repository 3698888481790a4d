from __future__ import annotations

import json
from typing import Any

import docker
import pytest

pytestmark = pytest.mark.timeout(1200)

OWN = ("intake", "triage", "notify")
EVERY = (*OWN, "sandbox")
CONFINED: dict[str, Any] = {
    "read_only": True,
    "tmpfs": {"/tmp": ""},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "network_mode": "none",
    "remove": True,
}
MODULES = {
    "intake": "services.intake.app, services.intake.background, kombu.transport.redis",
    "triage": "services.triage.app, services.triage.background, services.triage.worker, kombu.transport.redis",
    "notify": "services.notify.app, services.notify.background, services.notify.worker, kombu.transport.redis",
    "sandbox": "deploy.sandbox.mail_catcher",
}
"""What the processes of an image import, some of it only once they run: all must be there without the neighbours."""


def run(engine: docker.DockerClient, image: str, code: str) -> Any:
    """What a piece of Python says in a fresh, confined container of this image."""
    return json.loads(engine.containers.run(image, ["-c", code], entrypoint="python", **CONFINED))


@pytest.mark.parametrize("service", OWN)
def test_an_image_holds_its_own_service_and_nothing_of_the_others(
    engine: docker.DockerClient, images: dict[str, str], service: str
) -> None:
    code = "import json, os; print(json.dumps([sorted(os.listdir('/app')), sorted(os.listdir('/app/services'))]))"

    top, services = run(engine, images[service], code)

    assert top == ["LICENSE", "THIRD-PARTY-NOTICES.md", "services", "shared"]
    assert [name for name in services if name != "__pycache__"] == ["__init__.py", service]


def test_the_mail_catcher_s_image_holds_nothing_of_the_system(
    engine: docker.DockerClient, images: dict[str, str]
) -> None:
    code = "import json, os; print(json.dumps([sorted(os.listdir('/app')), sorted(os.listdir('/app/deploy'))]))"

    top, deploy = run(engine, images["sandbox"], code)

    assert top == ["LICENSE", "THIRD-PARTY-NOTICES.md", "deploy"]
    assert [name for name in deploy if name != "__pycache__"] == ["__init__.py", "sandbox"]


@pytest.mark.parametrize("service", EVERY)
def test_every_process_of_an_image_finds_all_it_imports(
    engine: docker.DockerClient, images: dict[str, str], service: str
) -> None:
    assert run(engine, images[service], f"import {MODULES[service]}; print('true')") is True


@pytest.mark.parametrize("service", EVERY)
def test_an_image_starts_its_command_line_without_network_and_with_a_read_only_disk(
    engine: docker.DockerClient, images: dict[str, str], service: str
) -> None:
    assert b"usage: " in engine.containers.run(images[service], ["--help"], **CONFINED)


@pytest.mark.parametrize("service", EVERY)
def test_an_image_runs_as_a_user_that_can_change_nothing_in_it(
    engine: docker.DockerClient, images: dict[str, str], service: str
) -> None:
    code = (
        "import json, os;"
        "paths = [os.path.join(at, name) for top in ('/app', '/opt', '/usr', '/etc')"
        " for at, folders, files in os.walk(top) for name in (*folders, *files)];"
        "print(json.dumps([os.getuid(), os.getgid(), os.getgroups(),"
        " [path for path in paths if os.stat(path, follow_symlinks=False).st_uid == os.getuid()]]))"
    )

    uid, gid, groups, owned = run(engine, images[service], code)

    assert (uid, gid) == (10001, 10001)
    assert set(groups) <= {10001}
    assert owned == []


@pytest.mark.parametrize("service", EVERY)
def test_an_image_leaves_the_health_check_to_each_process(
    engine: docker.DockerClient, images: dict[str, str], service: str
) -> None:
    assert engine.images.get(images[service]).attrs["Config"].get("Healthcheck") is None


@pytest.mark.parametrize("service", EVERY)
def test_nothing_can_be_installed_into_an_image_s_environment(
    engine: docker.DockerClient, images: dict[str, str], service: str
) -> None:
    code = "import importlib.util as look, json; print(json.dumps(look.find_spec('pip') is None))"

    assert run(engine, images[service], code) is True

"""The Docker engine, the images and the containers that deploy/check-compose has started, where there are any."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

ROOT = Path(__file__).resolve().parents[2]
TAG = "check"
PROJECT = "SURAL_CHECK_PROJECT"


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    try:
        answer = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        pytest.skip(f"no Docker here ({error.strerror}); deploy/check-compose runs this where there is an engine")
    if answer.returncode != 0:
        pytest.skip("no Docker engine answers; deploy/check-compose runs this where one does")
    client = docker.from_env(timeout=120)
    yield client
    client.close()


@pytest.fixture(scope="session")
def images(engine: docker.DockerClient) -> dict[str, str]:
    """Service to image name; deploy/check-compose has built them, else they are built now."""
    if PROJECT not in os.environ:
        command = ["docker", "compose", "--profile", "sandbox", "--env-file", os.devnull, "build", "--quiet"]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "SURAL_TAG": TAG}, check=True)
    return {service: f"sural-{service}:{TAG}" for service in ("intake", "triage", "notify", "sandbox")}


@pytest.fixture(scope="session")
def containers(engine: docker.DockerClient) -> dict[str, Container]:
    """Service of docker-compose.yml to its container, ended ones too."""
    project = os.environ.get(PROJECT)
    if project is None:
        pytest.skip("the system does not run in containers; deploy/check-compose starts it and runs this")
    found = engine.containers.list(all=True, filters={"label": f"com.docker.compose.project={project}"})
    return {container.labels["com.docker.compose.service"]: container for container in found}

"""Run docker-compose.yml for real, once, with one emergency. Called by deploy/check-compose, which finds the engine.

Everything has names, ports, data and passwords of its own, so a system that already runs here is not touched.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "cold-pale-foot.json"
SID_RESPONSE = "https://sural.example/fhir/sid/qr"
TYPES = {"QuestionnaireResponse", "RiskAssessment", "Task"}
"""One of each service's types."""
BUILD_S, START_S, STOP_S, JOURNEY_S = 1200, 300, 120, 60
POLL_S = 0.05
LOG_LINES, SAID_LINES = 40, 60


class CheckFailed(Exception):
    """What was expected and did not come."""


@dataclass(frozen=True, slots=True)
class Stack:
    """One Compose project: its name, its environment, and where it can be reached."""

    project: str
    environment: Mapping[str, str]
    base: str
    inbox: str

    def compose(self, *arguments: str, timeout_s: float) -> str:
        """Run a Compose command. Raises CheckFailed, with the end of what it said, when it fails or takes too long."""
        options = ["--project-name", self.project, "--profile", "sandbox", "--env-file", os.devnull, "--ansi", "never"]
        command = ["docker", "compose", *options, *arguments]
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=self.environment,
                check=False,
                timeout=timeout_s,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except subprocess.TimeoutExpired:
            raise CheckFailed(f"docker compose {arguments[0]} took more than {timeout_s:.0f} s") from None
        if done.returncode != 0:
            print("\n".join(done.stdout.splitlines()[-SAID_LINES:]), file=sys.stderr)
            raise CheckFailed(f"docker compose {arguments[0]} ended with status {done.returncode}")
        return done.stdout


def main() -> int:
    """0 when everything was as expected."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="sural-check-") as folder:
            stack = new_stack(Path(folder))
            with timed("build"):
                stack.compose("build", timeout_s=BUILD_S)
            with running(stack):
                with timed("base and pages"):
                    check_base(stack)
                check_emergency(stack)
                with timed("containers and images"):
                    check_containers(stack)
    except CheckFailed as error:
        print(f"check-compose: failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("check-compose: interrupted", file=sys.stderr)
        return 130
    print("check-compose: passed")
    return 0


def new_stack(folder: Path) -> Stack:
    """A project that shares nothing with another one but the images' build cache."""
    subprocess.run([ROOT / "deploy" / "make-secrets", folder], check=True, stdout=subprocess.DEVNULL)
    port, mail_port = free_ports(2)
    own = {
        "SURAL_PORT": str(port),
        "SURAL_MAIL_PORT": str(mail_port),
        "SURAL_TAG": "check",
        "SURAL_SECRETS": str(folder),
    }
    given = {name: value for name, value in os.environ.items() if not name.startswith("SURAL_")}
    return Stack(
        project=f"sural-check-{secrets.token_hex(4)}",
        environment=given | own,
        base=f"http://127.0.0.1:{port}",
        inbox=f"http://127.0.0.1:{mail_port}",
    )


def free_ports(number: int) -> list[int]:
    """Ports of the loopback address that nobody uses now."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@contextmanager
def running(stack: Stack) -> Iterator[None]:
    """The system, healthy; gone with its data afterwards. After a failure its last log lines are shown."""
    try:
        with timed("start, until all are healthy"):
            stack.compose("up", "--detach", "--wait", timeout_s=START_S)
        yield
    except BaseException:
        for arguments in (["ps", "--all"], ["logs", "--no-color", "--tail", str(LOG_LINES)]):
            try:
                print(stack.compose(*arguments, timeout_s=60), file=sys.stderr)
            except CheckFailed as error:
                print(f"check-compose: {error}", file=sys.stderr)
        raise
    finally:
        with timed("stop"):
            stack.compose("down", "--volumes", "--remove-orphans", timeout_s=STOP_S)


def check_base(stack: Stack) -> None:
    """All three services behind one address: their types, their pages, their readiness."""
    offered: set[str] = set()

    def complete() -> bool:
        statement = get_json(f"{stack.base}/fhir/metadata")
        offered.update(resource["type"] for resource in statement["rest"][0]["resource"])
        return offered >= TYPES

    wait_until(complete, what=f"/fhir/metadata with {', '.join(sorted(TYPES))}")
    for path in ("/livez", "/readyz", "/readyz/intake", "/readyz/triage", "/readyz/notify", "/worklist"):
        status, _ = get(f"{stack.base}{path}")
        if status != 200:
            raise CheckFailed(f"GET {path} answered {status}")
    status, body = get(f"{stack.base}/fhir/NoSuchType/1")
    if status != 404 or json.loads(body)["resourceType"] != "OperationOutcome":
        raise CheckFailed(f"GET of an unknown type answered {status}, and no OperationOutcome")


def check_emergency(stack: Stack) -> None:
    """A cold, pale foot is sent; its assessment, its alert and the mail to the clinician must come."""
    started = time.perf_counter()
    response_id = post(f"{stack.base}/fhir/QuestionnaireResponse", EXAMPLE.read_bytes())
    stored_ms = _milliseconds(started)

    query = f"identifier={SID_RESPONSE}%7C{response_id}"
    assessment = wait_for_entry(f"{stack.base}/fhir/RiskAssessment?{query}", what="the RiskAssessment")
    assessed_ms = _milliseconds(started)
    tags = {tag["code"] for tag in assessment["meta"]["tag"]}
    if "emergency" not in tags:
        raise CheckFailed(f"the RiskAssessment is tagged {', '.join(sorted(tags))}, not emergency")

    # By the response, not by a status: the Task is "requested" only until the first mail is out, some 50 ms.
    task = wait_for_entry(f"{stack.base}/fhir/Task?{query}", what="the Task")
    if task["focus"]["reference"].partition("/_history/")[0] != f"RiskAssessment/{assessment['id']}":
        raise CheckFailed("the Task is about something else than the RiskAssessment")
    wait_until(lambda: len(get_json(f"{stack.inbox}/messages")["messages"]) == 1, what="the mail")
    mailed_ms = _milliseconds(started)
    text = get_json(f"{stack.inbox}/messages")["messages"][0]["text"]
    if f"{stack.base}/worklist" not in text:
        raise CheckFailed("the mail does not lead to the worklist")
    print(
        "check-compose: an emergency: "
        f"stored after {stored_ms} ms, assessed after {assessed_ms} ms, mail caught after {mailed_ms} ms",
        flush=True,
    )


def check_containers(stack: Stack) -> None:
    """What can be seen from outside: tests/images, on the containers that run now."""
    environment = {**os.environ, "SURAL_CHECK_PROJECT": stack.project}
    arguments = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "tests/images"]
    if subprocess.run(arguments, cwd=ROOT, env=environment, check=False).returncode != 0:
        raise CheckFailed("tests/images found something (see above)")


def post(url: str, body: bytes) -> str:
    """Create a resource; returns its id."""
    headers = {"Content-Type": "application/fhir+json", "Prefer": "return=representation"}
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - our own address
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return str(answer.headers["Location"]).partition("/_history/")[0].rpartition("/")[2]
    except urllib.error.HTTPError as error:
        raise CheckFailed(f"POST answered {error.code}: {error.read(2000).decode()}") from None


def get(url: str) -> tuple[int, bytes]:
    """Status and body; status 0 when nobody answered."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own address
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def get_json(url: str) -> Any:
    """The answer of a 200. Raises CheckFailed for anything else."""
    status, body = get(url)
    if status != 200:
        raise CheckFailed(f"GET {url} answered {status}")
    return json.loads(body)


def wait_for_entry(url: str, *, what: str) -> dict[str, Any]:
    """The one resource that a search finds, as soon as it does."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = [entry["resource"] for entry in get_json(url).get("entry", [])]
        return bool(found)

    wait_until(there, what=what)
    if len(found) != 1:
        raise CheckFailed(f"{len(found)} resources found where {what} was expected")
    return found[0]


def wait_until(condition: Callable[[], bool], *, what: str) -> None:
    """Ask until it is so. Raises CheckFailed after a minute."""
    deadline = time.monotonic() + JOURNEY_S
    while not condition():
        if time.monotonic() > deadline:
            raise CheckFailed(f"{what} did not come within {JOURNEY_S} s")
        time.sleep(POLL_S)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long a step took."""
    started = time.perf_counter()
    yield
    print(f"check-compose: {what}: {time.perf_counter() - started:.1f} s", flush=True)


def _milliseconds(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

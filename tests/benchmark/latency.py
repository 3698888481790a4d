"""How long one response takes, one at a time: to its readable RiskAssessment, and to the mail server's yes.

    ./sural up --detach
    .venv/bin/python -m tests.benchmark.latency --number 200

Times are the client's, in milliseconds: from before the POST until the RiskAssessment can be read, and until the mail
server has accepted the first alert (by the time that the Communication states, on the same machine's clock).
"""

from __future__ import annotations

import argparse
import json
import secrets
import time
from datetime import UTC, datetime

import httpx

from deploy.local.demo import EXAMPLES, fresh
from shared.fhir.codes import SID_ALERT, SID_RESPONSE

DEADLINE_S = 30.0
POLL_S = 0.005


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--number", type=int, default=200)
    given = parser.parse_args()
    assessed, alerted = [], []
    with httpx.Client(base_url=given.url, timeout=10, trust_env=False) as client:
        for _ in range(given.number):
            to_assessment, to_mail = one(client)
            assessed.append(to_assessment)
            alerted.append(to_mail)
    print(f"{given.number} emergencies, one at a time")
    for name, values in (("POST to RiskAssessment readable", assessed), ("POST to alert accepted by SMTP", alerted)):
        print(f"  {name:34} p50 {at(values, 50):6.0f} ms   p99 {at(values, 99):6.0f} ms   max {max(values):6.0f} ms")


def one(client: httpx.Client) -> tuple[float, float]:
    """Milliseconds to the assessment and to the mail server, for one emergency of a new patient."""
    body = fresh((EXAMPLES / "cold-pale-foot.json").read_bytes(), secrets.token_hex(6))
    started, start = datetime.now(UTC), time.perf_counter()
    answer = client.post("/fhir/QuestionnaireResponse", content=body, headers={"Content-Type": "application/fhir+json"})
    answer.raise_for_status()
    response_id = answer.headers["location"].split("/QuestionnaireResponse/")[1].split("/")[0]
    wait_for(client, "RiskAssessment", f"{SID_RESPONSE}|{response_id}")
    to_assessment = (time.perf_counter() - start) * 1000
    task = wait_for(client, "Task", f"{SID_RESPONSE}|{response_id}")
    sent = wait_for(client, "Communication", f"{SID_ALERT}|{task['id']}", status="completed")["sent"]
    return to_assessment, (datetime.fromisoformat(sent) - started).total_seconds() * 1000


def wait_for(client: httpx.Client, resource_type: str, identifier: str, status: str = "") -> dict[str, str]:
    """The first resource with this identifier (and status)."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = json.loads(client.get(f"/fhir/{resource_type}", params={"identifier": identifier}).content)
        for entry in found.get("entry", []):
            if not status or entry["resource"]["status"] == status:
                resource: dict[str, str] = entry["resource"]
                return resource
        time.sleep(POLL_S)
    raise SystemExit(f"no {resource_type} within {DEADLINE_S:.0f} s")


def at(values: list[float], percent: int) -> float:
    """The value below which `percent` of all values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


if __name__ == "__main__":
    main()

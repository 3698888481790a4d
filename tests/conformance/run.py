"""Run the vectors against a server: ``python -m tests.conformance.run --base https://fhir.example.org/r4``."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx

from tests.conformance.vectors import KINDS, Vector, exact_json, read_vectors
from tests.conformance.verdict import differences, is_refused

FHIR_JSON = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
NOT_KNOWN = frozenset({"not-found", "not-supported"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what differs and a table; 1 when an undisputed vector differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.run", description=__doc__)
    parser.add_argument("--base", required=True, help="FHIR base of the server")
    parser.add_argument("--token", help="bearer token")
    parser.add_argument("--kind", choices=KINDS, help="only this kind of vectors")
    parser.add_argument("--json", action="store_true", help="print one object per vector and nothing else")
    asked = parser.parse_args(arguments)
    vectors = [each for each in read_vectors() if asked.kind in (None, each.kind)]
    headers = FHIR_JSON | ({"Authorization": f"Bearer {asked.token}"} if asked.token else {})
    with httpx.Client(base_url=asked.base.rstrip("/"), headers=headers, timeout=30) as client:
        publish(client, vectors)
        results = [(vector, *judge(client, vector)) for vector in vectors]
    if asked.json:
        for vector, state, detail in results:
            print(json.dumps({"id": vector.id, "state": state, "disputed": vector.disputed, "detail": detail}))
    else:
        print_matrix(results)
    return int(any(state == "differs" and not vector.disputed for vector, state, _ in results))


def publish(client: httpx.Client, vectors: Sequence[Vector]) -> None:
    """Put the Questionnaires on the server, each once; what is there already is left alone."""
    forms = {form["url"]: form for vector in vectors if (form := vector.questionnaire) is not None}
    for url, form in forms.items():
        name = f"vectors-{url.rpartition('/')[2]}"
        answer = client.put(f"/Questionnaire/{name}", content=exact_json({**form, "id": name}))
        if answer.status_code >= 400:
            answer = client.post("/Questionnaire", content=exact_json(form))
        if answer.status_code >= 400:
            print(f"Questionnaire {url}: {answer.status_code}; its vectors may differ for that", file=sys.stderr)


def ask(client: httpx.Client, vector: Vector) -> tuple[int, list[dict[str, Any]]]:
    """Status and issues of the server's answer to one vector."""
    answer = client.post(f"/{vector.resource_type}/$validate", content=vector.body)
    try:
        outcome = answer.json()
    except ValueError:
        outcome = {}
    if outcome.get("resourceType") == "Parameters":
        parts = [part.get("resource", {}) for part in outcome.get("parameter", [])]
        outcome = next((part for part in parts if part.get("resourceType") == "OperationOutcome"), {})
    issues = list(outcome.get("issue", []))
    if vector.kind == "structure":
        issues = [issue for issue in issues if not _only_says_form_unknown(issue)]
    return answer.status_code, issues


def judge(client: httpx.Client, vector: Vector) -> tuple[str, str]:
    """("agrees", what is told otherwise), ("differs", how) or ("no answer", status)."""
    status, issues = ask(client, vector)
    if status >= 500 or status in (401, 403, 404, 405):
        return "no answer", f"status {status}"
    if is_refused(issues) == vector.valid:
        return "differs", f"{'refused' if vector.valid else 'accepted'}: {vector.sentence}"
    return "agrees", "; ".join(differences(vector, issues))


def _only_says_form_unknown(issue: dict[str, Any]) -> bool:
    where = " ".join(issue.get("expression", []) + issue.get("location", []))
    return issue.get("code") in NOT_KNOWN and ("questionnaire" in where or not where)


def print_matrix(results: Sequence[tuple[Vector, str, str]]) -> None:
    """The vectors that differ, then the counts."""
    for vector, state, detail in results:
        if state != "agrees":
            disputed = "  (disputed)" if vector.disputed else ""
            print(f"{vector.kind:12} {vector.id:45} {state}{disputed}  {detail}")
    print(f"\n{'kind':12} {'agrees':>8} {'differs':>8} {'disputed':>9} {'no answer':>10}")
    for kind in KINDS:
        counts = Counter(
            "disputed" if state == "differs" and vector.disputed else state
            for vector, state, _ in results
            if vector.kind == kind
        )
        print(f"{kind:12} " + "".join(f"{counts[name]:>9}" for name in ("agrees", "differs", "disputed", "no answer")))


if __name__ == "__main__":
    sys.exit(main())

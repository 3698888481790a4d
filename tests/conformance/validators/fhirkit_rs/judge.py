"""Judge resources with fhirkit-rs: one JSON object per line in, one out. Runs in its own environment."""

from __future__ import annotations

import json
import sys

import fhirkit


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        answer = {"id": asked["id"], "messages": judge(asked["body"])}
        sys.stdout.write(json.dumps(answer) + "\n")


def judge(body: str) -> list[str]:
    """What is wrong with one resource; empty when nothing."""
    try:
        issues = fhirkit.validate(body)
    except (fhirkit.ParseError, ValueError, TypeError) as error:
        return [f"{type(error).__name__}: {error}"[:300]]
    return [str(issue)[:300] for issue in issues if str(issue).startswith("error")]


if __name__ == "__main__":
    main()

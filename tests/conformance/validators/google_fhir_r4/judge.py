"""Judge resources with google-fhir-r4: one JSON object per line in, one out. Runs in its own environment."""

from __future__ import annotations

import json
import sys

from google.fhir.core import fhir_errors
from google.fhir.r4 import json_format
from google.fhir.r4.proto.core.resources import bundle_and_contained_resource_pb2


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        answer = {"id": asked["id"], "messages": judge(asked["body"])}
        sys.stdout.write(json.dumps(answer) + "\n")


def judge(body: str) -> list[str]:
    """What is wrong with one resource; empty when nothing."""
    try:
        json_format.json_fhir_string_to_proto(body, bundle_and_contained_resource_pb2.ContainedResource, validate=True)
    except (fhir_errors.InvalidFhirError, ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        return [f"{type(error).__name__}: {error}"[:300]]
    return []


if __name__ == "__main__":
    main()

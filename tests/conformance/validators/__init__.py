"""Independent validators, each in a locked environment of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.environments import CannotRunError, Environment

FOLDER = Path(__file__).resolve().parent
SOUND = '{"resourceType": "QuestionnaireResponse", "status": "completed"}'


@dataclass(frozen=True)
class Validator:
    """A validator of FHIR R4 that is not ours."""

    name: str
    environment: Environment

    def judge(self, bodies: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
        """For each (id, resource as JSON text): what the validator finds wrong. Raises CannotRunError."""
        asked = "".join(json.dumps({"id": name, "body": body}) + "\n" for name, body in bodies)
        answers = [json.loads(line) for line in self.environment.run(asked).splitlines()]
        return {answer["id"]: answer["messages"] for answer in answers}

    def why_not(self) -> str | None:
        """Why it cannot run on this machine; None when it can: then it was tried on a sound resource."""
        try:
            found = self.judge([("sound", SOUND)])
        except CannotRunError as error:
            return str(error)
        except RuntimeError as error:
            return f"it does not start: {str(error).splitlines()[-1][:200]}"
        return None if found == {"sound": []} else f"it refuses a sound resource: {found['sound']}"


VALIDATORS = (
    Validator("google-fhir-r4", Environment(FOLDER / "google_fhir_r4", "judge.py")),
    Validator("fhirkit-rs", Environment(FOLDER / "fhirkit_rs", "judge.py")),
    Validator("json-schema", Environment(FOLDER / "json_schema", "judge.cjs")),
    Validator("medplum", Environment(FOLDER / "medplum", "judge.mjs")),
)

"""Which validators and clients run here: ``python -m tests.conformance.validators``. Always ends with 0."""

from __future__ import annotations

from tests.conformance.clients import KIT_CLIENT
from tests.conformance.environments import CannotRunError, made
from tests.conformance.validators import VALIDATORS


def main() -> None:
    found = {validator.name: validator.why_not() for validator in VALIDATORS}
    try:
        made(KIT_CLIENT)
    except CannotRunError as error:
        found["fhir-kit-client"] = str(error)
    else:
        found["fhir-kit-client"] = None
    for name, reason in found.items():
        print(f"conformance: {name}: " + ("runs" if reason is None else f"did not run: {reason}"))


if __name__ == "__main__":
    main()

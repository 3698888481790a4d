"""Which validators run on this machine: ``python -m tests.conformance.validators``. Always ends with 0."""

from __future__ import annotations

from tests.conformance.validators import VALIDATORS


def main() -> None:
    for validator in VALIDATORS:
        reason = validator.why_not()
        print(f"conformance: {validator.name}: " + ("runs" if reason is None else f"did not run: {reason}"))


if __name__ == "__main__":
    main()

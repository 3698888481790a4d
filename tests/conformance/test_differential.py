"""Our gate against independent validators: where they differ, we know why."""

from __future__ import annotations

import pytest

from tests.conformance.corpus import Case, read_cases
from tests.conformance.validators import VALIDATORS, Validator
from tests.conformance.validators.known import known_differences

pytestmark = pytest.mark.timeout(900)
"""Making an environment for the first time fetches packages."""


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return read_cases()


def runs(validator: Validator) -> None:
    """Skip, saying why, when the validator cannot run on this machine."""
    reason = validator.why_not()
    if reason is not None:
        pytest.skip(f"{validator.name} did not run: {reason}")


@pytest.mark.parametrize("validator", VALIDATORS, ids=lambda validator: validator.name)
def test_gate_and_validator_differ_only_where_it_is_known(validator: Validator, cases: list[Case]) -> None:
    runs(validator)
    known = known_differences(validator.name)
    messages = validator.judge([(case.name, case.body) for case in cases])
    assert set(messages) == {case.name for case in cases}

    too_strict = {case.name: messages[case.name] for case in cases if not case.reasons and messages[case.name]}
    passed_over = [case for case in cases if case.reasons and not messages[case.name]]

    assert {name: texts for name, texts in too_strict.items() if name not in known.refused} == {}
    assert [case.name for case in passed_over if not known.explains(case.reasons)] == []
    assert known.refused <= set(too_strict), "listed, and no longer refused"
    assert known.accepted <= {reason for case in passed_over for reason in case.reasons}, (
        "listed, and no longer accepted"
    )


def test_every_case_has_a_name_of_its_own(cases: list[Case]) -> None:
    assert len({case.name for case in cases}) == len(cases)

"""Limits: one client does not crowd out the others, and answers of patients are the last to be refused."""

from __future__ import annotations

from uuid import uuid4

import pytest

from shared.access.limits import BURST_S, Limits, may_bring_answers
from shared.ids import DEFAULT_TENANT
from shared.principal import Principal

READ = ("GET", "/fhir/Task")
SEND = ("POST", "/fhir/QuestionnaireResponse")
EHR, LAB = Principal("ehr", DEFAULT_TENANT), Principal("lab", DEFAULT_TENANT)


class Clock:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def limits(clock: Clock | None = None, *, client: float = 1, tenant: float = 100, answers: float = 100) -> Limits:
    return Limits(client, tenant, answers, clock or Clock())


def passed(limit: Limits, who: Principal, request: tuple[str, str], number: int) -> int:
    return sum(limit.wait_s(who, *request) == 0 for _ in range(number))


def test_a_client_may_send_a_burst_and_is_then_asked_to_wait() -> None:
    clock = Clock()
    limit = limits(clock)

    assert passed(limit, EHR, READ, 50) == BURST_S
    assert limit.wait_s(EHR, *READ) == pytest.approx(1.0)
    clock.now += 1.0
    assert limit.wait_s(EHR, *READ) == 0


def test_one_client_does_not_use_up_what_another_may_send() -> None:
    limit = limits()
    passed(limit, EHR, READ, 50)

    assert limit.wait_s(LAB, *READ) == 0


def test_all_clients_of_a_tenant_together_have_a_limit_and_other_tenants_their_own() -> None:
    limit = limits(client=1000, tenant=1)
    passed(limit, EHR, READ, 50)

    assert limit.wait_s(LAB, *READ) > 0
    assert limit.wait_s(Principal("other", uuid4()), *READ) == 0


def test_answers_pass_however_many_a_client_has_sent() -> None:
    limit = limits()
    passed(limit, EHR, READ, 50)

    assert passed(limit, EHR, SEND, 500) == 500


def test_above_the_hard_limit_answers_are_turned_away_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    limit = limits(answers=1)

    assert passed(limit, EHR, SEND, 50) == BURST_S
    assert limit.refused == {"client": 0, "tenant": 0, "answers": 40}
    assert "turned away" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/fhir/QuestionnaireResponse", True),
        ("PUT", "/fhir/QuestionnaireResponse/a", True),
        ("POST", "/fhir/Questionnaire/a/$process-response", True),
        ("POST", "/fhir", True),
        ("POST", "/fhir/", True),
        ("GET", "/fhir/QuestionnaireResponse", False),
        ("POST", "/fhir/QuestionnaireResponse/_search", False),
        ("POST", "/fhir/QuestionnaireResponse/$validate", False),
        ("PUT", "/fhir/Task/a", False),
    ],
)
def test_what_may_bring_answers(method: str, path: str, expected: bool) -> None:
    assert may_bring_answers(method, path) is expected

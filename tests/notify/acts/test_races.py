"""At the same instant: whoever comes first, nobody is told after an acknowledgement, and none is lost."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.acts.hand_over import hand_over
from services.notify.acts.snooze import snooze
from services.notify.escalate import repeat_due
from services.notify.records import Alert
from shared import postgres
from shared.events import Ref
from shared.ids import DEFAULT_TENANT
from shared.postgres import unavailable
from shared.problems import ProblemError
from tests.conftest import Database
from tests.notify.acts.test_links import FROM_THE_PAGE, link_in
from tests.notify.conftest import Service
from tests.notify.neighbours import MailServer, Receiver, Triage, an_assessment
from tests.notify.on_call.clinic import STANDARD, Clinic
from tests.waiting import eventually

ROUNDS = 10
PLAIN: dict[str, Any] = {"timeout": 20, "trust_env": False}


def at_once(*does: Callable[[], Any]) -> list[Any]:
    """Let all of them begin at the same instant, each in its thread; what each gave or raised, in their order."""
    gate = threading.Barrier(len(does))
    came: list[Any] = [None] * len(does)

    def run(number: int, do: Callable[[], Any]) -> None:
        gate.wait()
        try:
            came[number] = do()
        except Exception as error:
            came[number] = error

    threads = [threading.Thread(target=run, args=(number, do)) for number, do in enumerate(does)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return came


def by(name: str) -> Actor:
    return Actor(name, None, "page")


@pytest.mark.requirement("REQ-09", "REQ-14")
def test_acknowledging_as_a_step_fires_leaves_an_acknowledged_alert_and_no_step_after_it(
    service: Service, triage: Triage
) -> None:
    notify = service.notify
    for round_ in range(ROUNDS):
        service.hears(triage.publish(an_assessment(patient=f"Patient/{round_}")))
        [alert] = service.rows("SELECT id FROM alert ORDER BY opened_at DESC, id DESC LIMIT 1")
        service.rows("UPDATE alert SET due_at = now() - interval '1 second' WHERE id = %s", alert["id"])

        known, _ = at_once(
            partial(acknowledge, notify.pool, DEFAULT_TENANT, alert["id"], by=by("Dr Osei")),
            partial(repeat_due, notify.pool, notify.plan),
        )

        assert known.new is True
        [after] = service.rows("SELECT state, due_at, step FROM alert WHERE id = %s", alert["id"])
        assert (after["state"], after["due_at"]) == ("accepted", None)
        kinds = service.rows("SELECT kind FROM alert_event WHERE alert_id = %s ORDER BY id", alert["id"])
        assert [row["kind"] for row in kinds if row["kind"] != "opened"] in (
            ["acknowledged"],
            ["repeated", "acknowledged"],
        )
        assert repeat_due(notify.pool, notify.plan) == 0


@pytest.mark.requirement("REQ-09", "REQ-14")
def test_no_message_leaves_after_the_acknowledgement_is_committed(
    service: Service, triage: Triage, receiver: Receiver
) -> None:
    notify = service.notify
    for round_ in range(ROUNDS):
        service.hears(triage.publish(an_assessment(patient=f"Patient/{round_}")))
        [alert] = service.rows("SELECT id FROM alert ORDER BY opened_at DESC, id DESC LIMIT 1")
        at_once(partial(acknowledge, notify.pool, DEFAULT_TENANT, alert["id"], by=by("Dr Osei")), service.sends)

        sent = len(receiver.requests)
        service.everything_due()
        service.sends()
        service.rows("UPDATE alert SET due_at = due_at - interval '1 hour' WHERE due_at IS NOT NULL")
        repeat_due(notify.pool, notify.plan)
        service.sends()

        assert len(receiver.requests) == sent
        states = service.rows("SELECT state FROM delivery WHERE alert_id = %s", alert["id"])
        assert {row["state"] for row in states} <= {"sent", "withdrawn"}
        [task] = service.resources("Task", str(alert["id"]))
        assert task["status"] == "accepted"


@pytest.mark.requirement("REQ-14")
def test_page_and_link_at_once_make_one_acknowledgement(
    service: Service, told: UUID, mail: MailServer, client: httpx.Client
) -> None:
    link = link_in(mail)
    seen = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', client.get(link).text))
    form = {"name": "Dr Link", **seen}
    url = str(client.base_url)

    def pressed(path: str, **fields: str) -> int:
        return httpx.post(
            url + path, data=form | fields, headers=FROM_THE_PAGE, timeout=20, trust_env=False
        ).status_code

    came = at_once(
        lambda: pressed(link),
        lambda: pressed(link),
        lambda: acknowledge(service.notify.pool, DEFAULT_TENANT, told, by=by("Dr Page")),
    )

    assert came[:2] == [303, 303]
    assert service.events().count("acknowledged") == 1
    [line] = service.rows("SELECT person FROM alert_event WHERE kind = 'acknowledged'")
    assert service.alert()["acknowledged_by"] == line["person"]
    assert came[2].new is (line["person"] == "Dr Page")
    used = service.rows("SELECT 1 FROM ack_link WHERE used_at IS NOT NULL")
    assert len(used) == (line["person"] == "Dr Link")


@pytest.mark.requirement("REQ-14")
def test_an_ehr_acknowledges_while_the_first_message_is_recorded(
    service: Service, triage: Triage, client: httpx.Client
) -> None:
    url = str(client.base_url)
    for round_ in range(ROUNDS):
        service.hears(triage.publish(an_assessment(patient=f"Patient/{round_}")))
        [alert] = service.rows("SELECT id FROM alert ORDER BY opened_at DESC, id DESC LIMIT 1")
        read = client.get(f"/fhir/Task/{alert['id']}")
        body = read.json() | {"status": "accepted", "owner": {"display": "Dr Ehr"}}
        headers = {"Content-Type": "application/fhir+json", "If-Match": read.headers["ETag"]}

        answer, _ = at_once(
            partial(httpx.put, f"{url}/fhir/Task/{alert['id']}", json=body, headers=headers, **PLAIN),
            service.sends,
        )

        assert answer.status_code == 200
        [after] = service.rows("SELECT state, acknowledged_by FROM alert WHERE id = %s", alert["id"])
        assert after == {"state": "accepted", "acknowledged_by": "Dr Ehr"}
        assert service.task(alert["id"])["status"] == "accepted"


@pytest.mark.requirement("REQ-09", "REQ-14")
def test_the_end_of_a_snooze_and_a_further_assessment_at_once_begin_the_alert_anew_and_lose_nothing(
    service: Service, triage: Triage
) -> None:
    notify = service.notify
    for round_ in range(ROUNDS):
        patient = f"Patient/{round_}"
        service.hears(triage.publish(an_assessment("same_day", patient=patient)))
        [alert] = service.rows("SELECT id FROM alert ORDER BY opened_at DESC, id DESC LIMIT 1")
        snooze(notify.pool, DEFAULT_TENANT, alert["id"], by=by("Dr Osei"), minutes=5)
        service.rows("UPDATE alert SET due_at = now() - interval '1 second' WHERE id = %s", alert["id"])
        further = triage.publish(an_assessment("same_day", patient=patient, response_id=f"qr-{uuid4()}"))

        at_once(partial(repeat_due, notify.pool, notify.plan), partial(service.hears, further))

        [after] = service.rows("SELECT state, snoozed_until, due_at FROM alert WHERE id = %s", alert["id"])
        assert (after["state"], after["snoozed_until"]) == ("requested", None)
        assert after["due_at"] is not None
        kinds = service.rows("SELECT kind FROM alert_event WHERE alert_id = %s ORDER BY id", alert["id"])
        assert [row["kind"] for row in kinds] in (
            ["opened", "snoozed", "woken"],
            ["opened", "snoozed", "woken", "joined"],
        )
        held = service.rows("SELECT 1 FROM alert_assessment WHERE alert_id = %s", alert["id"])
        assert len(held) == 2


@pytest.mark.requirement("REQ-09")
def test_opening_an_alert_again_as_a_new_one_of_the_patient_opens_leaves_one_open(
    service: Service, triage: Triage
) -> None:
    notify = service.notify
    for round_ in range(ROUNDS):
        patient = f"Patient/{round_}"
        service.hears(triage.publish(an_assessment(patient=patient)))
        [alert] = service.rows("SELECT id FROM alert ORDER BY opened_at DESC, id DESC LIMIT 1")
        acknowledge(notify.pool, DEFAULT_TENANT, alert["id"], by=by("Dr Osei"))
        further = triage.publish(an_assessment(patient=patient, response_id=f"qr-{uuid4()}"))

        snoozed, _ = at_once(
            partial(snooze, notify.pool, DEFAULT_TENANT, alert["id"], by=by("Dr Osei"), minutes=5),
            partial(service.hears, further),
        )
        service.works()

        states = service.rows(
            "SELECT id, state FROM alert WHERE subject_key LIKE %s ORDER BY opened_at, id", f"%{patient}"
        )
        waiting = [row for row in states if row["state"] in ("requested", "received", "on-hold")]
        assert len(waiting) == 1, states
        if isinstance(snoozed, Exception):
            assert isinstance(snoozed, ProblemError) or unavailable(snoozed)
            assert waiting[0]["id"] != alert["id"]
        held = service.rows("SELECT 1 FROM alert_assessment WHERE alert_id = %s", waiting[0]["id"])
        assert held


@dataclass
class Meeting:
    """An acknowledged alert of a patient, handed over at the moment at which a new one of the same patient is opened.

    The test keeps what both must count, how often somebody was told, until both wait.
    """

    service: Service
    further: Ref
    alert_id: UUID
    keeper: psycopg.Connection[Any]

    def waiting(self) -> int:
        """How many transactions wait for another."""
        [row] = self.service.rows("SELECT count(DISTINCT pid) AS number FROM pg_locks WHERE NOT granted")
        return int(row["number"])

    def both(self, first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, Any]:
        """Let both come as far as they can, one after the other, then let go."""
        with ThreadPoolExecutor(2) as threads:
            came = []
            for number, do in enumerate((first, second), start=1):
                came.append(threads.submit(do))
                eventually(lambda number=number: self.waiting() == number, within_s=30)  # type: ignore[misc]
            self.keeper.rollback()
            one, other = (each.exception(30) or each.result() for each in came)
        return one, other

    def hears(self) -> None:
        self.service.hears(self.further)

    def hands_over(self) -> Alert:
        notify = self.service.notify
        return hand_over(notify.pool, notify.plan, DEFAULT_TENANT, self.alert_id, by=by("Dr Second"), to="first")


@pytest.fixture
def without_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database itself ends no wait before a minute is over: whoever waits does so until the test goes on."""
    limited = postgres.limited_conninfo

    def unlimited(url: str, *, schema: str, name: str) -> str:
        given = conninfo_to_dict(limited(url, schema=schema, name=name))
        return make_conninfo(**{**given, "options": f"{given['options']} -c lock_timeout=60s -c statement_timeout=60s"})

    monkeypatch.setattr(postgres, "limited_conninfo", unlimited)


@pytest.fixture
def meeting(without_limits: None, clinic: Clinic, triage: Triage, database: Database) -> Iterator[Meeting]:
    service = clinic.service
    clinic.agrees_on(STANDARD)
    service.hears(triage.publish(an_assessment("same_day")))
    [alert] = service.rows("SELECT id FROM alert")
    acknowledge(service.notify.pool, DEFAULT_TENANT, alert["id"], by=by("Dr Second"))
    further = triage.publish(an_assessment("same_day", response_id="qr-2"))
    with psycopg.connect(database.owner_url) as keeper:
        key = f"budget/{DEFAULT_TENANT}/first"
        keeper.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])
        yield Meeting(service, further, alert["id"], keeper)


@pytest.mark.requirement("REQ-09", "REQ-14")
def test_a_new_alert_comes_before_a_hand_over_of_the_same_patient_and_neither_is_undone(
    meeting: Meeting, caplog: pytest.LogCaptureFixture
) -> None:
    heard, handed = meeting.both(meeting.hears, meeting.hands_over)

    assert heard is None
    assert isinstance(handed, ProblemError)
    assert handed.problems[0].code == "alert-episode"
    assert "assessments not handled at once" not in caplog.messages
    states = meeting.service.rows("SELECT state FROM alert ORDER BY opened_at")
    assert [row["state"] for row in states] == ["accepted", "requested"]


@pytest.mark.requirement("REQ-09", "REQ-14")
def test_a_hand_over_comes_before_a_new_assessment_of_the_same_patient_which_joins_it(
    meeting: Meeting, caplog: pytest.LogCaptureFixture
) -> None:
    handed, heard = meeting.both(meeting.hands_over, meeting.hears)

    assert isinstance(handed, Alert)
    assert heard is None
    assert "assessments not handled at once" not in caplog.messages
    assert [row["id"] for row in meeting.service.rows("SELECT id FROM alert")] == [meeting.alert_id]
    assert len(meeting.service.rows("SELECT 1 FROM alert_assessment")) == 2


@pytest.mark.requirement("REQ-14")
def test_an_act_for_another_tenant_finds_nothing(service: Service, told: UUID) -> None:
    for act in (
        lambda: acknowledge(service.notify.pool, uuid4(), told, by=by("Dr Elsewhere")),
        lambda: snooze(service.notify.pool, uuid4(), told, by=by("Dr Elsewhere"), minutes=5),
    ):
        with pytest.raises(ProblemError) as error:
            act()
        assert error.value.http_status == 404
    assert service.alert()["state"] == "received"

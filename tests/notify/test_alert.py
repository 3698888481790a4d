"""The alert's state machine and its plan: pure, as tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest

from services.notify.alert import (
    BY_PERSON,
    LEADS_TO,
    Arrival,
    Effect,
    OpenAlert,
    Seen,
    State,
    after_delivery,
    after_withdrawal,
    effect_of,
)
from services.notify.escalation import JOB_KINDS, Plan, Recipient, gives_up, job_kind, retry_delay

THIS, OTHER = UUID(int=41), UUID(int=97)
EMERGENCY, SAME_DAY, ROUTINE = 0, 1, 3
NOW = datetime(2026, 11, 22, 3, 17, tzinfo=UTC)


def heard(version: int, rank: int) -> Arrival:
    return Arrival(version, rank, alerts=rank <= SAME_DAY)


def withdrawn(version: int) -> Arrival:
    return Arrival(version, EMERGENCY, alerts=False, withdrawn=True)


@pytest.mark.parametrize(
    ("arrival", "seen", "open_alert", "effect"),
    [
        pytest.param(heard(1, EMERGENCY), [], None, Effect.OPEN, id="a first emergency opens an alert"),
        pytest.param(heard(1, ROUTINE), [], None, Effect.NOTHING, id="a routine assessment alerts nobody"),
        pytest.param(heard(1, SAME_DAY), [], OpenAlert(OTHER, EMERGENCY), Effect.JOIN, id="a milder one joins"),
        pytest.param(heard(1, SAME_DAY), [], OpenAlert(OTHER, SAME_DAY), Effect.JOIN, id="an equal one joins"),
        pytest.param(heard(1, EMERGENCY), [], OpenAlert(OTHER, SAME_DAY), Effect.RAISE, id="a worse one raises"),
        pytest.param(
            heard(1, EMERGENCY),
            [Seen(1, EMERGENCY, THIS)],
            OpenAlert(THIS, EMERGENCY),
            Effect.NOTHING,
            id="the same version again changes nothing while open",
        ),
        pytest.param(
            heard(1, EMERGENCY),
            [Seen(1, EMERGENCY, THIS)],
            None,
            Effect.NOTHING,
            id="the same version again changes nothing once acknowledged",
        ),
        pytest.param(
            heard(2, EMERGENCY),
            [Seen(1, EMERGENCY, THIS)],
            None,
            Effect.OPEN,
            id="a new version after the acknowledgement opens a new alert",
        ),
        pytest.param(
            heard(2, ROUTINE),
            [Seen(1, EMERGENCY, THIS)],
            OpenAlert(THIS, EMERGENCY),
            Effect.CHANGE,
            id="a new version that is no longer urgent is noted and told",
        ),
        pytest.param(
            heard(2, ROUTINE),
            [Seen(1, EMERGENCY, THIS)],
            None,
            Effect.CHANGE,
            id="that holds once it was acknowledged too",
        ),
        pytest.param(
            heard(2, SAME_DAY),
            [Seen(1, EMERGENCY, THIS)],
            OpenAlert(THIS, EMERGENCY),
            Effect.CHANGE,
            id="a new version that is urgent but less so is noted and told",
        ),
        pytest.param(
            heard(3, EMERGENCY),
            [Seen(1, EMERGENCY, THIS), Seen(2, SAME_DAY, THIS)],
            OpenAlert(THIS, EMERGENCY),
            Effect.RAISE,
            id="one that was told as less urgent and is an emergency again is told again",
        ),
        pytest.param(
            heard(2, SAME_DAY),
            [Seen(1, EMERGENCY, THIS)],
            OpenAlert(OTHER, EMERGENCY),
            Effect.JOIN,
            id="where another alert is open by now, it joins that one",
        ),
        pytest.param(
            withdrawn(2),
            [Seen(1, EMERGENCY, THIS)],
            OpenAlert(THIS, EMERGENCY),
            Effect.WITHDRAW,
            id="entered in error: withdrawn",
        ),
        pytest.param(
            heard(1, SAME_DAY),
            [],
            OpenAlert(OTHER, EMERGENCY, snoozed=True),
            Effect.WAKE,
            id="a snoozed alert is woken",
        ),
        pytest.param(
            heard(1, EMERGENCY), [], OpenAlert(OTHER, SAME_DAY, snoozed=True), Effect.RAISE, id="a worse one raises it"
        ),
        pytest.param(withdrawn(2), [Seen(1, EMERGENCY, THIS)], None, Effect.WITHDRAW, id="acknowledged or not"),
        pytest.param(withdrawn(2), [], None, Effect.NOTHING, id="what was never alerted is not withdrawn"),
        pytest.param(
            withdrawn(1), [Seen(2, EMERGENCY, THIS)], None, Effect.NOTHING, id="an old withdrawal changes nothing"
        ),
        pytest.param(
            heard(1, EMERGENCY),
            [Seen(2, EMERGENCY, THIS)],
            None,
            Effect.NOTHING,
            id="an old version after an equally urgent new one was acknowledged changes nothing",
        ),
        pytest.param(
            heard(1, EMERGENCY),
            [Seen(2, SAME_DAY, THIS)],
            OpenAlert(THIS, SAME_DAY),
            Effect.RAISE,
            id="an old version that is worse than the new one still raises",
        ),
    ],
)
def test_effect_of_an_assessment(
    arrival: Arrival, seen: list[Seen], open_alert: OpenAlert | None, effect: Effect
) -> None:
    assert effect_of(arrival, seen=seen, open_alert=open_alert) is effect


@pytest.mark.requirement("REQ-09", "SR-18")
def test_whatever_the_order_of_versions_the_open_alert_is_as_urgent_as_the_worst() -> None:
    arrivals = [heard(1, SAME_DAY), heard(2, EMERGENCY), heard(3, ROUTINE)]

    for order in permutations([*arrivals, *arrivals]):
        seen: list[Seen] = []
        rank: int | None = None
        for arrival in order:
            effect = effect_of(arrival, seen=seen, open_alert=None if rank is None else OpenAlert(THIS, rank))
            if effect is not Effect.NOTHING:
                seen.append(Seen(arrival.version, arrival.rank, THIS))
            if effect in (Effect.OPEN, Effect.RAISE):
                rank = arrival.rank
        assert rank == EMERGENCY


@pytest.mark.requirement("REQ-09")
def test_an_alert_cannot_be_closed_by_anybody_who_has_not_acknowledged_it() -> None:
    for state in State:
        if state.is_open:
            assert not any(end.is_closed for act in BY_PERSON[state] for end in LEADS_TO[act])


def test_a_closed_alert_stays_closed() -> None:
    closed = {state for state in State if state.is_closed}

    assert closed == {State.COMPLETED, State.CANCELLED, State.REJECTED}


@pytest.mark.requirement("REQ-32")
def test_a_withdrawal_cancels_what_nothing_else_stands_behind_and_reopens_nothing() -> None:
    for state in State:
        assert after_withdrawal(state, others_stand=True) is state
        assert after_withdrawal(state, others_stand=False) is (state if state.is_closed else State.CANCELLED)


@pytest.mark.requirement("REQ-32")
def test_a_version_older_than_the_withdrawal_alerts_nobody_however_late_it_comes() -> None:
    assert effect_of(heard(1, EMERGENCY), seen=[], open_alert=None, withdrawn_version=2) is Effect.NOTHING
    assert effect_of(heard(3, EMERGENCY), seen=[], open_alert=None, withdrawn_version=2) is Effect.OPEN


def test_only_the_first_delivery_changes_the_state() -> None:
    assert after_delivery(State.REQUESTED) is State.RECEIVED
    assert all(after_delivery(state) is state for state in State if state is not State.REQUESTED)


def test_pauses_between_attempts_grow_to_five_minutes_and_stay_there() -> None:
    seconds = [retry_delay(attempts).total_seconds() for attempts in (1, 2, 3, 4, 5, 6, 600)]

    assert seconds == [5, 15, 45, 135, 300, 300, 300]


@pytest.mark.requirement("REQ-11")
def test_an_emergency_is_never_given_up_and_a_same_day_message_after_a_day() -> None:
    old = NOW - timedelta(hours=24)

    assert not gives_up("emergency", created_at=NOW - timedelta(days=400), now=NOW)
    assert gives_up("same_day", created_at=old, now=NOW)
    assert not gives_up("same_day", created_at=old + timedelta(seconds=1), now=NOW)


@pytest.mark.requirement("REQ-10")
def test_every_channel_and_urgency_is_a_lane_and_every_recipient_has_a_queue_in_it() -> None:
    told = [(channel, f"{name}@example.org") for channel in ("email", "webhook") for name in ("a", "b")]
    kinds = [job_kind(channel, urgency, to) for channel, to in told for urgency in ("emergency", "same_day")]

    assert len(set(kinds)) == 8
    assert {kind.partition("/")[0] for kind in kinds} <= set(JOB_KINDS)
    assert not any("example.org" in kind for kind in kinds)


def test_an_emergency_without_a_policy_is_told_again_after_five_minutes_and_the_rest_after_an_hour() -> None:
    plan = Plan((Recipient("email", "a@example.org"),), timedelta(minutes=5), timedelta(hours=1))

    assert plan.pause("emergency") == timedelta(minutes=5)
    assert plan.pause("same_day") == timedelta(hours=1)

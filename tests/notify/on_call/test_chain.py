"""The chain never ends silently, whatever policy, rota and moment: every turn tells somebody, and another follows."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.escalation import EMERGENCY, SAME_DAY, Chain, Place, Recipient
from services.notify.on_call.document import (
    Contact,
    DatedSlot,
    Document,
    Kind,
    Person,
    Policy,
    PolicyStep,
    QuietHours,
    Rota,
    Target,
    Window,
)
from services.notify.on_call.turn import Route, recipients, turn_at

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SITE = Recipient("email", "site@clinic.example")
REPEATABLE = settings(derandomize=True, database=None, deadline=None, max_examples=300)
IDS = ("ada", "ben", "cyd")
WEEK = frozenset(range(7))


def a_person(name: str) -> st.SearchStrategy[Person]:
    return st.builds(
        lambda channels, quiet: Person(
            name,
            name,
            tuple(Contact(channel, f"{name}@{channel}") for channel in channels),
            (QuietHours(Window(WEEK, time(quiet), time((quiet + 8) % 24))),) if quiet is not None else (),
            "Europe/London",
        ),
        st.sampled_from((("email",), ("email", "push"), ("push",), ())),
        st.none() | st.sampled_from((6, 10, 12, 20)),
    )


targets = st.builds(
    Target,
    st.sampled_from((Kind.PERSON, Kind.PERSON, Kind.ROTA, Kind.TEAM)),
    st.sampled_from((*IDS, *IDS, "doctors", "nobody")),
)
steps = st.builds(
    PolicyStep,
    st.sampled_from((timedelta(0), 5 * MINUTE, 10 * MINUTE)),
    st.lists(targets, min_size=1, max_size=4).map(tuple),
    st.lists(st.sampled_from(("email", "push")), max_size=1).map(tuple),
)
chains = st.tuples(steps, steps, steps) | st.tuples(steps) | st.just(())
policies = st.builds(
    lambda emergency, same_day, repeat: Policy("p", "p", emergency, same_day, repeat, 10 * MINUTE, 60 * MINUTE),
    chains,
    chains,
    st.integers(0, 3),
)
rotas = st.builds(
    lambda shifts: Rota(
        "doctors",
        "Doctors",
        "Europe/London",
        (),
        tuple(
            DatedSlot(NOW + start * MINUTE, NOW + (start + length) * MINUTE, (person,))
            for start, length, person in shifts
        ),
        (),
    ),
    st.lists(st.tuples(st.integers(-200, 200), st.integers(1, 300), st.sampled_from(IDS)), max_size=3),
)
documents = st.builds(
    lambda known, rota, fallback: Document(1, "Europe/London", known, (), (rota,), (), fallback),
    st.tuples(*map(a_person, IDS)),
    rotas,
    st.lists(targets, max_size=2).map(tuple),
)


@pytest.mark.requirement("REQ-09", "SR-16")
@REPEATABLE
@given(
    document=documents, newest=st.none() | documents, policy=policies, urgency=st.sampled_from((EMERGENCY, SAME_DAY))
)
@pytest.mark.requirement("REQ-33")
def test_an_alert_that_nobody_acknowledges_is_told_for_ever_whatever_the_document_says(
    document: Document, newest: Document | None, policy: Policy, urgency: str
) -> None:
    route = Route(policy, document, newest or document, urgency, (SITE,), 5 * MINUTE)
    place, at = Place(), NOW
    for _ in range(40):
        turn = turn_at(route, place, at)

        assert turn.told
        assert all(held.recipient not in turn.told and held.until > at for held in turn.held)
        assert urgency == SAME_DAY or not turn.held
        for passed in (one for one in turn.unheard if one.position < len(route.steps)):
            step = route.steps[passed.position]
            assert recipients(route, step.tell, step.channels, at) == ()
        if not turn.exhausted:
            step = route.steps[turn.place.position]
            everybody = set(recipients(route, step.tell, step.channels, at))
            assert everybody == {*turn.told, *(held.recipient for held in turn.held)}
        assert timedelta(0) <= turn.pause <= timedelta(hours=1)
        place, at = route.chain.following(turn.place), at + turn.pause
    assert turn.exhausted
    assert SITE in turn.told


@REPEATABLE
@given(pauses=st.lists(st.sampled_from((5 * MINUTE, 10 * MINUTE)), max_size=5).map(tuple), rounds=st.integers(1, 4))
def test_a_chain_passes_every_step_in_every_round_and_then_stays_with_the_fallback(
    pauses: tuple[timedelta, ...], rounds: int
) -> None:
    chain = Chain(pauses, 10 * MINUTE, 5 * MINUTE, rounds)
    place, seen = Place(), []
    for _ in range(len(pauses) * rounds + 3):
        seen.append((place.position, place.round))
        place = chain.following(place)

    full = [(position, number) for number in range(1, rounds + 1) for position in range(len(pauses))]
    end = (len(pauses), rounds if pauses else 1)
    assert seen == [*full, end, *[(end[0] + 1, end[1])] * 2]

"""A policy with a gap is refused when it is saved: each kind of gap, alone, in the example."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from services.notify.on_call.check import find_flaws, gap_hours
from services.notify.on_call.read import read_document
from tests.notify.on_call.test_document import EXAMPLE

NOW = datetime(2026, 11, 29, 16, tzinfo=UTC)


def found_in(text: str, at: datetime = NOW) -> dict[str, str]:
    return {flaw.where: str(flaw) for flaw in find_flaws(read_document(text), at)}


@pytest.mark.parametrize("at", [NOW, datetime.now(UTC)])
def test_the_example_has_no_gap(at: datetime) -> None:
    assert found_in(EXAMPLE, at) == {}


@pytest.mark.requirement("REQ-09", "SR-16")
@pytest.mark.parametrize(
    ("instead_of", "written", "where", "said"),
    [
        ('to = "20:00"', 'to = "19:59"', "rotas.first", "Mon 2026-11-30 19:59 to 20:00"),
        ('days = ["sat", "sun"]', 'days = ["sat"]', "rotas.first", "Sun 2026-11-29 16:00 to Mon 2026-11-30 08:00"),
        ("after_minutes = 0", "after_minutes = 1", "policies.standard.emergency[1].after_minutes", "told at once"),
        ("after_minutes = 5", "after_minutes = 6", "policies.standard.emergency[2].after_minutes", "1 to 5 minutes"),
        ("after_minutes = 5", "after_minutes = 0", "policies.standard.emergency[2].after_minutes", "1 to 5 minutes"),
        ("after_minutes = 10", "after_minutes = 11", "policies.standard.emergency[3].after_minutes", "1 to 10 minutes"),
        ("after_minutes = 60", "after_minutes = 61", "policies.standard.same_day[2].after_minutes", "1 to 60 minutes"),
        (
            "repeat = 2",
            "emergency_again_after_minutes = 11",
            "policies.standard.emergency_again_after_minutes",
            "1 to 10 minutes",
        ),
        (
            'tell = ["rota:first", "team:vascular"]\nchannels = ["email"]',
            'tell = ["rota:first", "team:vascular"]\nchannels = ["push"]',
            "policies.standard.emergency[2]",
            "who has no contact on push",
        ),
        (
            'tell = ["rota:first", "person:moreau"]',
            'tell = ["person:moreau"]',
            "policies.standard.same_day[1]",
            "only people in quiet hours (Luc Moreau, vascular nurse on Sun 2026-11-29 21:00)",
        ),
        ("[[policies.standard.same_day]]", "[[policies.standard.emergency]]", "policies.standard.same_day", "no step"),
    ],
)
@pytest.mark.requirement("REQ-33")
def test_a_policy_with_a_gap_is_refused(instead_of: str, written: str, where: str, said: str) -> None:
    assert instead_of in EXAMPLE
    every = instead_of.startswith("[[")

    found = found_in(EXAMPLE.replace(instead_of, written, -1 if every else 1))

    assert where in found
    assert said in found[where]


def test_a_policy_of_one_step_comes_again_after_five_minutes_at_the_latest() -> None:
    start = EXAMPLE.index("[[policies.standard.emergency]]\nafter_minutes = 5")
    one_step = EXAMPLE[:start] + EXAMPLE[EXAMPLE.index("[[policies.standard.same_day]]") :]

    assert "1 to 5 minutes" in found_in(one_step)["policies.standard.emergency_again_after_minutes"]
    assert found_in(one_step.replace("repeat = 2", "repeat = 2\nemergency_again_after_minutes = 5")) == {}


def test_somebody_whom_no_channel_of_this_site_reaches_is_named() -> None:
    document = read_document(EXAMPLE)

    assert find_flaws(document, NOW, ways={"email"}) == []
    assert "can be reached by email only" in str(find_flaws(document, NOW, ways={"push"})[0])


def test_somebody_who_is_told_by_push_only_and_registered_no_device_is_named() -> None:
    contacts = re.compile(r"(\[people\.osei\]\n(?:.*\n)*?contacts = )\[[^\]]*\]")
    by_push, number = contacts.subn(r'\1[{ channel = "push", address = "osei" }]', EXAMPLE, count=1)
    document = read_document(by_push)

    assert number == 1
    said = "who is told by push only and registered no device"
    assert any(said in str(flaw) for flaw in find_flaws(document, NOW, devices=set()))
    assert not any(said in str(flaw) for flaw in find_flaws(document, NOW, devices={"osei"}))
    assert find_flaws(read_document(EXAMPLE), NOW, devices=set()) == []


@pytest.mark.requirement("REQ-09")
def test_a_rota_that_ends_within_thirty_days_is_seen_before_it_does() -> None:
    start = EXAMPLE.index("[[rotas.first.slots]]")
    end = EXAMPLE.index("[[rotas.first.overrides]]")
    dated = '[[rotas.first.dated]]\nfrom = "2026-11-01 08:00"\nto = "2027-01-04 08:00"\npeople = ["osei"]\n\n'
    ends = EXAMPLE[:start] + dated + EXAMPLE[end:]
    last_day = datetime(2027, 1, 4, 8, tzinfo=UTC)

    assert found_in(ends, last_day - timedelta(days=30)) == {}
    found = found_in(ends, last_day - timedelta(days=30) + timedelta(minutes=1))
    assert "Mon 2027-01-04 08:00 to 08:01" in found["rotas.first"]
    hours, first = gap_hours(read_document(ends), last_day - timedelta(days=29))
    assert (hours, first) == (24, last_day)

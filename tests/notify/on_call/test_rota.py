"""Who is on call when: over midnight, over the nights on which clocks change, with overrides, in any time zone."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.on_call.document import DatedSlot, Document, Override, Person, Rota, Slot, Window
from services.notify.on_call.rota import gaps, on_call, people_on_call

REPEATABLE = settings(derandomize=True, database=None, deadline=None)
IDS = ("ada", "ben", "cyd")
WEEK = frozenset(range(7))
LONDON, LORD_HOWE = "Europe/London", "Australia/Lord_Howe"
ZONES = (LONDON, "America/New_York", "Asia/Kathmandu", LORD_HOWE, "Pacific/Apia", "UTC", "America/Santiago")
CHANGES = {
    LONDON: ("2026-03-29", "2026-10-25"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    LORD_HOWE: ("2026-10-04", "2026-04-05"),
}


def weekly(*shifts: tuple[str, str, str], days: frozenset[int] = WEEK) -> tuple[Slot, ...]:
    """Slots of (from, to, person)."""
    return tuple(
        Slot(Window(days, time.fromisoformat(start), time.fromisoformat(end)), (person,))
        for start, end, person in shifts
    )


def a_rota(
    *slots: Slot, zone: str = LONDON, dated: tuple[DatedSlot, ...] = (), overrides: tuple[Override, ...] = ()
) -> Rota:
    return Rota("doctors", "Doctors", zone, slots, dated, overrides)


def who(rota: Rota, at: str) -> list[str]:
    """Who is on call at this time on the clock of the rota; a time with an offset is itself."""
    moment = datetime.fromisoformat(at)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(rota.time_zone))
    people = tuple(Person(person, person, (), (), rota.time_zone) for person in IDS)
    document = Document(1, rota.time_zone, people, (), (rota,), (), ())
    return [person.id for person in people_on_call(document, "doctors", moment.astimezone(UTC))]


DAY_AND_NIGHT = weekly(("08:00", "20:00", "ada"), ("20:00", "08:00", "ben"))


def test_a_slot_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    friday_night = a_rota(*weekly(("20:00", "08:00", "ben"), days=frozenset({4})))

    assert who(friday_night, "2026-11-27 19:59") == []
    assert who(friday_night, "2026-11-27 20:00") == ["ben"]
    assert who(friday_night, "2026-11-28 07:59") == ["ben"]
    assert who(friday_night, "2026-11-28 08:00") == []
    assert who(friday_night, "2026-11-28 21:00") == []


@pytest.mark.parametrize("night", ["2026-03-28", "2026-10-24"])
def test_the_night_shift_of_a_change_of_clocks_lasts_until_the_clock_shows_its_end(night: str) -> None:
    rota = a_rota(*DAY_AND_NIGHT)
    begins = datetime.fromisoformat(f"{night} 20:00").replace(tzinfo=ZoneInfo(LONDON)).astimezone(UTC)
    (shift,) = [span for span in on_call(rota, begins, begins + timedelta(hours=11)) if span.people == ("ben",)]

    following = on_call(rota, shift.start, shift.start + timedelta(days=1))
    hours = (following[0].end - following[0].start) / timedelta(hours=1)
    assert hours == (11 if night == "2026-03-28" else 13)
    assert following[0].end.astimezone(ZoneInfo(LONDON)).strftime("%H:%M") == "08:00"


def test_a_hand_over_at_a_time_that_does_not_exist_leaves_no_minute_between() -> None:
    rota = a_rota(*weekly(("18:00", "01:30", "ada"), ("01:30", "18:00", "ben")))

    assert who(rota, "2026-03-29T00:59:00+00:00") == ["ada"]
    assert who(rota, "2026-03-29T01:29:00+00:00") == ["ada"]
    assert who(rota, "2026-03-29T01:30:00+00:00") == ["ben"]


def test_a_hand_over_at_a_time_that_comes_twice_happens_at_the_first_of_the_two() -> None:
    rota = a_rota(*weekly(("18:00", "01:30", "ada"), ("01:30", "18:00", "ben")))

    assert who(rota, "2026-10-25T00:29:00+00:00") == ["ada"]
    assert who(rota, "2026-10-25T00:30:00+00:00") == ["ben"]
    assert who(rota, "2026-10-25T01:15:00+00:00") == ["ben"]


@pytest.mark.parametrize(("zone", "days"), CHANGES.items())
@pytest.mark.parametrize("minute", ["00:30", "01:00", "01:30", "01:45", "02:00", "02:15", "02:30", "03:00"])
def test_whenever_two_hand_over_no_change_of_clocks_makes_a_gap(zone: str, days: tuple[str, str], minute: str) -> None:
    rota = a_rota(*weekly((minute, "12:00", "ada"), ("12:00", minute, "ben")), zone=zone)
    for day in days:
        noon = datetime.fromisoformat(f"{day} 12:00").replace(tzinfo=UTC)

        assert gaps(rota, noon - timedelta(days=3), noon + timedelta(days=3)) == []


def override(start: str, end: str, person: str, instead_of: str | None = None) -> Override:
    moments = (datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(LONDON)).astimezone(UTC) for at in (start, end))
    first, last = moments
    return Override(first, last, (person,), instead_of)


def test_an_override_replaces_everybody_for_its_time_and_no_longer() -> None:
    rota = a_rota(*DAY_AND_NIGHT, overrides=(override("2026-12-01 10:00", "2026-12-01 22:00", "cyd"),))

    assert who(rota, "2026-12-01 09:59") == ["ada"]
    assert who(rota, "2026-12-01 10:00") == ["cyd"]
    assert who(rota, "2026-12-01 21:59") == ["cyd"]
    assert who(rota, "2026-12-01 22:00") == ["ben"]


def test_an_override_instead_of_one_person_leaves_the_others_on_call() -> None:
    both = (*DAY_AND_NIGHT, *weekly(("00:00", "00:00", "ben")))
    rota = a_rota(*both, overrides=(override("2026-12-01 00:00", "2026-12-02 00:00", "cyd", "ada"),))

    assert sorted(who(rota, "2026-12-01 10:00")) == ["ben", "cyd"]
    assert who(rota, "2026-12-01 21:00") == ["ben"]


def test_of_two_overrides_for_one_time_the_later_in_the_document_counts() -> None:
    first = override("2026-12-01 00:00", "2026-12-02 00:00", "ben")
    second = override("2026-12-01 12:00", "2026-12-02 00:00", "cyd")

    assert who(a_rota(*DAY_AND_NIGHT, overrides=(first, second)), "2026-12-01 13:00") == ["cyd"]
    assert who(a_rota(*DAY_AND_NIGHT, overrides=(second, first)), "2026-12-01 13:00") == ["ben"]


def test_a_rota_is_read_on_its_own_clock() -> None:
    kathmandu = a_rota(*weekly(("08:00", "20:00", "ada")), zone="Asia/Kathmandu")

    assert who(kathmandu, "2026-12-01T02:14:00+00:00") == []
    assert who(kathmandu, "2026-12-01T02:15:00+00:00") == ["ada"]


def test_slots_that_overlap_add_up() -> None:
    rota = a_rota(*weekly(("08:00", "12:00", "ada"), ("11:00", "14:00", "ben"), ("11:00", "12:00", "ada")))

    assert who(rota, "2026-12-01 11:30") == ["ada", "ben"]


minutes = st.integers(0, 24 * 60 - 1).map(lambda minute: time(minute // 60, minute % 60))
moments = st.integers(0, 14 * 30 * 24 * 60).map(
    lambda minute: datetime(2025, 12, 1, tzinfo=UTC) + minute * timedelta(minutes=1)
)


@REPEATABLE
@given(st.sampled_from(ZONES), st.lists(minutes, min_size=1, max_size=6, unique=True), moments)
def test_shifts_that_hand_over_to_each_other_leave_no_gap_on_any_night_of_the_year(
    zone: str, hand_overs: list[time], start: datetime
) -> None:
    edges = sorted(hand_overs)
    shifts = zip(edges, [*edges[1:], edges[0]], strict=True)
    slots = tuple(Slot(Window(WEEK, first, last), (IDS[n % 3],)) for n, (first, last) in enumerate(shifts))

    assert gaps(a_rota(*slots, zone=zone), start, start + timedelta(days=30)) == []


windows = st.builds(Window, st.sets(st.integers(0, 6), min_size=1).map(frozenset), minutes, minutes)
weekly_slots = st.builds(Slot, windows, st.lists(st.sampled_from(IDS), min_size=1, max_size=2).map(tuple))
starts_and_lengths = st.tuples(moments, st.integers(1, 60 * 24 * 20))
overrides = st.builds(
    lambda when, person, instead_of: Override(when[0], when[0] + timedelta(minutes=when[1]), (person,), instead_of),
    starts_and_lengths,
    st.sampled_from(IDS),
    st.none() | st.sampled_from(IDS),
)


@REPEATABLE
@given(
    st.sampled_from(ZONES),
    st.lists(weekly_slots, max_size=4),
    st.lists(overrides, max_size=3),
    moments,
    st.lists(st.integers(0, 30 * 24 * 60), min_size=1, max_size=10),
)
def test_the_thirty_days_shown_are_who_is_told_at_each_minute_of_them(
    zone: str, slots: list[Slot], changed: list[Override], start: datetime, minutes: list[int]
) -> None:
    rota = a_rota(*slots, zone=zone, overrides=tuple(changed))
    end = start + timedelta(days=30)
    spans = on_call(rota, start, end)

    assert [spans[0].start, spans[-1].end] == [start, end]
    assert all(one.end == next_one.start and one.people != next_one.people for one, next_one in pairwise(spans))
    for minute in minutes:
        at = min(start + timedelta(minutes=minute), end - timedelta(seconds=1))
        (span,) = [span for span in spans if span.start <= at < span.end]
        assert sorted(span.people) == sorted(who(rota, at.isoformat()))

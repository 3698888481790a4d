"""Shifts that are planned in a calendar program become dated slots; a broken calendar changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.notify.on_call import command
from services.notify.on_call.calendar import shifts_of
from services.notify.on_call.command import Base
from services.notify.on_call.document import DatedSlot, Document
from services.notify.on_call.edit import with_calendar, with_override
from services.notify.on_call.flaw import DocumentFlawed
from services.notify.on_call.read import read_document
from services.notify.on_call.rota import people_on_call
from tests.notify.on_call.clinic import Clinic
from tests.notify.on_call.test_document import EXAMPLE

AT = datetime(2026, 11, 29, 16, tzinfo=UTC)
DOCUMENT = read_document(EXAMPLE)


def a_calendar(*events: str, zone: str = "") -> str:
    body = "\n".join(
        f"BEGIN:VEVENT\nUID:{n}@x\nDTSTAMP:20261101T000000Z\n{event}\nEND:VEVENT" for n, event in enumerate(events)
    )
    text = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//\n{zone}{body}\nEND:VCALENDAR\n"
    return text.replace("\n", "\r\n")


def shifts(text: str, document: Document = DOCUMENT) -> list[tuple[str, str, tuple[str, ...]]]:
    rota = document.rotas[0]
    found = shifts_of(text, document, rota, name="nights", at=AT)
    return [(f"{slot.start:%m-%d %H:%M}", f"{slot.end:%m-%d %H:%M}", slot.people) for slot in found]


def refusal(text: str) -> str:
    with pytest.raises(DocumentFlawed) as refused:
        shifts(text)
    return str(refused.value)


NIGHT = "DTSTART:20261201T200000Z\nDTEND:20261202T080000Z\n"


@pytest.mark.parametrize(
    ("who", "people"),
    [
        ("SUMMARY:lind", ("lind",)),
        ("SUMMARY:Dr Karin Lind", ("lind",)),
        ("SUMMARY:karin.lind@clinic.example", ("lind",)),
        ("SUMMARY:On call - Dr Karin Lind - Nights", ("lind",)),
        ("SUMMARY:Lind\\, Osei", ("lind", "osei")),
        ("SUMMARY:Night\nATTENDEE:mailto:Karin.Lind@clinic.example", ("lind",)),
        (
            "SUMMARY:Night\nATTENDEE:mailto:karin.lind@clinic.example\nATTENDEE:mailto:ama.osei@clinic.example",
            ("lind", "osei"),
        ),
    ],
)
def test_an_event_says_who_by_attendee_id_name_or_address(who: str, people: tuple[str, ...]) -> None:
    assert shifts(a_calendar(NIGHT + who)) == [("12-01 20:00", "12-02 08:00", people)]


def test_an_event_that_names_somebody_unknown_beside_somebody_known_is_not_half_understood() -> None:
    assert '"lind, lindt"' in refusal(a_calendar(NIGHT + "SUMMARY:lind\\, lindt"))


def test_a_weekly_night_is_written_out_with_its_exceptions_over_the_change_of_clocks() -> None:
    night = "DTSTART;TZID=Europe/London:20270327T200000\nDTEND;TZID=Europe/London:20270328T080000\n"
    weekly = f"{night}RRULE:FREQ=DAILY;COUNT=4\nEXDATE;TZID=Europe/London:20270329T200000\nSUMMARY:lind"

    assert shifts(a_calendar(weekly)) == [
        ("03-27 20:00", "03-28 07:00", ("lind",)),
        ("03-28 19:00", "03-29 07:00", ("lind",)),
        ("03-30 19:00", "03-31 07:00", ("lind",)),
    ]


def test_whole_days_and_times_without_a_zone_are_on_the_clock_of_the_rota() -> None:
    there = read_document(EXAMPLE.replace('time_zone = "Europe/London"', 'time_zone = "America/New_York"'))
    day = "DTSTART;VALUE=DATE:20261205\nDTEND;VALUE=DATE:20261206\nSUMMARY:osei"
    floating = "DTSTART:20261207T080000\nDTEND:20261207T200000\nSUMMARY:lind"

    assert shifts(a_calendar(day, floating), there) == [
        ("12-05 05:00", "12-06 05:00", ("osei",)),
        ("12-07 13:00", "12-08 01:00", ("lind",)),
    ]


def test_a_shift_that_was_cancelled_is_none() -> None:
    assert len(shifts(a_calendar(NIGHT + "SUMMARY:lind", NIGHT + "SUMMARY:osei\nSTATUS:CANCELLED"))) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("<html>404</html>", "cannot be read"),
        ("BEGIN:VEVENT\r\nSUMMARY:x\r\nEND:VEVENT\r\n", "another kind of file"),
        (a_calendar(), "no event from now on"),
        (a_calendar("DTSTART:20201201T200000Z\nDTEND:20201202T080000Z\nSUMMARY:lind"), "no event from now on"),
        (a_calendar(NIGHT + "SUMMARY:Somebody"), '"Somebody": found nobody that the document knows'),
        (a_calendar("DTSTART:20261201T200000Z\nSUMMARY:lind"), "no end after its beginning"),
        (a_calendar("DTSTART:2026-12-01\nDTEND:tomorrow\nSUMMARY:lind"), "calendar nights"),
        (a_calendar(NIGHT + "RRULE:FREQ=SECONDLY\nSUMMARY:lind"), "repeats SECONDLY"),
        (a_calendar(NIGHT + "SUMMARY:" + "x" * 600_000), "too large"),
    ],
)
def test_a_calendar_that_cannot_be_understood_is_refused_in_words(text: str, said: str) -> None:
    assert said in refusal(text)


def test_every_event_that_says_nothing_is_named_at_once() -> None:
    said = refusal(a_calendar(NIGHT + "SUMMARY:One", NIGHT + "SUMMARY:Two", NIGHT + "SUMMARY:lind"))

    assert '"One"' in said
    assert '"Two"' in said
    assert "lind" not in said


def test_a_second_import_replaces_the_first_and_leaves_what_people_wrote() -> None:
    rota = DOCUMENT.rotas[0]
    first = (DatedSlot(AT, AT + timedelta(hours=1), ("lind",)),)
    second = (DatedSlot(AT, AT + timedelta(hours=2), ("osei", "lind")),)

    once = with_calendar(EXAMPLE, rota, "nights", first)
    twice = with_calendar(with_calendar(once, rota, "days", first), rota, "nights", second)

    dated = read_document(twice).rotas[0].dated
    assert {(slot.calendar, slot.people) for slot in dated} == {("days", ("lind",)), ("nights", ("osei", "lind"))}
    assert twice.startswith(EXAMPLE.rstrip())
    assert with_calendar(once, rota, "nights", first) == once


def test_an_override_is_added_at_the_end_and_means_the_moments_that_were_given() -> None:
    reason = 'Leave, "urgent"'
    text = with_override(
        EXAMPLE,
        DOCUMENT.rotas[0],
        start=AT,
        end=AT + timedelta(days=1),
        person="moreau",
        instead_of="lind",
        reason=reason,
    )

    added = read_document(text).rotas[0].overrides[-1]
    assert (added.start, added.end, added.people, added.instead_of) == (AT, AT + timedelta(days=1), ("moreau",), "lind")
    assert added.reason == reason


def test_a_rota_with_its_overrides_in_brackets_says_how_to_write_them() -> None:
    start, end = EXAMPLE.index("[[rotas.first.overrides]]"), EXAMPLE.index("[policies.standard]")
    bracketed = EXAMPLE[:start] + EXAMPLE[end:]
    bracketed = bracketed.replace('name = "First on call"\n', 'name = "First on call"\noverrides = []\n', 1)

    with pytest.raises(DocumentFlawed, match=r"\[\[rotas.first.overrides\]\]"):
        with_override(
            bracketed, DOCUMENT.rotas[0], start=AT, end=AT + timedelta(days=1), person="osei", instead_of=None
        )


def test_a_broken_calendar_keeps_the_last_good_one(clinic: Clinic, tmp_path: Path, capsys: Any) -> None:
    @contextmanager
    def opened() -> Iterator[Base]:
        yield Base(clinic.service.notify.pool, {"email"})

    def take(text: str) -> int:
        file = tmp_path / "shifts.ics"
        file.write_text(text, encoding="utf-8")
        return command.main(["calendar", "first", str(file), "--name", "nights"], program="policy", opened=opened)

    tomorrow = datetime.now(UTC) + timedelta(days=1)
    shift = f"DTSTART:{tomorrow:%Y%m%dT%H%M%SZ}\nDURATION:PT4H\nSUMMARY:moreau"
    clinic.agrees_on(EXAMPLE)

    assert take(a_calendar(shift)) == 0
    assert take(a_calendar(shift)[:-40]) == 1
    assert take(a_calendar(shift.replace("moreau", "Somebody else"))) == 1

    assert "Nothing was saved." in capsys.readouterr().out
    (newest,) = clinic.service.rows("SELECT version, text FROM on_call_document ORDER BY version DESC LIMIT 1")
    assert newest["version"] == 2
    people = people_on_call(read_document(newest["text"]), "first", tomorrow + timedelta(hours=1))
    assert "moreau" in [person.id for person in people]

"""The shape of an on-call document in TOML, and nothing else: tables, names of fields, kinds of values.

Each field's description is what an error says was expected. What the parts mean together is judged by `read.py`.
"""

from __future__ import annotations

import re
from datetime import datetime, time
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from services.notify.on_call.document import MONDAY_TO_SUNDAY

ID = r"[a-z0-9][a-z0-9-]{0,39}"
A_ZONE = 'a time zone by its IANA name, such as "Europe/London"'
A_TIME = 'a time of day, such as "08:00"'
A_MOMENT = 'a date and time, such as "2026-12-24 20:00"'
IDS = 'a list of ids from [people], such as ["osei"]'


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("unknown time zone") from None
    return value


def _time_of_day(value: object) -> object:
    """TOML's own times, and texts; 24:00 is midnight at the end of the day."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,2}:[0-9]{2}", value):
        hours, minutes = map(int, value.split(":"))
        return time(0 if (hours, minutes) == (24, 0) else hours, minutes)
    if isinstance(value, time):
        return value
    raise ValueError("not a time of day")


def _moment(value: object) -> object:
    """TOML's own dates with time, and texts; without an offset it is on the rota's clock."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    if isinstance(found, datetime) and 2000 <= found.year < 2100:
        return found
    raise ValueError("not a date and time of this century")


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("not printable")
    return value


def _days(value: object) -> object:
    """Names of days, and ranges such as "mon-fri"."""
    if not isinstance(value, list):
        raise ValueError("not a list")
    days: list[str] = []
    for part in value:
        first, _, last = str(part).partition("-")
        names = [MONDAY_TO_SUNDAY.index(name) for name in (first, last or first)]
        days += MONDAY_TO_SUNDAY[names[0] : names[1] + 1] if names[0] <= names[1] else _refuse()
    return days


def _refuse() -> list[str]:
    raise ValueError("the range ends before it begins")


Zone = Annotated[str, AfterValidator(_zone), Field(description=A_ZONE)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day), Field(description=A_TIME)]
Moment = Annotated[datetime, BeforeValidator(_moment), Field(description=A_MOMENT)]
DAYS = 'days as a list, such as ["mon-fri"] or ["sat", "sun"]'
Days = Annotated[list[str], BeforeValidator(_days), Field(min_length=1, description=DAYS)]
Name = Annotated[
    str, AfterValidator(_printable), Field(min_length=1, max_length=80, description="a name, 1 to 80 characters")
]
People = Annotated[list[str], Field(min_length=1, max_length=200, description=IDS)]
Channel = Literal["email", "webhook", "push", "apprise"]
CHANNEL = '"email", "webhook", "push" or "apprise"'
TARGETS = 'a list of whom to tell, such as ["rota:doctors", "person:osei"]'
Targets = Annotated[list[str], Field(min_length=1, max_length=50, description=TARGETS)]
Minutes = Annotated[float, Field(ge=0, le=1440, description="a number of minutes, 0 to 1440")]


class Table(BaseModel):
    """A table of the document. What it does not know is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class ContactTable(Table):
    """One way to reach a person."""

    channel: Annotated[Channel, Field(description=CHANNEL)]
    address: Annotated[
        str,
        AfterValidator(_printable),
        Field(min_length=1, max_length=320, description="an address on that channel, 1 to 320 characters"),
    ]


class QuietTable(Table):
    """Quiet hours of a person."""

    start: Annotated[TimeOfDay, Field(alias="from")]
    end: Annotated[TimeOfDay, Field(alias="to")]
    days: Days = list(MONDAY_TO_SUNDAY)


class PersonTable(Table):
    """A person."""

    name: Name
    contacts: Annotated[
        list[ContactTable],
        Field(min_length=1, max_length=10, description='contacts, such as [{channel = "email", address = "…"}]'),
    ]
    quiet: Annotated[
        list[QuietTable], Field(max_length=20, description='quiet hours, such as [{from = "22:00", to = "07:00"}]')
    ] = []
    time_zone: Zone | None = None


class TeamTable(Table):
    """A team."""

    name: Name
    members: People
    rota: Annotated[str | None, Field(description="the id of a rota")] = None
    policy: Annotated[str, Field(description="the id of a policy")]
    threshold: Annotated[Literal["emergency", "same_day"], Field(description='"emergency" or "same_day"')] = "same_day"
    pathways: Annotated[list[str], Field(description='pathways, such as ["posterior-lower-limb"]')] = []
    time_zone: Zone | None = None


class SlotTable(Table):
    """A weekly slot of a rota."""

    days: Days = list(MONDAY_TO_SUNDAY)
    start: Annotated[TimeOfDay, Field(alias="from")]
    end: Annotated[TimeOfDay, Field(alias="to")]
    people: People


class DatedTable(Table):
    """A slot of a rota that comes once."""

    start: Annotated[Moment, Field(alias="from")]
    end: Annotated[Moment, Field(alias="to")]
    people: People
    calendar: Annotated[str | None, Field(description="the name of the calendar it came from")] = None


class OverrideTable(Table):
    """A time in which others are on call."""

    start: Annotated[Moment, Field(alias="from")]
    end: Annotated[Moment, Field(alias="to")]
    people: People
    instead_of: Annotated[str | None, Field(description="the id of the person whose turn it would be")] = None
    reason: Annotated[str, Field(max_length=200, description="a reason, at most 200 characters")] = ""


class RotaTable(Table):
    """A rota."""

    name: Name
    time_zone: Zone | None = None
    slots: Annotated[list[SlotTable], Field(max_length=200, description="a list of weekly slots")] = []
    dated: Annotated[list[DatedTable], Field(max_length=5000, description="a list of dated slots")] = []
    overrides: Annotated[list[OverrideTable], Field(max_length=1000, description="a list of overrides")] = []


class StepTable(Table):
    """A step of a policy."""

    after_minutes: Minutes
    tell: Targets
    channels: Annotated[list[Channel], Field(description=f"a list of channels: {CHANNEL}")] = []


Steps = Annotated[list[StepTable], Field(max_length=20, description="a list of steps")]


class PolicyTable(Table):
    """An escalation policy."""

    name: Name
    repeat: Annotated[int, Field(ge=0, le=20, description="a whole number, 0 to 20")] = 2
    emergency: Steps
    same_day: Steps = []
    emergency_again_after_minutes: Minutes = 10
    same_day_again_after_minutes: Minutes = 60


class FallbackTable(Table):
    """Who is told when a chain ended without anybody."""

    tell: Targets


def _by_id(value: Any) -> Any:
    if isinstance(value, dict):
        for key in value:
            if not re.fullmatch(ID, str(key)):
                raise ValueError(f"the id {str(key)[:60]!r} is not made of a-z, 0-9 and -")
    return value


class DocumentTable(Table):
    """The whole document."""

    time_zone: Zone
    people: Annotated[dict[str, PersonTable], BeforeValidator(_by_id), Field(description="tables [people.<id>]")]
    teams: Annotated[dict[str, TeamTable], BeforeValidator(_by_id), Field(description="tables [teams.<id>]")]
    rotas: Annotated[dict[str, RotaTable], BeforeValidator(_by_id), Field(description="tables [rotas.<id>]")] = {}
    policies: Annotated[dict[str, PolicyTable], BeforeValidator(_by_id), Field(description="tables [policies.<id>]")]
    fallback: Annotated[FallbackTable, Field(description="a table [fallback] with tell")]

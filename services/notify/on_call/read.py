"""An on-call document from its TOML text: every flaw at once, in the words of its author; then plain values."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, get_args
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from services.notify.on_call import shape
from services.notify.on_call.document import (
    MONDAY_TO_SUNDAY,
    Contact,
    DatedSlot,
    Document,
    Kind,
    Override,
    Person,
    Policy,
    PolicyStep,
    QuietHours,
    Rota,
    Slot,
    Target,
    Team,
    Window,
)
from services.notify.on_call.flaw import DocumentFlawed, Flaw
from services.notify.on_call.shape import DocumentTable
from shared.fhir.codes import Urgency

LONGEST_TEXT = 512 * 1024
"""Bytes. Some hundred people and a year of shifts take a tenth of that."""
E_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[^\s@,;:<>()\x00-\x1f]+")
Place: TypeAlias = tuple[str | int, ...]


def read_document(text: str, *, version: int = 0) -> Document:
    """The document in a text. Raises DocumentFlawed with all that is wrong in its shape, its ids and its times.

    That it can be read says nothing about gaps: that is what `check.py` looks for.
    """
    table = _read_shape(text)
    flaws = [*_unknown_ids(table), *_wrong_values(table)]
    if flaws:
        raise DocumentFlawed(flaws)
    return _document(table, version)


def _read_shape(text: str) -> DocumentTable:
    if len(text.encode()) > LONGEST_TEXT:
        size = f"{len(text.encode())} bytes"
        raise DocumentFlawed(
            [Flaw("document", size, f"at most {LONGEST_TEXT} bytes", "Remove dated slots of the past.")]
        )
    try:
        return DocumentTable.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        flaw = Flaw(
            "document", f"text that is not TOML ({error})", "TOML (https://toml.io)", "Correct it at that place."
        )
        raise DocumentFlawed([flaw]) from None
    except RecursionError:
        raise DocumentFlawed([Flaw("document", "tables in tables without end", "TOML", "Remove them.")]) from None
    except ValidationError as error:
        raise DocumentFlawed([_misfit(dict(one)) for one in error.errors()]) from None


def path(place: Iterable[str | int]) -> str:
    """A place in the words of TOML; items of a list are counted from 1."""
    words = ""
    for part in place:
        words += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return words.removeprefix(".") or "document"


def _misfit(error: dict[str, Any]) -> Flaw:
    place, kind, given = error["loc"], error["type"], error["input"]
    field = _field(place)
    expected = (field.description if field else None) or "nothing of this name"
    match kind:
        case "missing":
            return Flaw(path(place), "nothing", expected, "Add it.")
        case "extra_forbidden":
            known = ", ".join(_known_names(place[:-1]))
            return Flaw(path(place), f'the name "{place[-1]}"', f"one of {known}", "Correct the name, or remove it.")
        case "too_short":
            return Flaw(path(place), "an empty list", expected, "Add at least one.")
        case "too_long":
            return Flaw(path(place), f"{len(given)} of them", f"at most {error['ctx']['max_length']}", "Remove some.")
        case "value_error" if "the id" in error["msg"]:
            remedy = "Use lower-case letters, digits and hyphens."
            return Flaw(path(place), error["msg"].removeprefix("Value error, "), "another id", remedy)
    return Flaw(path(place), _shown(given), expected, "Correct the value.")


def _shown(given: object) -> str:
    match given:
        case Mapping():
            return "a table"
        case list():
            return "the list [" + ", ".join(_shown(item) for item in given[:5]) + ("]" if len(given) <= 5 else ", …]")
        case str():
            return f'"{given[:60]}"'
        case bool():
            return str(given).lower()
    return str(given)[:60]


def _field(place: Place) -> FieldInfo | None:
    """The field of the shape at a place; None where it has none."""
    model: Any = DocumentTable
    field: FieldInfo | None = None
    for part in place:
        if isinstance(model, type) and issubclass(model, shape.Table):
            field = _fields(model).get(str(part))
            if field is None:
                return None
            model = field.annotation
        else:
            inner = [one for one in get_args(model) if one is not type(None)]
            model = inner[-1] if inner else None
            if isinstance(model, type) and issubclass(model, shape.Table) and field is not None and part == place[-1]:
                return field
    return field


def _known_names(place: Place) -> list[str]:
    model: Any = DocumentTable
    for part in place:
        if isinstance(model, type) and issubclass(model, shape.Table):
            field = _fields(model).get(str(part))
            model = field.annotation if field else None
        else:
            model = get_args(model)[-1] if get_args(model) else None
    return list(_fields(model)) if isinstance(model, type) and issubclass(model, shape.Table) else []


def _fields(model: type[shape.Table]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _unknown_ids(table: DocumentTable) -> Iterator[Flaw]:
    for place, kind, named in _references(table):
        known: Mapping[str, object] = getattr(table, kind)
        if named not in known:
            listed = ", ".join(sorted(known)[:20]) or "none yet"
            article = {"people": "a person", "rotas": "a rota", "policies": "a policy", "teams": "a team"}[kind]
            yield Flaw(
                path(place),
                f'"{named[:60]}"',
                f"the id of {article} ({listed})",
                f"Correct it, or add [{kind}.{named[:60]}].",
            )


def _references(table: DocumentTable) -> Iterator[tuple[Place, str, str]]:
    """Every place that names something: where it stands, of which table, and the id."""
    for team_id, team in table.teams.items():
        at: Place = ("teams", team_id)
        yield from (((*at, "members", number), "people", one) for number, one in enumerate(team.members))
        yield (*at, "policy"), "policies", team.policy
        if team.rota is not None:
            yield (*at, "rota"), "rotas", team.rota
    for rota_id, rota in table.rotas.items():
        lists: dict[str, Sequence[shape.SlotTable | shape.DatedTable | shape.OverrideTable]] = {
            "slots": rota.slots,
            "dated": rota.dated,
            "overrides": rota.overrides,
        }
        for name, entries in lists.items():
            for number, entry in enumerate(entries):
                here: Place = ("rotas", rota_id, name, number)
                yield from (((*here, "people", index), "people", one) for index, one in enumerate(entry.people))
        for number, override in enumerate(rota.overrides):
            if override.instead_of is not None:
                yield ("rotas", rota_id, "overrides", number, "instead_of"), "people", override.instead_of
    for place, named in _targets(table):
        kind, _, target_id = named.partition(":")
        if kind in list(Kind):
            yield place, {"person": "people", "team": "teams", "rota": "rotas"}[kind], target_id


def _targets(table: DocumentTable) -> Iterator[tuple[Place, str]]:
    for policy_id, policy in table.policies.items():
        for name, steps in (("emergency", policy.emergency), ("same_day", policy.same_day)):
            for number, step in enumerate(steps):
                here: Place = ("policies", policy_id, name, number, "tell")
                yield from (((*here, index), one) for index, one in enumerate(step.tell))
    yield from ((("fallback", "tell", index), one) for index, one in enumerate(table.fallback.tell))


def _wrong_values(table: DocumentTable) -> Iterator[Flaw]:
    """What has the right shape and cannot be meant."""
    for place, named in _targets(table):
        if named.partition(":")[0] not in list(Kind):
            expected = '"person:<id>", "team:<id>" or "rota:<id>"'
            yield Flaw(path(place), f'"{named[:60]}"', expected, "Say which kind it is, in front of the id.")
    for person_id, person in table.people.items():
        for number, contact in enumerate(person.contacts):
            where = path(("people", person_id, "contacts", number, "address"))
            if contact.channel == "email" and not E_MAIL.fullmatch(contact.address):
                yield Flaw(where, f'"{contact.address[:60]}"', "an e-mail address", "Correct the address.")
            if contact.channel == "push" and contact.address != person_id:
                yield Flaw(where, f'"{contact.address[:60]}"', f'"{person_id}"', "For push, write the person's own id.")
    for rota_id, rota in table.rotas.items():
        zone = rota.time_zone or table.time_zone
        lists: dict[str, Sequence[shape.DatedTable | shape.OverrideTable]]
        lists = {"dated": rota.dated, "overrides": rota.overrides}
        for name, entries in lists.items():
            for number, entry in enumerate(entries):
                if _moment(entry.start, zone) >= _moment(entry.end, zone):
                    found = f"an end that is not after its beginning ({entry.end:%Y-%m-%d %H:%M})"
                    where = path(("rotas", rota_id, name, number, "to"))
                    yield Flaw(
                        where, found, f"a time after {entry.start:%Y-%m-%d %H:%M}", "Correct the one or the other."
                    )


def _moment(value: datetime, zone: str) -> datetime:
    """In UTC; without an offset it is on the clock of that place."""
    return (value if value.tzinfo else value.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def _document(table: DocumentTable, version: int) -> Document:
    return Document(
        version=version,
        time_zone=table.time_zone,
        people=tuple(_person(person_id, person, table.time_zone) for person_id, person in table.people.items()),
        teams=tuple(
            Team(
                id=team_id,
                name=team.name,
                members=tuple(dict.fromkeys(team.members)),
                rota=team.rota,
                policy=team.policy,
                threshold=Urgency(team.threshold),
                pathways=tuple(team.pathways),
                time_zone=team.time_zone or table.time_zone,
            )
            for team_id, team in table.teams.items()
        ),
        rotas=tuple(_rota(rota_id, rota, table.time_zone) for rota_id, rota in table.rotas.items()),
        policies=tuple(
            Policy(
                id=policy_id,
                name=policy.name,
                emergency=_steps(policy.emergency),
                same_day=_steps(policy.same_day),
                repeat=policy.repeat,
                emergency_again_after=timedelta(minutes=policy.emergency_again_after_minutes),
                same_day_again_after=timedelta(minutes=policy.same_day_again_after_minutes),
            )
            for policy_id, policy in table.policies.items()
        ),
        fallback=_tell(table.fallback.tell),
    )


def _person(person_id: str, person: shape.PersonTable, zone: str) -> Person:
    return Person(
        id=person_id,
        name=person.name,
        contacts=tuple(dict.fromkeys(Contact(contact.channel, contact.address) for contact in person.contacts)),
        quiet=tuple(QuietHours(_window(quiet)) for quiet in person.quiet),
        time_zone=person.time_zone or zone,
    )


def _window(entry: shape.QuietTable | shape.SlotTable) -> Window:
    return Window(frozenset(map(MONDAY_TO_SUNDAY.index, entry.days)), entry.start, entry.end)


def _rota(rota_id: str, rota: shape.RotaTable, zone: str) -> Rota:
    zone = rota.time_zone or zone
    return Rota(
        id=rota_id,
        name=rota.name,
        time_zone=zone,
        slots=tuple(Slot(_window(slot), tuple(slot.people)) for slot in rota.slots),
        dated=tuple(
            DatedSlot(_moment(slot.start, zone), _moment(slot.end, zone), tuple(slot.people), slot.calendar)
            for slot in rota.dated
        ),
        overrides=tuple(
            Override(
                start=_moment(override.start, zone),
                end=_moment(override.end, zone),
                people=tuple(dict.fromkeys(override.people)),
                instead_of=override.instead_of,
                reason=override.reason,
            )
            for override in rota.overrides
        ),
    )


def _steps(steps: Sequence[shape.StepTable]) -> tuple[PolicyStep, ...]:
    return tuple(
        PolicyStep(timedelta(minutes=step.after_minutes), _tell(step.tell), tuple(dict.fromkeys(step.channels)))
        for step in steps
    )


def _tell(named: Sequence[str]) -> tuple[Target, ...]:
    pairs = (one.partition(":") for one in dict.fromkeys(named))
    return tuple(Target(Kind(kind), target_id) for kind, _, target_id in pairs)

"""`policy`: who is on call, from files. The same words as `./sural policy` and `python -m services.notify policy`."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from services.notify.on_call import store
from services.notify.on_call.calendar import shifts_of
from services.notify.on_call.check import AHEAD
from services.notify.on_call.document import Document
from services.notify.on_call.edit import with_calendar
from services.notify.on_call.flaw import DocumentFlawed, Flaw
from services.notify.on_call.save import checked, save_document
from services.notify.on_call.words import shown_rota
from shared.ids import DEFAULT_TENANT
from shared.postgres import Pool, database_now, tenant_transaction
from shared.problems import ProblemError


@dataclass(frozen=True, slots=True)
class Base:
    """Where documents are kept, and by what people can be reached there."""

    pool: Pool
    ways: Collection[str]


Opened = Callable[[], AbstractContextManager[Base]]


def parser(program: str = "policy") -> argparse.ArgumentParser:
    """What can be said."""
    words = argparse.ArgumentParser(prog=program, description="Who is on call, and how alerts escalate.")
    commands = words.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="say everything that is wrong with a document; needs no database")
    check.add_argument("file", type=Path, metavar="FILE")
    apply = commands.add_parser("apply", help="check a document and save it as the next version")
    apply.add_argument("file", type=Path, metavar="FILE")
    apply.add_argument(
        "--after", type=int, metavar="N", help="the version that FILE was made from: refuse if it is not the newest"
    )
    show = commands.add_parser("show", help="print the newest version, or another")
    show.add_argument("--version", type=int, metavar="N")
    who = commands.add_parser("who", help="who is on call")
    who.add_argument("--at", type=_moment, metavar="TIME", help="for example 2026-12-24T20:00+00:00 [default: now]")
    who.add_argument("--days", type=int, default=0, metavar="N", help="also the N days from then on, 1 to 366")
    calendar = commands.add_parser("calendar", help="take the shifts of an iCalendar file into a rota")
    calendar.add_argument("rota", metavar="ROTA")
    calendar.add_argument("file", type=Path, metavar="FILE.ics")
    calendar.add_argument("--name", default="imported", help="shifts of this name that were taken before are replaced")
    for one in (apply, calendar):
        one.add_argument("--by", default=None, help="who saves [default: your login]")
    for one in (apply, show, who, calendar):
        one.add_argument("--tenant", type=UUID, default=DEFAULT_TENANT, help="whose document (UUID)")
    return words


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def run(given: argparse.Namespace, opened: Opened) -> int:
    """Do what was said; returns the exit status. Everything that is wrong is said at once."""
    try:
        if given.command == "check":
            document = checked(_text(given.file), datetime.now(UTC))
            _say(f"{given.file}: nobody is left unheard in the next {AHEAD.days} days. {_counted(document)}.")
            return 0
        with opened() as base:
            match given.command:
                case "apply":
                    _apply(given, base)
                case "show":
                    _show(given, base)
                case "who":
                    _who(given, base)
                case _:
                    _calendar(given, base)
    except DocumentFlawed as flawed:
        for flaw in flawed.flaws:
            _say(str(flaw))
        _say(f"sural: {len(flawed.flaws)} found. Nothing was saved.")
        return 1
    except ProblemError as error:
        _say(f"sural: {error.problems[0].message}")
        return 1
    return 0


def _apply(given: argparse.Namespace, base: Base) -> None:
    text = _text(given.file)
    with tenant_transaction(base.pool, given.tenant) as connection:
        newest = store.newest(connection, given.tenant)
    edited = newest if given.after is None else given.after
    version = save_document(base.pool, given.tenant, text, edited=edited, by=_by(given), ways=base.ways)
    _say(f"Version {version} is kept." if version > newest else f"Nothing changed: this is version {version}.")


def _show(given: argparse.Namespace, base: Base) -> None:
    with tenant_transaction(base.pool, given.tenant) as connection:
        newest = store.newest(connection, given.tenant)
        held = store.saved(connection, given.tenant, given.version or newest)
    if held is None:
        raise DocumentFlawed([_none_yet(given.version)])
    _say(f"# version {held.version}, saved {held.saved_at:%Y-%m-%d %H:%M} UTC by {held.saved_by}, sha256 {held.sha256}")
    _say(held.text.rstrip())


def _who(given: argparse.Namespace, base: Base) -> None:
    with tenant_transaction(base.pool, given.tenant) as connection:
        document = _current(given, base)
        at = given.at or database_now(connection)
    for rota in document.rotas:
        shown = shown_rota(document, rota, at, ahead=timedelta(days=min(max(given.days, 30), 366)))
        _say(f"{rota.name} ({rota.id}, {rota.time_zone})")
        _say(f"  now   {shown.now.who}, {shown.now.when}")
        if shown.next is not None:
            _say(f"  next  {shown.next.who}, {shown.next.when}")
        if given.days:
            for shift in shown.ahead:
                _say(f"  {'GAP ' if shift.gap else '    '}  {shift.when}: {shift.who}")
    _say(f"Version {document.version}.")


def _calendar(given: argparse.Namespace, base: Base) -> None:
    text = _text(given.file)
    document = _current(given, base)
    rota = document.rota(given.rota)
    if rota is None:
        known = ", ".join(one.id for one in document.rotas) or "none yet"
        raise DocumentFlawed([Flaw("ROTA", f'"{given.rota}"', f"a rota ({known})", "Name one of them.")])
    with tenant_transaction(base.pool, given.tenant) as connection:
        held = store.saved(connection, given.tenant, document.version)
        at = database_now(connection)
    assert held is not None
    slots = shifts_of(text, document, rota, name=given.name, at=at)
    changed = with_calendar(held.text, rota, given.name, slots)
    version = save_document(base.pool, given.tenant, changed, edited=held.version, by=_by(given), ways=base.ways)
    _say(f"{len(slots)} shifts. Version {version} is kept.")


def _current(given: argparse.Namespace, base: Base) -> Document:
    with tenant_transaction(base.pool, given.tenant) as connection:
        document = store.current(connection, given.tenant)
    if document is None:
        raise DocumentFlawed([_none_yet(None)])
    return document


def _none_yet(version: int | None) -> Flaw:
    if version is not None:
        return Flaw("on-call document", "nothing", f"a version {version}", "Leave --version out for the newest.")
    return Flaw("on-call document", "nothing", "a document", "Save one with: policy apply FILE.")


def _counted(document: Document) -> str:
    parts = {"people": document.people, "teams": document.teams, "rotas": document.rotas, "policies": document.policies}
    return ", ".join(f"{len(listed)} {name}" for name, listed in parts.items())


def _by(given: argparse.Namespace) -> str:
    return str(given.by or getpass.getuser())[:120]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        flaw = Flaw(str(path), f"a file that cannot be read ({type(error).__name__})", "text in UTF-8", "Name another.")
        raise DocumentFlawed([flaw]) from None


def _say(line: str) -> None:
    print(line)  # noqa: T201


def main(arguments: Sequence[str], *, program: str, opened: Opened) -> int:
    """The whole command, for whoever knows where the documents are."""
    return run(parser(program).parse_args(arguments), opened)

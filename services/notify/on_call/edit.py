"""Small changes of an on-call document as text: what people wrote stays as they wrote it, comments too. Pure."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from services.notify.on_call.document import DatedSlot, Rota
from services.notify.on_call.flaw import DocumentFlawed, Flaw


def with_override(
    text: str, rota: Rota, *, start: datetime, end: datetime, person: str, instead_of: str | None, reason: str = ""
) -> str:
    """The text with one more override at its end. Raises DocumentFlawed where it cannot be added like that."""
    lines = [*_times(rota, start, end), f"people = [{_quoted(person)}]"]
    if instead_of:
        lines.append(f"instead_of = {_quoted(instead_of)}")
    if reason:
        lines.append(f"reason = {_quoted(reason)}")
    return _added(text, rota.id, "overrides", _table(rota.id, "overrides", lines))


def with_calendar(text: str, rota: Rota, name: str, slots: Iterable[DatedSlot]) -> str:
    """The text with these dated slots in place of those that this calendar brought into this rota before."""
    mark = f"# calendar {name} of rota {rota.id}"
    before = re.compile(rf"\n*^{re.escape(mark)}: begin$.*?^{re.escape(mark)}: end$\n?", re.MULTILINE | re.DOTALL)
    tables = [
        _table(
            rota.id,
            "dated",
            [
                *_times(rota, slot.start, slot.end),
                f"people = [{', '.join(map(_quoted, slot.people))}]",
                f"calendar = {_quoted(name)}",
            ],
        )
        for slot in slots
    ]
    block = "\n".join([f"{mark}: begin", *tables, f"{mark}: end\n"])
    return _added(before.sub("\n", text), rota.id, "dated", block)


def _added(text: str, rota_id: str, kind: str, block: str) -> str:
    """The text with a block at its end, or DocumentFlawed where the rota has its list in brackets."""
    added = f"{text.rstrip()}\n\n{block}"
    try:
        tomllib.loads(added)
    except tomllib.TOMLDecodeError:
        where = f"rotas.{rota_id}.{kind}"
        remedy = f"Write each of them as a table of its own, [[{where}]]."
        raise DocumentFlawed([Flaw(where, "a list in brackets", "tables, to which one can be added", remedy)]) from None
    return added


def _table(rota_id: str, kind: str, lines: Iterable[str]) -> str:
    return "\n".join([f"[[rotas.{rota_id}.{kind}]]", *lines, ""])


def _times(rota: Rota, start: datetime, end: datetime) -> tuple[str, str]:
    """On the rota's clock, with the offset: without it the hour that comes twice would be the first of the two."""
    zone = ZoneInfo(rota.time_zone)
    first, last = (moment.astimezone(zone).isoformat(timespec="seconds") for moment in (start, end))
    return f"from = {first}", f"to = {last}"


def _quoted(text: str) -> str:
    """A TOML string; JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False)

"""`./sural verify`: whether everything in the database is as it must be, on a system that runs or was stopped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import typer

from deploy.local.errors import StartError
from deploy.local.verify.checking import EVERYTHING, NotTheOwner, check, connect_as_owner
from deploy.local.verify.violation import Violation
from shared.postgres import unavailable

INVARIANTS = {
    "I1": "every accepted response is there, as it was sent",
    "I2": "each has exactly one current assessment",
    "I3": "each assessment says what it stands on, and says the same when made again",
    "I4": "every emergency has an alert that is acknowledged or told again",
    "I5": "somebody was told of every alert",
    "I6": "nothing went to another tenant",
    "I7": "nobody was told after an acknowledgement",
    "I8": "every act is in the audit, and its chain is whole",
    "I10": "nothing waits, no lease is over",
}
"""Those that a database can show. I9, no health data elsewhere, is looked for by the fault suite."""


def run(owner_url: str, *, days: int | None, quiet_s: float, recompute: int) -> list[Violation]:
    """Check, looking back so many days (None: at everything). Raises StartError."""
    since = EVERYTHING if days is None else datetime.now(UTC) - timedelta(days=days)
    try:
        with connect_as_owner(owner_url) as connection:
            return check(connection, quiet_s=quiet_s, since=since, recompute=recompute)
    except NotTheOwner as error:
        raise StartError(str(error), "Set SURAL_DATABASE_URL to the owner's address.") from error
    except Exception as error:
        if not unavailable(error):
            raise
        raise StartError("The database does not answer.", "Start it, or correct SURAL_DATABASE_URL.") from error


def show(found: Sequence[Violation], *, as_json: bool) -> bool:
    """Print a line for each invariant and for each violation, or one JSON object; True when all is well."""
    if as_json:
        violations = [{"invariant": one.invariant, "what": one.what, "id": one.id} for one in found]
        typer.echo(json.dumps({"well": not found, "violations": violations}))
        return not found
    for name, sentence in INVARIANTS.items():
        broken = [one for one in found if one.invariant == name]
        typer.echo(f"{'ok  ' if not broken else 'FAIL'} {name:<3} {sentence}")
        for one in broken:
            typer.echo(f"     {one.id}: {one.what}")
    return not found

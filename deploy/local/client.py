"""`./sural client`: the same command as in intake's image, on the database of this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from deploy.local.environment import SANDBOX
from deploy.local.migrate import migrate_all
from services.intake import client_command
from services.intake.settings import IntakeSettings
from shared.access.opening import outbound_of
from shared.postgres import connect

Database = Callable[[], AbstractContextManager[Mapping[str, str]]]


def run_command(arguments: Sequence[str], database: Database, *, mode: str, migrate: bool) -> int:
    """Run one of the client commands; returns the exit status.

    `database` gives the whole environment while it runs, `mode` is that of the system that will use the registration;
    `migrate`: bring the database up to date first.
    """
    given = client_command.parser("sural client").parse_args(arguments)
    if given.command == "token-key":
        return client_command.make_token_key(given.out, rotate=given.rotate)
    with database() as variables:
        if migrate:
            migrate_all(variables)
        settings = IntakeSettings.load(variables)
        outbound = replace(outbound_of(settings), sandbox=mode == SANDBOX)
        with connect(settings.intake_database_url.get_secret_value(), schema="intake") as connection:
            return client_command.run(given, connection, outbound=outbound)

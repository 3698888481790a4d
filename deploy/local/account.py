"""`./sural account`: the same command as in notify's image, on the database of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from deploy.local.migrate import migrate_all
from services.notify.settings import NotifySettings
from services.notify.sign_in import command
from shared.postgres import DictConnection, connect

Database = Callable[[], AbstractContextManager[Mapping[str, str]]]


def run_command(arguments: Sequence[str], database: Database, *, migrate: bool) -> int:
    """Run one of the account commands; returns the exit status. `migrate`: bring the database up to date first."""

    @contextmanager
    def on_this_machine() -> Iterator[DictConnection]:
        with database() as variables:
            if migrate:
                migrate_all(variables)
            url = NotifySettings.load(variables).notify_database_url.get_secret_value()
            with connect(url, schema="notify") as connection:
                yield connection

    return command.main(arguments, program="sural account", connect=on_this_machine)

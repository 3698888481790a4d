"""`./sural policy`: the same command as in notify's image, on the database of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from deploy.local.migrate import migrate_all
from services.notify.on_call import command
from services.notify.on_call.opening import opened
from services.notify.settings import NotifySettings

Database = Callable[[], AbstractContextManager[Mapping[str, str]]]


def run_command(arguments: Sequence[str], database: Database, *, migrate: bool) -> int:
    """Run one of the policy commands; returns the exit status. `migrate`: bring the database up to date first."""

    @contextmanager
    def on_this_machine() -> Iterator[command.Base]:
        with database() as variables:
            if migrate:
                migrate_all(variables)
            with opened(NotifySettings.load(variables)) as base:
                yield base

    return command.main(arguments, program="sural policy", opened=on_this_machine)

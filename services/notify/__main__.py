"""Command line of notify: serve | worker WHICH | background | migrate | healthcheck [PROCESS], and for operators
policy … | account … | send-test [PERSON].
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from services.notify.settings import NotifySettings
from shared.command_line import Service, run
from shared.events import NOTIFY_ROUTINE, NOTIFY_URGENT

if TYPE_CHECKING:
    from celery import Celery
    from starlette.types import ASGIApp

    from shared.serve import Loop


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["policy"]:
        from services.notify.on_call import command
        from services.notify.on_call.opening import opened

        program = "python -m services.notify policy"
        return command.main(words[1:], program=program, opened=lambda: opened(NotifySettings.load()))
    if words[:1] == ["account"]:
        from services.notify.sign_in import command as account
        from shared.postgres import connect

        url = NotifySettings.load().notify_database_url.get_secret_value()
        program = "python -m services.notify account"
        return account.main(words[1:], program=program, connect=lambda: connect(url, schema="notify"))
    if words[:1] == ["send-test"] and len(words) <= 2:
        from services.notify import trial

        return 0 if trial.run(NotifySettings.load(), *words[1:]) else 1
    return run(
        Service(
            name="notify",
            settings=NotifySettings.load,
            database_url=lambda settings: settings.notify_database_url.get_secret_value(),
            app=_app,
            loops=_loops,
            migrate=migrate,
            worker=_worker,
            queues={"urgent": NOTIFY_URGENT, "routine": NOTIFY_ROUTINE},
        ),
        arguments,
    )


def migrate(owner_url: str, settings: NotifySettings) -> list[str]:
    """Bring the schema up to date; returns what was done."""
    from shared.fhir.reindex import reindex
    from shared.postgres import migrate_service

    url = settings.notify_database_url.get_secret_value()
    done = migrate_service(owner_url, service="notify", service_url=url, folder=Path(__file__).parent / "migrations")
    return done + reindex(owner_url, schema="notify")


def _app(settings: NotifySettings) -> ASGIApp:
    from services.notify.app import create_app

    return create_app(settings)


def _loops(settings: NotifySettings) -> Sequence[Loop]:
    from services.notify.background import loops

    return loops(settings)


def _worker(settings: NotifySettings) -> Celery:
    from services.notify.worker import make_worker

    return make_worker(settings)


if __name__ == "__main__":
    sys.exit(main())

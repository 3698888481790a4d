"""Command line of triage: serve | worker | background | migrate | healthcheck [web|worker|background]."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from services.triage.settings import TriageSettings
from shared.command_line import Service, run
from shared.events import TRIAGE

if TYPE_CHECKING:
    from celery import Celery
    from starlette.types import ASGIApp

    from shared.serve import Loop


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    return run(
        Service(
            name="triage",
            settings=TriageSettings.load,
            database_url=lambda settings: settings.triage_database_url.get_secret_value(),
            app=_app,
            loops=_loops,
            migrate=migrate,
            worker=_worker,
            queues={"worker": TRIAGE},
        ),
        arguments,
    )


def migrate(owner_url: str, settings: TriageSettings) -> list[str]:
    """Bring the schema up to date and publish the Device, all packs and the terminology; returns what was done."""
    from services.triage.publish import publish_device, publish_packs, publish_terminology
    from shared.fhir.reindex import reindex
    from shared.ids import PUBLISHED_TENANT
    from shared.postgres import migrate_service, published_content

    url = settings.triage_database_url.get_secret_value()
    done = migrate_service(owner_url, service="triage", service_url=url, folder=Path(__file__).parent / "migrations")
    done += reindex(owner_url, schema="triage")
    with published_content(owner_url, schema="triage") as connection:
        done += publish_device(connection, PUBLISHED_TENANT)
        done += publish_packs(connection, PUBLISHED_TENANT)
        return done + publish_terminology(connection, PUBLISHED_TENANT)


def _app(settings: TriageSettings) -> ASGIApp:
    from services.triage.app import create_app

    return create_app(settings)


def _loops(settings: TriageSettings) -> Sequence[Loop]:
    from services.triage.background import loops

    return loops(settings)


def _worker(settings: TriageSettings) -> Celery:
    from services.triage.worker import make_worker

    return make_worker(settings)


if __name__ == "__main__":
    sys.exit(main())

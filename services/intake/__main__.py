"""Command line of intake: serve | background | migrate | healthcheck [web|background] | client ..."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from services.intake.settings import IntakeSettings
from shared.command_line import Service, run

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from shared.serve import Loop


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["client"]:
        from services.intake import client_command

        return client_command.main(words[1:], program="python -m services.intake client")
    return run(
        Service(
            name="intake",
            settings=IntakeSettings.load,
            database_url=lambda settings: settings.intake_database_url.get_secret_value(),
            app=_app,
            loops=_loops,
            migrate=migrate,
        ),
        arguments,
    )


def migrate(owner_url: str, settings: IntakeSettings) -> list[str]:
    """Bring the schema up to date and publish all definitions and the shipped Questionnaires; returns what was done."""
    from services.intake.definitions.publish import publish_definitions
    from services.intake.publish import publish_files
    from services.intake.questionnaires import shipped
    from shared.fhir.reindex import reindex
    from shared.ids import PUBLISHED_TENANT
    from shared.postgres import migrate_service, published_content

    url = settings.intake_database_url.get_secret_value()
    done = migrate_service(owner_url, service="intake", service_url=url, folder=Path(__file__).parent / "migrations")
    done += reindex(owner_url, schema="intake")
    with published_content(owner_url, schema="intake") as connection:
        done += publish_definitions(connection, PUBLISHED_TENANT)
        return done + publish_files(connection, PUBLISHED_TENANT, shipped())


def _app(settings: IntakeSettings) -> ASGIApp:
    from services.intake.app import create_app

    return create_app(settings)


def _loops(settings: IntakeSettings) -> Sequence[Loop]:
    from services.intake.background import loops

    return loops(settings)


if __name__ == "__main__":
    sys.exit(main())

"""Command line of intake: serve | background | migrate | healthcheck [web|background]."""

from __future__ import annotations

import argparse
import sys
import urllib.request
from pathlib import Path

from services.intake.settings import IntakeSettings
from shared.settings import owner_database_url
from shared.telemetry import configure_logging


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m services.intake", description=__doc__)
    parser.add_argument("command", choices=["serve", "background", "migrate", "healthcheck"])
    parser.add_argument("process", nargs="?", choices=["web", "background"], default="web")
    given = parser.parse_args(arguments)
    settings = IntakeSettings.load()
    configure_logging(service="intake", level=settings.log_level)
    match given.command:
        case "serve":
            from services.intake.app import create_app
            from shared.serve import serve

            serve(create_app(settings), host=settings.host, port=settings.port)
        case "background":
            from services.intake.background import loops
            from shared.serve import run_loops

            run_loops(loops(settings))
        case "migrate":
            migrate(owner_database_url(), settings)
        case _:
            return healthcheck(given.process, settings)
    return 0


def migrate(owner_url: str, settings: IntakeSettings) -> list[str]:
    """Bring the schema up to date and publish the shipped Questionnaires; returns what was done."""
    from services.intake.catalogue import publish_files
    from services.intake.questionnaires import shipped
    from shared.ids import DEFAULT_TENANT
    from shared.postgres import connect, migrate_service

    url = settings.intake_database_url.get_secret_value()
    done = migrate_service(owner_url, service="intake", service_url=url, folder=Path(__file__).parent / "migrations")
    with connect(url, schema="intake") as connection:
        return done + publish_files(connection, DEFAULT_TENANT, shipped())


def healthcheck(process: str, settings: IntakeSettings) -> int:
    """0 when the process does its work."""
    if process == "background":
        from shared.canary import check_background

        problem = check_background(settings.intake_database_url.get_secret_value(), "intake")
        print(problem or "ready")  # noqa: T201
        return 1 if problem else 0
    with urllib.request.urlopen(f"http://127.0.0.1:{settings.port}/readyz", timeout=3) as answer:
        return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())

"""Command line of triage: serve | worker | background | migrate | healthcheck [web|worker|background]."""

from __future__ import annotations

import argparse
import sys
import urllib.request
from pathlib import Path

from services.triage.settings import TriageSettings
from shared.events import TRIAGE
from shared.settings import owner_database_url
from shared.telemetry import configure_logging


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m services.triage", description=__doc__)
    parser.add_argument("command", choices=["serve", "worker", "background", "migrate", "healthcheck"])
    parser.add_argument("process", nargs="?", choices=["web", "worker", "background"], default="web")
    given = parser.parse_args(arguments)
    settings = TriageSettings.load()
    configure_logging(service="triage", level=settings.log_level)
    match given.command:
        case "serve":
            from services.triage.app import create_app
            from shared.serve import serve

            serve(create_app(settings), host=settings.host, port=settings.port)
        case "worker":
            from services.triage.worker import make_worker
            from shared.broker import run_worker

            run_worker(make_worker(settings), TRIAGE, log_level=settings.log_level)
        case "background":
            from services.triage.background import loops
            from shared.serve import run_loops

            run_loops(loops(settings))
        case "migrate":
            migrate(owner_database_url(), settings)
        case _:
            return healthcheck(given.process, settings)
    return 0


def migrate(owner_url: str, settings: TriageSettings) -> list[str]:
    """Bring the schema up to date and publish the engine's Device; returns what was done."""
    from services.triage.publish import publish_device
    from shared.ids import DEFAULT_TENANT
    from shared.postgres import connect, migrate_service

    url = settings.triage_database_url.get_secret_value()
    done = migrate_service(owner_url, service="triage", service_url=url, folder=Path(__file__).parent / "migrations")
    with connect(url, schema="triage") as connection:
        return done + publish_device(connection, DEFAULT_TENANT)


def healthcheck(process: str, settings: TriageSettings) -> int:
    """0 when the process does its work."""
    if process == "worker":
        from shared.canary import check_worker

        problem = check_worker(settings.triage_database_url.get_secret_value(), "triage", TRIAGE)
        print(problem or "ready")  # noqa: T201
        return 1 if problem else 0
    if process == "background":
        from shared.canary import check_background

        problem = check_background(settings.triage_database_url.get_secret_value(), "triage")
        print(problem or "ready")  # noqa: T201
        return 1 if problem else 0
    with urllib.request.urlopen(f"http://127.0.0.1:{settings.port}/readyz", timeout=3) as answer:
        return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())

"""Command line of notify: serve | worker urgent|routine | background | migrate | healthcheck [process]."""

from __future__ import annotations

import argparse
import sys
import urllib.request
from pathlib import Path

from services.notify.settings import NotifySettings
from shared.events import NOTIFY_ROUTINE, NOTIFY_URGENT
from shared.settings import owner_database_url
from shared.telemetry import configure_logging

QUEUES = {"urgent": NOTIFY_URGENT, "routine": NOTIFY_ROUTINE}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m services.notify", description=__doc__)
    parser.add_argument("command", choices=["serve", "worker", "background", "migrate", "healthcheck"])
    parser.add_argument("process", nargs="?", choices=["web", "background", *QUEUES], default="web")
    given = parser.parse_args(arguments)
    if given.command == "worker" and given.process not in QUEUES:
        parser.error("say which worker: urgent or routine")
    settings = NotifySettings.load()
    configure_logging(service="notify", level=settings.log_level)
    match given.command:
        case "serve":
            from services.notify.app import create_app
            from shared.serve import serve

            serve(create_app(settings), host=settings.host, port=settings.port)
        case "worker":
            from services.notify.worker import make_worker
            from shared.broker import run_worker

            run_worker(make_worker(settings), QUEUES[given.process], log_level=settings.log_level)
        case "background":
            from services.notify.background import loops
            from shared.serve import run_loops

            run_loops(loops(settings))
        case "migrate":
            migrate(owner_database_url(), settings)
        case _:
            return healthcheck(given.process, settings)
    return 0


def migrate(owner_url: str, settings: NotifySettings) -> list[str]:
    """Bring the schema up to date; returns what was done."""
    from shared.postgres import migrate_service

    url = settings.notify_database_url.get_secret_value()
    return migrate_service(owner_url, service="notify", service_url=url, folder=Path(__file__).parent / "migrations")


def healthcheck(process: str, settings: NotifySettings) -> int:
    """0 when the process does its work."""
    if process in QUEUES:
        from shared.canary import check_worker

        problem = check_worker(settings.notify_database_url.get_secret_value(), "notify", QUEUES[process])
        print(problem or "ready")  # noqa: T201
        return 1 if problem else 0
    if process == "background":
        from shared.canary import check_background

        problem = check_background(settings.notify_database_url.get_secret_value(), "notify")
        print(problem or "ready")  # noqa: T201
        return 1 if problem else 0
    with urllib.request.urlopen(f"http://127.0.0.1:{settings.port}/readyz", timeout=3) as answer:
        return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())

"""`python -m services.NAME`: the same words for every service. What a command needs is imported when it is called."""

from __future__ import annotations

import argparse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from shared.settings import ServiceSettings, owner_database_url
from shared.telemetry import configure_logging

if TYPE_CHECKING:
    from celery import Celery
    from starlette.types import ASGIApp

    from shared.serve import Loop

AnySettings = TypeVar("AnySettings", bound=ServiceSettings)

WEB, BACKGROUND = "web", "background"


@dataclass(frozen=True, slots=True)
class Service(Generic[AnySettings]):
    """What the command line starts. `queues`: the words for its workers, each with the queue it consumes."""

    name: str
    settings: Callable[[], AnySettings]
    database_url: Callable[[AnySettings], str]
    app: Callable[[AnySettings], ASGIApp]
    loops: Callable[[AnySettings], Sequence[Loop]]
    migrate: Callable[[str, AnySettings], list[str]]
    worker: Callable[[AnySettings], Celery] | None = None
    queues: Mapping[str, str] = field(default_factory=dict)


def run(service: Service[AnySettings], arguments: Sequence[str] | None = None) -> int:
    """serve | worker [WHICH] | background | migrate | healthcheck [PROCESS]; returns the exit status."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{service.name}")
    commands = ["serve", *(["worker"] if service.queues else []), "background", "migrate", "healthcheck"]
    parser.add_argument("command", choices=commands)
    parser.add_argument("process", nargs="?", choices=[WEB, BACKGROUND, *service.queues], default=None)
    given = parser.parse_args(arguments)
    settings = service.settings()
    configure_logging(service=service.name, level=settings.log_level)
    match given.command:
        case "serve":
            from shared.serve import serve

            serve(service.app(settings), host=settings.host, port=settings.port)
        case "worker":
            from shared.broker import run_worker

            queue = service.queues.get(
                given.process or (next(iter(service.queues)) if len(service.queues) == 1 else "")
            )
            if queue is None or service.worker is None:
                parser.error(f"say which worker: {' or '.join(service.queues)}")
            run_worker(service.worker(settings), queue, log_level=settings.log_level)
        case "background":
            from shared.serve import run_loops

            run_loops(service.loops(settings))
        case "migrate":
            service.migrate(owner_database_url(), settings)
        case _:
            return healthcheck(service, settings, given.process or WEB)
    return 0


def healthcheck(service: Service[AnySettings], settings: AnySettings, process: str) -> int:
    """0 when the process does its work: the web answers that it is ready, the others have shown signs of life."""
    if process == WEB:
        with urllib.request.urlopen(f"http://127.0.0.1:{settings.port}/readyz", timeout=3) as answer:
            return 0 if answer.status == 200 else 1
    from shared.canary import BACKGROUND as LOOPS
    from shared.canary import check_worker

    queue = LOOPS if process == BACKGROUND else service.queues[process]
    problem = check_worker(service.database_url(settings), service.name, queue)
    print(problem or "ready")  # noqa: T201
    return 1 if problem else 0

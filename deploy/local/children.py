"""The processes of one machine beside the two servers."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.local.folder import DataFolder
from deploy.local.process import StopSteps

# A worker finishes what it has begun; what it cannot finish in time is claimed again after the next start.
WORKER_STOP: StopSteps = ((signal.SIGTERM, 12.0), (signal.SIGQUIT, 3.0))
WEB_STOP: StopSteps = ((signal.SIGTERM, 12.0),)

# Imported once by the supervisor and shared with its children. One that is missing here only costs time.
PRELOAD = (
    "celery.apps.worker",
    "celery.bin.worker",
    "celery.concurrency.prefork",
    "celery.worker.consumer",
    "kombu.transport.redis",
    "aiosmtpd.controller",
    "httptools",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.httptools_impl",
    "services.intake.app",
    "services.triage.app",
    "services.triage.worker",
    "services.notify.app",
    "services.notify.worker",
    "deploy.local.web",
    "deploy.local.background",
    "deploy.sandbox.mail_catcher",
    "deploy.local.warm",
)


@dataclass(frozen=True, slots=True)
class Child:
    """A module to keep running. Children stop stage by stage, the lowest first."""

    name: str
    module: str
    arguments: Sequence[str] = ()
    stop_steps: StopSteps = WEB_STOP
    stop_stage: int = 2


def children(given: Mapping[str, str], data: DataFolder) -> list[Child]:
    """Everything that `./sural up` runs; the mail catcher only where no mail server is named."""
    running = [
        Child("web", "deploy.local.web"),
        Child("triage", "services.triage", ["worker"], WORKER_STOP, 1),
        Child("notify-urgent", "services.notify", ["worker", "urgent"], WORKER_STOP, 1),
        Child("notify-routine", "services.notify", ["worker", "routine"], WORKER_STOP, 1),
        Child("background", "deploy.local.background", stop_stage=1),
    ]
    if not given.get("SURAL_SMTP_URL"):
        running.append(Child("mail", "deploy.sandbox.mail_catcher", mail_arguments(data)))
    return running


def mail_arguments(data: DataFolder) -> list[str]:
    """Where the mail catcher listens and keeps what it caught."""
    return [
        f"--smtp-port={data.port('mail-smtp')}",
        f"--http-port={data.port('mail-inbox')}",
        f"--store={data.path / 'mail.jsonl'}",
    ]

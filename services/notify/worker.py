"""Celery task of notify: a message wakes it, the job table says what there is to do."""

from __future__ import annotations

from functools import cache
from typing import Any

from celery import Celery, Task
from celery.signals import worker_process_shutdown

from services.notify.context import Notify, open_notify
from services.notify.deliver import deliver_to, due_recipients
from services.notify.escalation import JOB_KINDS
from services.notify.hear import RAISE_KIND, RAISE_URGENT, hear
from services.notify.lanes import Lanes
from services.notify.settings import NotifySettings
from shared.broker import TASKS, make_celery
from shared.canary import install_canary
from shared.events import NOTIFY_ROUTINE, NOTIFY_URGENT, decode
from shared.postgres import Pool

POOL_SIZE = 16
"""Connections are taken for moments only, never while a message is on its way."""
CLOSING_S = 8.0


def make_worker(settings: NotifySettings) -> Celery:
    """The Celery application of notify. Connections and senders begin in the process that runs the task."""
    app = make_celery(settings.redis_url.get_secret_value())

    @cache
    def notify() -> Notify:
        return open_notify(settings, size=POOL_SIZE, name="worker")

    def pool() -> Pool:
        return notify().pool

    lanes = Lanes(
        JOB_KINDS,
        find=lambda: due_recipients(notify()),
        work=lambda kind, stopped: deliver_to(notify(), kind, stopped=stopped)[1],
    )

    @app.task(name=TASKS[NOTIFY_URGENT], bind=True)
    def raise_for(self: Task, message: Any) -> None:
        """Let what the message names have its effect; the senders of this process tell of it."""
        told = self.request.delivery_info or {}
        kind = RAISE_KIND.get(str(told.get("routing_key", "")), RAISE_URGENT)
        hear(notify(), kind, decode(message), again=bool(told.get("redelivered")), senders=lanes)

    @worker_process_shutdown.connect(weak=False)
    def let_senders_end(**_: Any) -> None:
        lanes.close(CLOSING_S)

    for queue in (NOTIFY_URGENT, NOTIFY_ROUTINE):
        install_canary(app, pool, queue)
    return app

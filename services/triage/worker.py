"""Celery task of triage: a message wakes it, the job table says what there is to do."""

from __future__ import annotations

from functools import cache
from typing import Any

from celery import Celery
from celery.signals import worker_process_init

from services.triage.assess_response import Assessor, open_assessor, open_examiner
from services.triage.catch_up import KIND
from services.triage.refused import EXAMINE, Examiner
from services.triage.settings import TriageSettings
from shared.broker import TASKS, make_celery
from shared.canary import install_canary
from shared.events import TRIAGE, TRIAGE_REFUSED, decode
from shared.garbage import look_seldom
from shared.postgres import Pool, open_pool
from shared.take_up import take_up


def make_worker(settings: TriageSettings) -> Celery:
    """The Celery application of triage. Connections are opened in the process that runs the task, at first use."""
    app = make_celery(settings.redis_url.get_secret_value())

    @cache
    def pool() -> Pool:
        return open_pool(settings.triage_database_url.get_secret_value(), schema="triage", size=3)

    @cache
    def assessor() -> Assessor:
        return open_assessor(settings, pool())

    @cache
    def examiner() -> Examiner:
        return open_examiner(assessor())

    def warm_up(**_: object) -> None:
        """Connect and load the packs before the first message comes. They stay, so no collection looks at them."""
        assessor().warm_up()
        look_seldom()

    worker_process_init.connect(warm_up, weak=False)

    @app.task(name=TASKS[TRIAGE])
    def assess(message: Any) -> None:
        """Note what the message names, and work off everything that is due."""
        take_up(pool(), KIND, decode(message), assessor().work)

    @app.task(name=TASKS[TRIAGE_REFUSED])
    def examine_refused(message: Any) -> None:
        """Note which refused submissions the message names, and look at all that wait."""
        take_up(pool(), EXAMINE, decode(message), examiner().work)

    install_canary(app, pool, TRIAGE)
    return app

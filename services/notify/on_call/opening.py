"""What the policy command needs from outside, by the settings of notify."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from services.notify.context import ways
from services.notify.on_call.command import Base
from services.notify.settings import NotifySettings
from services.notify.store import SCHEMA
from shared.postgres import open_pool


@contextmanager
def opened(settings: NotifySettings) -> Iterator[Base]:
    """The database of notify, for as long as the command runs."""
    pool = open_pool(settings.notify_database_url.get_secret_value(), schema=SCHEMA, size=2, name="policy")
    try:
        yield Base(pool, ways(settings))
    finally:
        pool.close()

"""Work that fails is put back for later, counted when the fault may be its own, and keeps no other work."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from shared import jobs
from shared.jobs import Claim
from shared.postgres import Pool, unavailable

PAUSE_S = 1.0

log = logging.getLogger(__name__)


@contextmanager
def given_back(pool: Pool, claim: Claim, event: str) -> Iterator[None]:
    """Whatever goes wrong in this block is logged, and the job is put back. Does not raise unless that fails too."""
    try:
        yield
    except Exception as error:
        passing = unavailable(error)
        log.log(
            logging.WARNING if passing else logging.ERROR,
            event,
            extra={"reference": claim.ref.id, "error": type(error).__name__, "attempts": claim.attempts},
            exc_info=None if passing else error,
        )
        give_back(pool, claim, error=type(error).__name__, delay_s=PAUSE_S, counts=not passing)


def give_back(pool: Pool, claim: Claim, *, error: str, delay_s: float, counts: bool) -> None:
    """Try this job again later."""
    with pool.connection() as connection:
        jobs.retry(connection, claim, error=error, delay_s=delay_s, counts=counts)

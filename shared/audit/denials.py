"""Recording who was not let in. It changes no answer: whoever was refused learns nothing from it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from shared.audit.act import Act, Asker, Interaction, Outcome, Word, record
from shared.ids import DEFAULT_TENANT
from shared.postgres import DatabaseError, Pool, tenant_transaction

MOST_A_MINUTE = 60
"""What one process records; more would let a stranger fill the audit. How many more there were stands in the log."""
STRANGER = "unknown"
"""The agent where nobody proved who they are."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Denials:
    """Records refusals in the audit of the tenant that was asked for, else in that of the default tenant."""

    pool: Pool
    clock: Callable[[], float] = time.monotonic
    _minute: float = 0.0
    _number: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, asker: Asker, word: Word, tenant: UUID = DEFAULT_TENANT, *, account: str | None = None) -> None:
        """Record that this asker was refused. `account`: whose account was tried, if anybody's. Never raises."""
        if not self._may():
            return
        about = "Practitioner" if account else None
        act = Act(Interaction.LOGIN, type=about, id=account, word=word, outcome=Outcome.REFUSED)
        try:
            with tenant_transaction(self.pool, tenant) as connection:
                record(connection, tenant, act, asker)
        except DatabaseError as error:
            log.warning("refusal not recorded", extra={"error": type(error).__name__})

    def _may(self) -> bool:
        with self._lock:
            now = self.clock()
            if now - self._minute >= 60:
                if self._number > MOST_A_MINUTE:
                    log.warning("refusals not recorded", extra={"number": self._number - MOST_A_MINUTE})
                self._minute, self._number = now, 0
            self._number += 1
            return self._number <= MOST_A_MINUTE

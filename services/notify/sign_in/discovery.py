"""What an identity provider says of itself (OpenID Connect Discovery 1.0), read once an hour."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from shared.outbound import Answer, OutboundFailed, OutboundRefused

DISCOVERED_S = 3600.0
"""How long it is used without asking again."""
FAILED_S = 10.0
"""After a failure nobody asks for this time."""
PATIENCE_S = 2.0
"""How long anybody waits while somebody else asks: a provider that hangs must not hold whoever serves other pages."""


class NotDiscovered(Exception):
    """It is not known and cannot be had now. The text says why, in a few words."""


class Discovery:
    """The configuration of one issuer. Thread-safe; one request asks, others take what is known or wait a moment.

    What was said last holds until something else is said: a provider that is away for a while has not moved.
    """

    def __init__(self, issuer: str, get: Callable[[str], Answer], now: Callable[[], float] = time.monotonic) -> None:
        self._issuer, self._get, self._now = issuer, get, now
        self._lock = threading.Lock()
        self._known: Mapping[str, Any] | None = None
        self._why = "somebody waits for it already"
        self._ask_again = float("-inf")
        self._waited_until = float("inf")

    def found(self) -> Mapping[str, Any]:
        """The configuration. Raises NotDiscovered."""
        if self._now() >= self._ask_again and self._lock.acquire(timeout=self._patience_s()):
            try:
                if self._now() >= self._ask_again:
                    self._ask()
            finally:
                self._lock.release()
        if self._known is None:
            raise NotDiscovered(self._why)
        return self._known

    def _patience_s(self) -> float:
        """None where something is known, and none for an answer that others have waited for in vain."""
        if self._known is not None:
            return 0.0
        return min(max(self._waited_until - self._now(), 0.0), PATIENCE_S)

    def _ask(self) -> None:
        self._waited_until = self._now() + PATIENCE_S
        try:
            self._known = self._read()
        except (OutboundFailed, OutboundRefused, ValueError, RecursionError) as error:
            self._why = str(error) if isinstance(error, OutboundFailed | OutboundRefused) else "it cannot be read"
            self._ask_again = self._now() + FAILED_S
        else:
            self._ask_again = self._now() + DISCOVERED_S
        finally:
            self._waited_until = float("inf")

    def _read(self) -> Mapping[str, Any]:
        answer = self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        found = json.loads(answer.body) if answer.status == 200 else None
        if not isinstance(found, dict) or found.get("issuer") != self._issuer:
            raise OutboundFailed("no configuration of this issuer")
        return found

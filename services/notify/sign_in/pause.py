"""How long somebody waits who failed to sign in: longer each time, and never for ever. Pure.

Failures are counted by what was typed as login name, known or not, and by network address; from a browser on which this
person signed in before they are counted for that browser alone, so that guessing elsewhere keeps nobody out (OWASP,
"Slow Down Online Guessing Attacks with Device Cookies"). At 60 s a pause, at most some 60 guesses an hour fit in
(OWASP ASVS asks for fewer than 100).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

LONGEST_S = 60.0
FORGOTTEN_S = 3600.0
"""Failures count until nobody failed for this time."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Something by which failures are counted, and how many cost nothing."""

    subject: str
    free: int

    def pause_s(self, failures: int) -> float:
        """How long the next attempt waits after so many failures in a row: 0, then 1, 2, 4 … 60 s."""
        over = failures - self.free
        return 0.0 if over < 0 else min(2.0 ** min(over, 10), LONGEST_S)

    def left_s(self, failures: int, failed_at: datetime, now: datetime) -> float:
        """How much of that is left."""
        pause_s, since_s = self.pause_s(failures), (now - failed_at).total_seconds()
        return max(pause_s - since_s, 0.0) if pause_s and since_s < FORGOTTEN_S else 0.0


def counted_by(login: str, *, device: bytes | None, address: str | None) -> tuple[Counted, ...]:
    """By what an attempt is counted. `device`: hash of the cookie of a browser that is known for this login name."""
    if device is not None:
        return (Counted(f"device/{device.hex()}", 10),)
    digest = hashlib.sha256(login.encode()).hexdigest()
    by_login = Counted(f"login/{digest}", 5)
    return (by_login, Counted(f"address/{address}", 50)) if address else (by_login,)

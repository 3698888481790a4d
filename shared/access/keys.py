"""Where public keys come from: given once, or read from an address and kept for as long as its answer allows."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.access.jose import JoseRefused, PublicKey, parse_key_set
from shared.outbound import Answer, OutboundFailed, OutboundRefused

DEFAULT_S = 300.0
LONGEST_S = 3600.0
"""Keys that were withdrawn are forgotten after this time, whatever the answer's headers say."""
SHORTEST_S = 5.0
UNKNOWN_KID_S = 30.0
"""A key that is not in the set is asked for at most this often: whoever invents names of keys makes nobody busy."""
PATIENCE_S = 2.0
"""How long one request waits while another reads the same set."""
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=([0-9]{1,9})(?:$|[\s,])")


class KeysUnavailable(Exception):
    """The keys cannot be had now. The text says why, as part of a sentence."""


class Keys(Protocol):
    """A set of public keys."""

    def named(self, kid: str | None) -> Sequence[PublicKey]:
        """All keys, read anew when `kid` is not among them and may have come since. Raises KeysUnavailable."""


@dataclass(frozen=True, slots=True)
class GivenKeys:
    """Keys that do not change while we run."""

    keys: Sequence[PublicKey]

    def named(self, kid: str | None) -> Sequence[PublicKey]:
        return self.keys


class RemoteKeys:
    """The keys at one address. Thread-safe; one request reads, others take what is known or wait a moment."""

    def __init__(self, url: str, get: Callable[[str], Answer], now: Callable[[], float] = time.monotonic) -> None:
        self.url, self._get, self._now = url, get, now
        self._lock = threading.Lock()
        self._keys: Sequence[PublicKey] = ()
        self._why = "its key set has not been read yet"
        self._fresh_until = self._usable_until = self._ask_again = float("-inf")

    def named(self, kid: str | None) -> Sequence[PublicKey]:
        """All keys. Raises KeysUnavailable."""
        if self._wanting(kid):
            known = self._now() < self._usable_until and self._has(kid)
            if self._lock.acquire(timeout=0 if known else PATIENCE_S):
                try:
                    if self._wanting(kid):
                        self._read()
                finally:
                    self._lock.release()
        if self._now() >= self._usable_until:
            raise KeysUnavailable(self._why)
        return self._keys

    def _has(self, kid: str | None) -> bool:
        return kid is None or any(key.kid == kid for key in self._keys)

    def _wanting(self, kid: str | None) -> bool:
        now = self._now()
        return now >= self._fresh_until or (not self._has(kid) and now >= self._ask_again)

    def _read(self) -> None:
        try:
            answer = self._get(self.url)
            if answer.status != 200:
                raise OutboundFailed(f"status {answer.status}")
            keys = parse_key_set(answer.body)
        except OutboundRefused as refused:
            self._failed(f"its key set cannot be read: {refused}".rstrip("."))
        except OutboundFailed as failed:
            self._failed(f"its key set cannot be read ({failed})")
        except JoseRefused as refused:
            self._failed(f"its key set cannot be used: {refused.reason}")
        else:
            now = self._now()
            self._keys = keys
            self._fresh_until = now + _lifetime_s(answer.headers.get("cache-control", ""))
            self._usable_until, self._ask_again = now + LONGEST_S, now + UNKNOWN_KID_S

    def _failed(self, why: str) -> None:
        self._why = why
        self._fresh_until, self._ask_again = self._now() + SHORTEST_S, self._now() + UNKNOWN_KID_S


def _lifetime_s(cache_control: str) -> float:
    """How long an answer with this header may be used without asking again."""
    text = cache_control.lower()
    if "no-store" in text or "no-cache" in text:
        return SHORTEST_S
    found = _MAX_AGE.search(text)
    return min(max(float(found[1]), SHORTEST_S), LONGEST_S) if found else DEFAULT_S

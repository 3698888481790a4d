"""Passwords: how they are kept, and which are refused. The one door for argon2.

Kept as argon2id with OWASP's parameters (19 MiB, 2 passes, 1 lane: Password Storage Cheat Sheet). Rules are those of
NIST SP 800-63B-4, 3.1.1.2: length, none that everybody tries first, and no rule of what a password must be made of.
"""

from __future__ import annotations

import re
import secrets
import threading
import unicodedata
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 12, 256
"""Characters, after Unicode normalisation."""
AT_ONCE = 2
"""Hashes that one process computes at a time: each takes 19 MiB, and a container has 256 MiB."""
PATIENCE_S = 10.0

Result = TypeVar("Result")

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_HASHING = threading.BoundedSemaphore(AT_ONCE)
_PADDING = re.compile(r"[\W\d_]+")
_OF_THE_PLACE = ("sural", "clinician", "clinic", "hospital", "worklist", "doctor", "nurse")


class Busy(Exception):
    """More people sign in at this moment than hashes can be computed. Trying again helps."""


def hash_password(password: str) -> str:
    """What the database keeps of it. Raises Busy."""
    return _one_at_a_time(lambda: _HASHER.hash(normal(password)))


def is_right(kept: str | None, password: str) -> bool:
    """Whether this is the password. Takes the same time where there is none to compare with. Raises Busy."""

    def verified() -> bool:
        try:
            return _HASHER.verify(kept if kept is not None else _nobodys(), normal(password)) and kept is not None
        except (VerificationError, InvalidHashError):
            return False

    return _one_at_a_time(verified)


def is_outdated(kept: str) -> bool:
    """Whether it was made with parameters of before: it is made anew at the next sign-in."""
    return _HASHER.check_needs_rehash(kept)


def fault_of(password: str, *, login: str = "", name: str = "") -> str | None:
    """Why this cannot be a password, as a sentence; None when it can."""
    text = normal(password)
    if len(text) < SHORTEST:
        return f"Choose a password of at least {SHORTEST} characters. A few words in a row are easy to remember."
    if len(text) > LONGEST:
        return f"Choose a password of at most {LONGEST} characters."
    folded = text.casefold()
    if folded in common() or len(set(folded)) < 5 or _is_run(folded):
        return "This password is one of those that are tried first. Choose another."
    bare = _PADDING.sub("", folded)
    known = {word for word in (login.casefold(), *name.casefold().split(), *_OF_THE_PLACE) if len(word) > 2}
    if not bare or any(_is_made_of(bare, word) for word in (*common(), *known) if word.isalpha()):
        return "This password is a word that is tried first, or your own name, with a few figures. Choose another."
    return None


def first_password() -> str:
    """A password that is given to somebody once and changed at the first sign-in: 100 random bits, easy to read out."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(4))


def normal(password: str) -> str:
    """The same text however the keyboard composed it (NFKC)."""
    return unicodedata.normalize("NFKC", password)


@cache
def common() -> frozenset[str]:
    """Passwords and words that are tried first, in small letters."""
    text = Path(__file__).with_name("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def _is_run(text: str) -> bool:
    """Whether most neighbours follow each other: abcdefghijkl, 987654321098."""
    steps = [ord(after) - ord(before) for before, after in pairwise(text)]
    return sum(step in (-1, 1, 0) for step in steps) >= len(steps) * 0.75


def _is_made_of(text: str, word: str) -> bool:
    return len(text) % len(word) == 0 and text == word * (len(text) // len(word))


@cache
def _nobodys() -> str:
    """A hash of nothing that anybody knows, to compare with where there is no account."""
    return _HASHER.hash(secrets.token_urlsafe(32))


def _one_at_a_time(compute: Callable[[], Result]) -> Result:
    if not _HASHING.acquire(timeout=PATIENCE_S):
        raise Busy
    try:
        return compute()
    finally:
        _HASHING.release()

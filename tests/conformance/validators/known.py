"""The differences between independent validators and our gate that are known, with their reasons."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("known-differences.toml")
_INVARIANT = re.compile(r"[a-z]{3}-[0-9]+[a-z]?")


@dataclass(frozen=True)
class Known:
    """`accepted`: reasons of ours that it may pass over, and any invariant where it evaluates none.

    `refused`: names of cases that it refuses. `emitted`: pieces of its messages about what we emit, wrong of it.
    """

    accepted: frozenset[str]
    refused: frozenset[str]
    emitted: frozenset[str]
    evaluates_invariants: bool

    def explains(self, reasons: frozenset[str]) -> bool:
        """Whether it may pass over what we refuse for these reasons."""
        invariants = {reason for reason in reasons if _INVARIANT.fullmatch(reason)}
        return bool(reasons & self.accepted or (invariants and not self.evaluates_invariants))


def known_differences(validator: str) -> Known:
    """What is known of one validator."""
    entries = tomllib.loads(FILE.read_text("utf-8")).get(validator, {})
    for entry in (*entries.get("accepts", ()), *entries.get("refuses", ())):
        assert entry["why"], entry
        assert entry["specification"], entry
    return Known(
        frozenset(reason for entry in entries.get("accepts", ()) for reason in entry.get("reasons", ())),
        frozenset(case for entry in entries.get("refuses", ()) for case in entry.get("cases", ())),
        frozenset(text for entry in entries.get("refuses", ()) for text in entry.get("emitted", ())),
        not any(entry.get("invariants") for entry in entries.get("accepts", ())),
    )

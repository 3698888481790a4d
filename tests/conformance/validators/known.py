"""The differences between independent validators and our gate that are known, with their reasons."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("known-differences.toml")


@dataclass(frozen=True)
class Known:
    """`accepted`: reasons of ours that it may pass over. `refused`: names of cases that it refuses.

    `emitted`: pieces of its messages about what we emit, which are wrong of it.
    """

    accepted: frozenset[str]
    refused: frozenset[str]
    emitted: frozenset[str]


def known_differences(validator: str) -> Known:
    """What is known of one validator."""
    entries = tomllib.loads(FILE.read_text("utf-8")).get(validator, {})
    for entry in (*entries.get("accepts", ()), *entries.get("refuses", ())):
        assert entry["why"], entry
        assert entry["specification"], entry
    return Known(
        frozenset(reason for entry in entries.get("accepts", ()) for reason in entry["reasons"]),
        frozenset(case for entry in entries.get("refuses", ()) for case in entry.get("cases", ())),
        frozenset(text for entry in entries.get("refuses", ()) for text in entry.get("emitted", ())),
    )

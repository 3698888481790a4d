"""What came of something, kept for the next patient of whom the same is asked.

Who comes first fills the room, and that may be the oddest of all; so what is full is forgotten and filled anew, and
nobody is shut out. Threads share what is kept: all of it is forgotten in one step, and one may find it gone between two
looks.
"""

from __future__ import annotations

from typing import Any


def keep(known: dict[Any, Any], key: Any, value: Any, *, room: int) -> None:
    """Keep the value; where there is no room for it, all others are forgotten."""
    if len(known) >= room:
        known.clear()
    known[key] = value

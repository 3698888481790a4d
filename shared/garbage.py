"""Fewer looks for garbage: what a process has once it is ready stays, and what a request leaves is freed at once.

Python frees nearly everything by counting references; its collector looks only for circles. To read one response makes
hundreds of objects, all of them gone with the answer, and the collector went over them, and over all that stays, at
every second response: an eighth of the processor time of the web process.
"""

from __future__ import annotations

import gc
from typing import Final

OBJECTS: Final = 5000
"""New objects until it looks again: those of a dozen responses. Circles among them hold their memory until then."""


def look_seldom() -> None:
    """Leave what is there now alone for good, and look at new objects seldom. To be called when a process is ready."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS)

"""The environment of what is measured, and of what others wrote: with nothing of Sural in it."""

from __future__ import annotations

import os


def outside() -> dict[str, str]:
    """Ours without our settings: no real system is reached by them, and no secret of one is given away."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("SURAL_", "PYTHONPATH"))}

"""How much disk the sizes need, and what is left out of a size when there is not enough. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.local.benchmark.growth_rows import INDEXED_LATER, LEFT_OUT_FIRST, WHOLE, Part

BASE_BYTES = 3_000_000_000
"""For PostgreSQL itself: its log, and files while indexes are sorted."""
SORTING = 1.15
"""What a size needs while it is made, of what it takes afterwards."""
KEPT_FREE = 0.1
"""Share of the free space that is left to others."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A size, what is made of it, and the bytes that it is expected to need."""

    responses: int
    parts: frozenset[Part]

    @property
    def needed_bytes(self) -> int:
        """Expected while it is made."""
        return int(self.responses * sum(part.value for part in self.parts) * SORTING)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Names of the parts that are not made."""
        return tuple(part.name.lower() for part in Part if part not in self.parts)

    def as_line(self) -> str:
        """For a terminal."""
        left = f", without {' and '.join(self.left_out)}" if self.left_out else ""
        return f"{self.responses:,} responses: about {self.needed_bytes / 1e9:.1f} GB of disk{left}"


def plan_sizes(sizes: Sequence[int], *, free_bytes: int) -> list[Plan]:
    """What can be made of these sizes. The largest loses parts until all of them fit.

    Raises SystemExit when even its core does not fit.
    """
    smaller = [Plan(size, _wanted(size)) for size in sizes[:-1]]
    room = int(free_bytes * (1 - KEPT_FREE)) - BASE_BYTES - sum(plan.needed_bytes for plan in smaller)
    parts = set(_wanted(sizes[-1]))
    for part in (None, *LEFT_OUT_FIRST):
        parts.discard(part) if part else None
        largest = Plan(sizes[-1], frozenset(parts))
        if largest.needed_bytes <= room:
            return [*smaller, largest]
    needed = (largest.needed_bytes + BASE_BYTES + sum(plan.needed_bytes for plan in smaller)) / (1 - KEPT_FREE)
    raise SystemExit(
        f"Measuring {sizes[-1]:,} stored responses needs at least {needed / 1e9:.0f} GB of free disk for temporary "
        f"files, and there are {free_bytes / 1e9:.0f} GB. Free some space, or point TMPDIR at a larger disk."
    )


def _wanted(size: int) -> frozenset[Part]:
    """All, but for the resources of triage where they would take as much as everything else together.

    They lie in tables like those of the responses, and none of the works that are measured asks for them.
    """
    return WHOLE if size < INDEXED_LATER else WHOLE - {Part.ASSESSMENTS}

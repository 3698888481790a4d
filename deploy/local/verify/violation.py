"""What a broken invariant looks like."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """One thing that is not as it must be. `id` names it, `what` is a sentence about it: never what a patient said."""

    invariant: str
    what: str
    id: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.id}: {self.what}"

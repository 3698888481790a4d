"""The invariants: what must always be so, looked for in the database of a system that runs or was stopped.

`check` gives what breaks them; nothing is all well. It reads, in one snapshot, and changes nothing.
"""

from __future__ import annotations

from deploy.local.verify.checking import EVERYTHING, NotTheOwner, check
from deploy.local.verify.ledger import Accepted
from deploy.local.verify.violation import Violation

__all__ = ["EVERYTHING", "Accepted", "NotTheOwner", "Violation", "check"]

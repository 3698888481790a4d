"""One rule of FHIR about the content of an element."""

from __future__ import annotations

from dataclasses import dataclass

from shared.fhir.predicates import Predicate


@dataclass(frozen=True, slots=True)
class Invariant:
    """One rule: its key in the specification, the predicate, what to tell the sender when it is broken."""

    key: str
    holds: Predicate
    message: str

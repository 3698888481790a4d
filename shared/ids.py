"""Identifiers: time-ordered ids for what we store, name-based ids for what must be the same on every run."""

from __future__ import annotations

import os
import time
from uuid import UUID, uuid5

NAMESPACE = UUID("9b1a8f0e-6f43-5d0c-8a55-53757261c001")
"""Namespace of every name-based id of ours. Changing it would give every assessment a new id."""

DEFAULT_TENANT = uuid5(NAMESPACE, "tenant/default")
"""The only tenant until more are configured. Rows carry a tenant from the first migration."""

PUBLISHED_TENANT = UUID("c9ed42bf-0bc4-55cd-a4fd-5a9c0266914a")
"""Owns what we publish: shipped Questionnaires, knowledge, terminology, profiles, the engine's Device. Every tenant
reads it; only migrations write it, as the owner of the database (`shared/migrations/0006_row_security.sql`)."""

WATCHDOG_TENANT = uuid5(NAMESPACE, "tenant/watchdog")
"""Reserved for the synthetic emergencies of the watchdog (services/notify/watchdog). Only our services act for it:
being of this tenant, and nothing that can be sent, makes an alert synthetic."""


def seen_by(tenant: UUID) -> list[UUID]:
    """The tenants whose definitions this tenant may use: its own, and what is published."""
    return [tenant, PUBLISHED_TENANT]


def uuid7() -> UUID:
    """A random id that sorts by creation time (RFC 9562, version 7, milliseconds)."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=value)


def named(*parts: object) -> UUID:
    """The same id for the same parts, always: used so that a repeated run cannot make a second resource."""
    return uuid5(NAMESPACE, "/".join(str(part) for part in parts))

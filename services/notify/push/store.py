"""Rows of `push_subscription`."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from services.notify.push.device import MOST_DEVICES, Device
from services.notify.push.vapid import base64url, from_base64url
from shared.postgres import DictConnection, Pool, load_queries, tenant_transaction

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


def register(connection: DictConnection, tenant: UUID, device: Device) -> None:
    """From now on this person is told on this device; of more than five devices the oldest is forgotten."""
    values = {
        "id": device.id,
        "tenant_id": tenant,
        "person": device.person,
        "name": device.name,
        "endpoint": device.endpoint,
        "public_key": base64url(device.public_key),
        "secret": base64url(device.secret),
    }
    connection.execute(QUERIES["register"], values)
    connection.execute(QUERIES["keep_newest"], {"tenant_id": tenant, "person": device.person, "most": MOST_DEVICES})


def devices_of(connection: DictConnection, tenant: UUID, person: str) -> list[Device]:
    """The devices of a person, the newest first."""
    rows = connection.execute(QUERIES["devices"], {"tenant_id": tenant, "person": person}).fetchall()
    keys = ("public_key", "secret")
    return [Device(**(row | {name: from_base64url(row[name]) for name in keys})) for row in rows]


def people_with_devices(connection: DictConnection, tenant: UUID) -> frozenset[str]:
    """Ids of the people who registered a device."""
    rows = connection.execute(QUERIES["people"], {"tenant_id": tenant}).fetchall()
    return frozenset(row["person"] for row in rows)


def forget(connection: DictConnection, tenant: UUID, person: str, device: UUID) -> bool:
    """Nobody is told on this device any more. False: this person has no such device."""
    values = {"tenant_id": tenant, "person": person, "id": device}
    return connection.execute(QUERIES["forget"], values).rowcount == 1


class Devices:
    """The devices of all people, each asked for and changed in a transaction of its own."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def of(self, tenant: UUID, person: str) -> list[Device]:
        """The devices of a person, the newest first."""
        with tenant_transaction(self._pool, tenant) as connection:
            return devices_of(connection, tenant, person)

    def forget(self, tenant: UUID, gone: list[Device]) -> None:
        """Forget those that are no more."""
        if not gone:
            return
        with tenant_transaction(self._pool, tenant) as connection:
            for device in gone:
                forget(connection, tenant, device.person, device.id)

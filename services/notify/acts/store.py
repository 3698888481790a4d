"""One-time links and answers of webhook receivers: their rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from services.notify.records import Alert, Delivery
from shared.postgres import DictConnection, Pool, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, slots=True)
class Link:
    """A row of `ack_link` that is not over."""

    token_sha256: bytes
    tenant_id: UUID
    alert_id: UUID
    delivery_id: UUID
    person: str | None
    used_at: datetime | None
    used_by: str | None


def make_link(connection: DictConnection, alert: Alert, delivery: Delivery, token: bytes, lasts: timedelta) -> None:
    """Keep the hash of a link to this alert in this message; forget those of the alert that are over."""
    connection.execute(
        QUERIES["make_link"],
        {
            "token": token,
            "tenant_id": alert.tenant_id,
            "alert_id": alert.id,
            "delivery_id": delivery.id,
            "person": delivery.person,
            "lasts": lasts,
        },
    )


def whose_link(pool: Pool, token: bytes) -> tuple[UUID, UUID] | None:
    """The tenant and the alert that a link belongs to, or None."""
    with pool.connection() as connection:
        row = connection.execute(QUERIES["whose_link"], {"token": token}).fetchone()
    return (row["tenant_id"], row["alert_id"]) if row else None


def link(connection: DictConnection, tenant: UUID, token: bytes) -> Link | None:
    """A link that is not over, or None."""
    row = connection.execute(QUERIES["link"], {"tenant_id": tenant, "token": token}).fetchone()
    return Link(**(row | {"token_sha256": bytes(row["token_sha256"])})) if row else None


def use_link(connection: DictConnection, used: Link, by: str, now: datetime) -> None:
    """This link has done what it is for."""
    parameters = {"tenant_id": used.tenant_id, "token": used.token_sha256, "by": by, "now": now}
    connection.execute(QUERIES["use_link"], parameters)


def tenant_of_answered(pool: Pool, alert_id: UUID, receiver: str) -> UUID | None:
    """The tenant of an alert of which this receiver was to be told, or None."""
    with pool.connection() as connection:
        row = connection.execute(QUERIES["tenant_of_answered"], {"alert_id": alert_id, "receiver": receiver}).fetchone()
    return row["tenant"] if row else None


def answered_step(connection: DictConnection, alert: Alert, delivery_id: UUID, receiver: str) -> int | None:
    """The step of this alert's message to this receiver, or None when there is no such message."""
    parameters = {"tenant_id": alert.tenant_id, "id": delivery_id, "alert_id": alert.id, "receiver": receiver}
    row = connection.execute(QUERIES["answered_delivery"], parameters).fetchone()
    return row["step"] if row else None


def take_answer(connection: DictConnection, tenant: UUID, receiver: str, webhook_id: str, body: bytes) -> bool | None:
    """True: this answer is new. False: it was taken before. None: another one had the same id. `body`: its SHA-256."""
    key = {"tenant_id": tenant, "receiver": receiver, "webhook_id": webhook_id}
    connection.execute(QUERIES["forget_answers"], {"tenant_id": tenant})
    if connection.execute(QUERIES["take_answer"], key | {"body": body}).rowcount == 1:
        return True
    row = connection.execute(QUERIES["answer_body"], key).fetchone()
    return False if row is not None and bytes(row["body_sha256"]) == body else None

"""One-time links: whoever was told of an alert acknowledges it with one press, without signing in.

Each message gets a random token of 128 bits; only its hash is kept. A link acknowledges once. It is over after 48
hours, and as soon as the alert is closed. Looking at it changes nothing: mail scanners and chat services open links.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from services.notify.acts import store
from services.notify.acts.acknowledge import accept
from services.notify.acts.actor import Actor
from services.notify.acts.held import Held, LookedAt, changed_since, held
from services.notify.acts.people import document_of, name_of_person
from services.notify.acts.store import Link
from services.notify.records import Alert, Delivery
from services.notify.store import count_assessments
from shared.audit.act import Act as Audited
from shared.audit.act import Asker, Interaction, asked_by, asker_or, patient_of, record
from shared.postgres import DictConnection, Pool

TOKEN_BYTES = 16
LASTS = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class Opened:
    """A link that holds, and its alert as it was when it was opened.

    `name`: whom the message went to; None for an address without a person. `assessments`: how many the alert held.
    """

    link: Link
    alert: Alert
    name: str | None
    assessments: int


def make_link(connection: DictConnection, alert: Alert, delivery: Delivery) -> str:
    """A new link in this message, in the caller's transaction; returns its token, which is kept nowhere."""
    token = new_token()
    store.make_link(connection, alert, delivery, hashed(token), LASTS)
    return token


def new_token() -> str:
    """The token of a link that is still to be made."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hashed(token: str) -> bytes:
    """What is kept of a token. It is looked up as a whole, so that no time tells how much of it was right."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def look(pool: Pool, token: str, *, address: str | None = None) -> Opened | None:
    """What a link leads to; None when it is wrong or over, which is not told apart. Changes nothing."""
    with _opened(pool, token, address) as found:
        return found[1] if found else None


def acknowledge_by(
    pool: Pool, token: str, *, name: str, looked_at: LookedAt | None, address: str | None = None
) -> Opened | None:
    """Acknowledge as the person to whom the message went, else under this name. None when the link is wrong or over.

    A link that was used, or an alert that somebody acknowledged, stays as it is. Raises ProblemError: no name (422),
    or more than the person saw, or nothing that says what that was (409).
    """
    with _opened(pool, token, address) as found:
        if found is None:
            return None
        now, opened = found
        if opened.link.used_at is not None or not opened.alert.state.absorbs:
            return opened
        by = Actor(opened.name or name, opened.link.person if opened.name else None, "link").checked()
        if looked_at is None:
            raise changed_since()
        now.require_seen(looked_at)
        accept(now, by)
        store.use_link(now.connection, opened.link, by.name, now.now)
        return opened


@contextmanager
def _opened(pool: Pool, token: str, address: str | None) -> Iterator[tuple[Held, Opened] | None]:
    """The link and its alert, locked, in a transaction of its tenant; None when it is wrong or over."""
    whose = store.whose_link(pool, hashed(token))
    if whose is None:
        yield None
        return
    tenant, alert_id = whose
    with held(pool, tenant, alert_id) as now:
        found = store.link(now.connection, tenant, hashed(token))
        if found is None or now.alert.state.is_closed:
            yield None
            return
        asked_by(Asker(f"link/{found.delivery_id}", address, asker_or("").request))
        patient = patient_of({"subject": now.alert.subject})
        record(now.connection, tenant, Audited(Interaction.READ, "Task", id=str(alert_id), patient=patient))
        name = name_of_person(document_of(now.connection, tenant), found.person)
        yield now, Opened(found, now.alert, name, count_assessments(now.connection, now.alert))

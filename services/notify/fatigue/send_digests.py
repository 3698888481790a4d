"""Use case: send everybody their digest of the day, once, when there is something to say.

The row of the day is taken before the mail is sent and ended after it, so no second process sends it and no restart
sends it again. A process that dies between the mail and the row's end sends it once more, under the same Message-ID.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from uuid import UUID

from services.notify.channels import Answer
from services.notify.channels.email import EmailChannel
from services.notify.context import Notify
from services.notify.escalation import EMAIL, Plan
from services.notify.fatigue import store
from services.notify.fatigue.budget import person_key
from services.notify.fatigue.digest import Digest, Reader, day_due, mail_of
from services.notify.on_call import store as on_call
from services.notify.on_call.document import Document
from services.notify.on_call.flaw import DocumentFlawed
from shared.failpoint import reach
from shared.postgres import DictConnection, database_now, tenant_transaction

FIRST = timedelta(days=1)
"""How far back the first digest looks."""
NOTHING = "nothing-to-say"

log = logging.getLogger(__name__)


def send_digests(notify: Notify, at: str) -> int:
    """Send what is due; returns how many mails went out. `at`: the time of the day; empty: never."""
    channel = notify.channels.get(EMAIL)
    if not at or not isinstance(channel, EmailChannel):
        return 0
    with notify.pool.connection() as connection:
        tenants = store.tenants_with_news(connection)
    return sum(
        _send(notify, channel, tenant, reader, at) for tenant in tenants for reader in _readers_of(notify, tenant)
    )


def _readers_of(notify: Notify, tenant: UUID) -> list[Reader]:
    with tenant_transaction(notify.pool, tenant) as connection:
        try:
            document = on_call.current(connection, tenant)
        except DocumentFlawed:
            document = None
    return list(readers(document, notify.plan))


def readers(document: Document | None, plan: Plan) -> Iterable[Reader]:
    """Everybody in a team, by their first e-mail address; without a document the addresses of the settings."""
    if document is None:
        yield from (Reader(one.address, person_key(one)) for one in plan.recipients if one.channel == EMAIL)
        return
    for person in document.people:
        teams = tuple(team.id for team in document.teams if person.id in team.members)
        address = next((contact.address for contact in person.contacts if contact.channel == EMAIL), None)
        if teams and address:
            yield Reader(address, person.id, person.time_zone, teams)


def _send(notify: Notify, channel: EmailChannel, tenant: UUID, reader: Reader, at: str) -> bool:
    with tenant_transaction(notify.pool, tenant) as connection:
        now = database_now(connection)
        day = day_due(reader, at, now)
        digest = _taken(connection, tenant, reader, day, now - FIRST) if day else None
    if day is None or digest is None:
        return False
    link = f"{notify.public_url.rstrip('/')}/worklist"
    mail = mail_of(digest, reader, now, sender=channel.sender, link=link, sandbox=notify.sandbox)
    reach("notify.digest.before_send")
    result = channel.hand_over(mail)
    reach("notify.digest.after_send")
    sent = result.answer is Answer.SENT
    with tenant_transaction(notify.pool, tenant) as connection:
        store.end_digest(connection, tenant, reader.address, day, answer=result.detail, sent=sent)
    if not sent:
        log.warning("digest not sent", extra={"error": result.detail})
    return sent


def _taken(connection: DictConnection, tenant: UUID, reader: Reader, day: date, first: datetime) -> Digest | None:
    """What there is to say, to whoever takes the row of the day; None when it was taken, or there is nothing."""
    since = store.last_digest(connection, tenant, reader.address, day) or first
    taken = store.take_digest(connection, tenant, reader.address, day, since)
    if taken is None:
        return None
    suppressed, held = store.spared_and_held(connection, tenant, reader.key, taken)
    digest = Digest(
        taken.id,
        taken.since,
        store.quiet_counts(connection, tenant, taken),
        store.unresolved(connection, tenant, reader.teams),
        suppressed,
        held,
    )
    if digest.says_nothing:
        store.end_digest(connection, tenant, reader.address, day, answer=NOTHING, sent=False)
        return None
    return digest

"""A marked message that says it is a test: whether the channels of a person, or of the settings, reach anybody.

Nothing of it is stored, and no alert stands behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from uuid import UUID

from services.notify.channels import TRIAL, Answer, DeliveryResult, Message
from services.notify.context import Notify, open_notify
from services.notify.escalation import Recipient
from services.notify.on_call import store as on_call
from services.notify.send import GRACE_S, send_within
from services.notify.settings import NotifySettings
from shared.fhir.codes import Urgency
from shared.ids import DEFAULT_TENANT, uuid7
from shared.postgres import tenant_transaction


class Unknown(Exception):
    """Nobody by that name, or nobody to tell. The text is a sentence."""


def whom(notify: Notify, tenant: UUID, person_id: str | None) -> Sequence[Recipient]:
    """The contacts of a person of the on-call document; None: the addresses of the settings. Raises Unknown."""
    if person_id is None:
        if not notify.plan.recipients:
            raise Unknown("The settings name nobody: set SURAL_ALERT_RECIPIENTS, or name a person.")
        return notify.plan.recipients
    with tenant_transaction(notify.pool, tenant) as connection:
        document = on_call.current(connection, tenant)
    if document is None:
        raise Unknown("There is no on-call document yet. Save one with `policy apply`.")
    person = document.person(person_id)
    if person is None:
        known = ", ".join(one.id for one in document.people)
        raise Unknown(f"The on-call document has no person {person_id[:64]}. It has: {known}.")
    return [Recipient(contact.channel, contact.address, person.id) for contact in person.contacts]


def try_out(notify: Notify, tenant: UUID, told: Sequence[Recipient]) -> Iterator[tuple[Recipient, DeliveryResult]]:
    """Send one test message to each, and say how it ended."""
    for recipient in told:
        channel = notify.channels.get(recipient.channel)
        if channel is None:
            yield recipient, DeliveryResult(Answer.REFUSED, "channel-not-configured")
            continue
        message = Message(
            delivery_id=uuid7(),
            alert_id=uuid7(),
            urgency=Urgency.SAME_DAY,
            step=1,
            opened_at=datetime.now(UTC),
            recipient=recipient.address,
            public_url=notify.public_url,
            sandbox=notify.sandbox,
            notice=TRIAL,
            still_open=False,
            tenant_id=tenant,
        )
        yield recipient, send_within(notify.channel_timeout_s + GRACE_S, channel, message)


def run(settings: NotifySettings, person_id: str | None = None) -> bool:
    """Send, print a line for each, and say whether all were taken."""
    with closing(open_notify(settings, size=2, name="trial")) as notify:
        try:
            told = whom(notify, DEFAULT_TENANT, person_id)
        except Unknown as unknown:
            _say(str(unknown))
            return False
        taken = True
        for recipient, result in try_out(notify, DEFAULT_TENANT, told):
            taken &= result.answer is Answer.SENT
            mark = "ok  " if result.answer is Answer.SENT else "FAIL"
            _say(f"{mark} {recipient.channel} {recipient.address}: {result.answer} ({result.detail})")
    return taken


def _say(line: str) -> None:
    print(line)  # noqa: T201 - what the command answers

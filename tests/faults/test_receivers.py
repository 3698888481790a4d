"""What the channels make of each bad manner, and what a receiver notes of what it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from deploy.local.faults.receivers import MailServer, Manner, Post, Receiver, WebhookServer
from deploy.local.faults.sandbox import SECRET
from services.notify.channels import Answer, Channel, Message
from services.notify.channels.email import EmailChannel
from services.notify.channels.receivers import Receiver as Registered
from services.notify.channels.smtp import MailServer as Smtp
from services.notify.channels.webhook import WebhookChannel
from shared.fhir.codes import Urgency

ANSWER_S = 3.0
TAKES, LATER, NEVER = Answer.SENT, Answer.FAILED, Answer.REFUSED


@pytest.fixture(params=["email", "webhook"])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Receiver, Channel]]:
    """A receiver, and the channel of ours that leads to it."""
    receiver = MailServer(Post()) if request.param == "email" else WebhookServer(Post())
    with receiver:
        if isinstance(receiver, MailServer):
            yield (
                receiver,
                EmailChannel(
                    Smtp(f"smtp://127.0.0.1:{receiver.port}", "sural.example.org", ANSWER_S), "sural@example.org"
                ),
            )
        else:
            known = {"default": Registered("default", f"http://127.0.0.1:{receiver.port}/", (SECRET,))}
            yield receiver, WebhookChannel(known, ANSWER_S, sandbox=True)


def a_message(channel: str, *, notice: str | None = None) -> Message:
    return Message(
        delivery_id=uuid4(),
        alert_id=UUID("01a228c7-b732-71a8-85f6-caa80d56def6"),
        urgency=Urgency.EMERGENCY,
        step=1,
        opened_at=datetime.now(UTC),
        recipient="on-call@example.org" if channel == "email" else "default",
        public_url="http://127.0.0.1:8000",
        sandbox=True,
        notice=notice,
        token=None if notice else "A" * 22,
    )


@pytest.mark.parametrize(
    ("manner", "answer", "taken"),
    [
        (Manner.TAKES, TAKES, 1),
        (Manner.FLOODS, TAKES, 1),
        (Manner.HANGS_UP, LATER, 0),
        (Manner.TEMPORARY, LATER, 0),
        (Manner.PERMANENT, NEVER, 0),
        (Manner.HANGS, LATER, 0),
        (Manner.DROPS, LATER, 1),
        (Manner.TOO_MANY, LATER, 0),
        (Manner.REDIRECTS, NEVER, 0),
    ],
)
def test_each_manner_is_what_it_says(
    both: tuple[Receiver, Channel], manner: Manner, answer: Answer, taken: int
) -> None:
    receiver, channel = both
    receiver.manner = manner
    message = a_message(receiver.channel)
    result = channel.send(message)
    assert (result.answer, len(receiver.post.arrivals)) == (answer, taken), result.detail


def test_who_answers_a_byte_a_second_is_not_waited_for(both: tuple[Receiver, Channel]) -> None:
    receiver, channel = both
    receiver.manner = Manner.DRIPS
    began = time.monotonic()
    channel.send(a_message(receiver.channel))
    assert time.monotonic() - began < 2 * ANSWER_S
    assert len(receiver.post.arrivals) == 1


def test_a_receiver_notes_the_alert_the_delivery_and_the_link(both: tuple[Receiver, Channel]) -> None:
    receiver, channel = both
    message, notice = a_message(receiver.channel), a_message(receiver.channel, notice="changed")
    assert channel.send(message).answer is channel.send(notice).answer is TAKES
    first, second = receiver.post.arrivals
    assert (first.alert, first.delivery, first.link) == (str(message.alert_id), str(message.delivery_id), "A" * 22)
    assert (first.notice, second.notice) == (False, True)

"""How many messages that are no emergencies a person gets in an hour. Pure.

Emergencies are never counted and never suppressed. Whoever is above the budget is spared the message, which is
recorded; but a step always tells somebody: where everybody would be spared, the first is told all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from services.notify.escalation import EMERGENCY, Recipient

WINDOW = timedelta(hours=1)


def person_key(recipient: Recipient) -> str:
    """Whose messages are counted together: all of a person, else those to one address."""
    return recipient.person or f"{recipient.channel}/{recipient.address}"


def spared(told: Sequence[Recipient], *, urgency: str, lately: Mapping[str, int], budget: int) -> tuple[Recipient, ...]:
    """Which of these are not sent this message. `lately`: how many steps each was told of in the last hour, by key."""
    if urgency == EMERGENCY:
        return ()
    over = [recipient for recipient in told if lately.get(person_key(recipient), 0) >= budget]
    if told and len(over) == len(told):
        first = person_key(told[0])
        over = [recipient for recipient in over if person_key(recipient) != first]
    return tuple(over)

"""A browser on which somebody asked to be told. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.notify.push.encryption import SECRET_BYTES, read_point
from services.notify.push.vapid import from_base64url
from shared.outbound import Outbound, OutboundRefused

LONGEST_ENDPOINT = 1000
NAME_LENGTH = 60
MOST_DEVICES = 5
"""Of one person. Who registers one more loses the oldest."""


@dataclass(frozen=True, slots=True)
class Device:
    """`endpoint`: where its push service takes messages. `public_key`, `secret`: with which only it can read them."""

    id: UUID
    person: str
    name: str
    endpoint: str = field(repr=False)
    public_key: bytes = field(repr=False)
    secret: bytes = field(repr=False)
    created_at: datetime | None = None


def read_device(form: Mapping[str, list[str]], *, id: UUID, person: str, door: Outbound) -> Device:
    """What a browser sent when somebody pressed the button.

    Raises ValueError with a sentence for that person: an address that we would not ask, or keys that are none.
    """
    endpoint, public_key, secret, name = (form.get(field, [""])[0] for field in ("endpoint", "p256dh", "auth", "name"))
    if not 0 < len(endpoint) <= LONGEST_ENDPOINT:
        raise ValueError("Your browser gave no address for messages. Try again, or use another browser.")
    try:
        door.check(endpoint)
    except OutboundRefused:
        raise ValueError("The push service of your browser has an address that cannot be used here.") from None
    try:
        point, auth = from_base64url(public_key), from_base64url(secret)
        read_point(point)
    except ValueError:
        point, auth = b"", b""
    if len(auth) != SECRET_BYTES:
        raise ValueError("Your browser gave no usable keys for messages. Try again, or use another browser.")
    shown = "".join(character for character in " ".join(name.split()) if character.isprintable())[:NAME_LENGTH]
    return Device(id, person, shown or "A browser", endpoint, point, auth)

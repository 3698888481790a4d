"""Who gets webhooks: receivers with a name each. Pure; the on-call document and the database know the name only.

`SURAL_WEBHOOKS` (or the file that `SURAL_WEBHOOKS_FILE` names) is a JSON array::

    [{"id": "ward-pager", "url": "https://pager.clinic.example/hook", "secrets": ["whsec_new", "whsec_old"]}]

`SURAL_WEBHOOK_URL` and `SURAL_WEBHOOK_SECRET` are the receiver `default`.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from standardwebhooks import Webhook

DEFAULT = "default"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
MOST_SECRETS = 2
"""The one in use, and the one that takes its place or that it took the place of."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Somebody's system that takes webhooks. Every one of `secrets` signs what is posted."""

    id: str
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


def parse_receivers(text: str) -> dict[str, Receiver]:
    """Receivers by id. Raises ValueError with a sentence that holds neither address nor secret."""
    if not text.strip():
        return {}
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("SURAL_WEBHOOKS is no JSON.") from None
    if not isinstance(listed, list):
        raise ValueError('SURAL_WEBHOOKS must be an array of {"id", "url", "secrets"}.')
    receivers = [_receiver(entry, number) for number, entry in enumerate(listed, start=1)]
    found = {receiver.id: receiver for receiver in receivers}
    if len(found) != len(receivers):
        raise ValueError("SURAL_WEBHOOKS names two receivers with the same id.")
    return found


def split_secrets(text: str) -> tuple[str, ...]:
    """Secrets that stand in one setting, separated by blanks or commas, in their order."""
    return tuple(text.replace(",", " ").split())


def check_receiver(receiver: Receiver, *, setting: str, sandbox: bool) -> None:
    """https (http only in the sandbox), no credentials in the address, and secrets that sign. Raises ValueError."""
    try:
        url = urlsplit(receiver.url)
        _ = url.port
    except ValueError:
        raise ValueError(f"{setting} is no address that can be read.") from None
    if not url.hostname:
        raise ValueError(f"{setting} names no host.")
    if url.scheme != "https" and not (url.scheme == "http" and sandbox):
        raise ValueError(f"{setting} must start with https:// (http:// only in the sandbox).")
    if url.username or url.password or url.fragment:
        raise ValueError(f"{setting} must hold no user, password or fragment; its secret signs what is posted.")
    if not 1 <= len(receiver.secrets) <= MOST_SECRETS or not all(_signs(secret) for secret in receiver.secrets):
        raise ValueError(
            f"{setting} needs one Standard Webhooks secret (whsec_ and a key in Base64), or two while one is changed."
        )


def check_receivers(receivers: Iterable[Receiver], *, sandbox: bool) -> None:
    """`check_receiver` for those of SURAL_WEBHOOKS. Raises ValueError."""
    for receiver in receivers:
        check_receiver(receiver, setting=f"The receiver {receiver.id} of SURAL_WEBHOOKS", sandbox=sandbox)


def _receiver(entry: Any, number: int) -> Receiver:
    place = f"Entry {number} of SURAL_WEBHOOKS"
    if not isinstance(entry, Mapping) or set(entry) != {"id", "url", "secrets"}:
        raise ValueError(f"{place} must have id, url and secrets, and nothing else.")
    identifier, url, secrets = entry["id"], entry["url"], entry["secrets"]
    if not isinstance(identifier, str) or not NAME.fullmatch(identifier):
        raise ValueError(f"{place} needs an id of small letters, digits and hyphens, 40 at the most.")
    if not isinstance(url, str) or not isinstance(secrets, list) or not all(isinstance(each, str) for each in secrets):
        raise ValueError(f"{place} needs a url, and secrets as an array of strings.")
    return Receiver(identifier, url, tuple(secrets))


def _signs(secret: str) -> bool:
    try:
        return secret.startswith("whsec_") and bool(Webhook(secret))
    except (RuntimeError, ValueError, binascii.Error):
        return False
    except Exception:  # the library's own error for an empty key derives from Exception itself
        return False

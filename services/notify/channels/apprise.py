"""SMS and chat services, by way of Apprise (https://github.com/caronc/apprise): the one door for that library.

Apprise is an extra (`pip install sural[apprise]`) and is imported when the first message goes out.
`SURAL_APPRISE_TARGETS` (or the file that `SURAL_APPRISE_TARGETS_FILE` names) is a JSON object from a name of ours to an
Apprise URL::

    {"night-sms": "twilio://ACCOUNT:TOKEN@+4930123456/+491701234567", "ward-chat": "slack://TOKEN/#ward-3"}

The on-call document, the database, FHIR and the logs know the name only: the URL holds a secret. Each message goes to
one URL, and counts as sent only when Apprise says of every service behind it that it took the message.
"""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from services.notify.channels import Answer, DeliveryResult, Message
from services.notify.channels.receivers import NAME

if TYPE_CHECKING:
    from apprise import AppriseResult

SMS = (
    "46elks",
    "elks",
    "bulksms",
    "burstsms",
    "clickatell",
    "clicksend",
    "d7sms",
    "infobip",
    "kavenegar",
    "msgbird",
    "nexmo",
    "plivo",
    "seven",
    "sinch",
    "smsmanager",
    "smsmgr",
    "sns",
    "telnyx",
    "threema",
    "twilio",
    "voipms",
    "vonage",
)
CHAT = (
    "discord",
    "gchat",
    "line",
    "matrixs",
    "mmosts",
    "ringc",
    "rockets",
    "signals",
    "slack",
    "tgram",
    "webex",
    "whatsapp",
    "workflow",
    "workflows",
    "wxteams",
    "zulip",
)
PAGERS = (
    "betterstack",
    "goalerts",
    "gotifys",
    "ilert",
    "ntfys",
    "opsgenie",
    "pagerduty",
    "pover",
    "signl4",
    "spike",
    "splunk",
    "squadcast",
    "victorops",
)
ALLOWED = frozenset({*SMS, *CHAT, *PAGERS, "jsons"})
"""Kinds of Apprise URLs that may be used: services that are asked by https. No local ones, nothing in the open."""
SANDBOX_ONLY = frozenset({"json", "ntfy", "gotify", "mmost", "rocket"})
SETTLED = ("verify", "redirect")
"""What a URL may not say otherwise: certificates are checked, redirects are not followed."""
INSTALL = "SURAL_APPRISE_TARGETS needs Apprise, which is not installed: pip install 'sural[apprise]'."


@dataclass(frozen=True, slots=True)
class AppriseChannel:
    """`targets`: Apprise URL by our name for it."""

    targets: Mapping[str, str] = field(repr=False)
    timeout_s: float

    def send(self, message: Message) -> DeliveryResult:
        """Send to the target that the message names. Text and subject hold no health data."""
        url = self.targets.get(message.recipient)
        if url is None:
            return DeliveryResult(Answer.REFUSED, "target-unknown")
        result = _notify(url, title=message.subject_line, body=short_text(message), timeout_s=self.timeout_s)
        return DeliveryResult(Answer.REFUSED, "target-unusable") if result is None else _meaning(result)


def short_text(message: Message) -> str:
    """What fits into an SMS beside the subject."""
    sandbox = "SANDBOX: test data only. " if message.sandbox else ""
    return f"{sandbox}Look at it: {message.link}"


def parse_targets(text: str, *, sandbox: bool) -> dict[str, str]:
    """Apprise URLs by name. Raises ValueError with a sentence that holds no URL."""
    if not text.strip():
        return {}
    if importlib.util.find_spec("apprise") is None:
        raise ValueError(INSTALL)
    try:
        targets = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("SURAL_APPRISE_TARGETS is no JSON.") from None
    if not isinstance(targets, dict):
        raise ValueError("SURAL_APPRISE_TARGETS must be an object from a name to an Apprise URL.")
    for name, url in targets.items():
        _check(name, url, ALLOWED | SANDBOX_ONLY if sandbox else ALLOWED)
    return targets


def _check(name: str, url: object, allowed: frozenset[str]) -> None:
    place = f"The target {name[:40]!r} of SURAL_APPRISE_TARGETS"
    if not NAME.fullmatch(name):
        raise ValueError(f"{place} needs a name of small letters, digits and hyphens, 40 at the most.")
    if not isinstance(url, str) or not url.isprintable() or "://" not in url:
        raise ValueError(f"{place} is no Apprise URL.")
    if url.partition("://")[0].lower() not in allowed:
        raise ValueError(f"{place} is of a kind that is not allowed. Allowed are {', '.join(sorted(allowed))}.")
    if "," in url or any(mark in url for mark in (" ", "\t")):
        raise ValueError(f"{place} must be one URL, without blanks and commas.")
    said = parse_qs(urlsplit(url).query, keep_blank_values=True)
    if any(word.lower() in SETTLED for word in said):
        raise ValueError(
            f"{place} must not say {' or '.join(SETTLED)}: certificates are checked, redirects not followed."
        )


def _notify(url: str, *, title: str, body: str, timeout_s: float) -> AppriseResult | None:
    """What became of it, service by service; None when Apprise cannot read the URL."""
    from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType, PersistentStoreMode

    _silence()
    asset = AppriseAsset(plugin_paths=[], storage_mode=PersistentStoreMode.MEMORY, http_redirects=False)
    target = Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if target is None:
        return None
    caller = Apprise(asset=asset)
    if not caller.add(target):
        return None
    return caller.notify(
        body,
        title=title,
        notify_type=NotifyType.WARNING,
        body_format=NotifyFormat.TEXT,
        interpret_escapes=False,
        timeout=timeout_s,
    )


def _silence() -> None:
    """What Apprise logs names phone numbers and may name addresses; what matters of it is in the result."""
    theirs = logging.getLogger("apprise")
    theirs.propagate = False
    theirs.setLevel(logging.CRITICAL + 1)


def _meaning(result: AppriseResult) -> DeliveryResult:
    """Sent when every service took it; never when there was none to take it."""
    from apprise import AppriseResultStatus

    taken = result.success_count
    if result.status == AppriseResultStatus.SUCCESS and 0 < taken == len(result.results):
        return DeliveryResult(Answer.SENT, "apprise-success")
    if taken:
        return DeliveryResult(Answer.SENT, "apprise-partial")
    if result.status == AppriseResultStatus.NOMATCH or not result.results:
        return DeliveryResult(Answer.REFUSED, "apprise-nobody")
    if result.timeout_count:
        return DeliveryResult(Answer.FAILED, "timeout")
    return DeliveryResult(Answer.FAILED, "apprise-failure")

"""What an answer of another server means for a delivery. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from services.notify.channels import Answer, DeliveryResult

TRY_AGAIN = frozenset({408, 425, 429})
LONGEST_ASKED = timedelta(days=1)


def of_http(status: int, headers: Mapping[str, str], *, now: datetime) -> DeliveryResult:
    """2xx: taken. 408, 425, 429 and 5xx: later, and not before Retry-After. Anything else, redirects too: refused."""
    detail = f"http-{status}"
    if 200 <= status < 300:
        return DeliveryResult(Answer.SENT, detail)
    if status in TRY_AGAIN or status >= 500:
        return DeliveryResult(Answer.FAILED, detail, retry_after=retry_after(headers.get("retry-after", ""), now=now))
    return DeliveryResult(Answer.REFUSED, detail)


def retry_after(text: str, *, now: datetime) -> timedelta | None:
    """What a Retry-After header asks for (RFC 9110, 10.2.3: seconds or a date), a day at the most; None: nothing."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        asked = timedelta(seconds=int(text))
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError):
            return None
        asked = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    return min(max(asked, timedelta(0)), LONGEST_ASKED)

"""Webhooks as Standard Webhooks (https://www.standardwebhooks.com) sign them.

POST, `Content-Type: application/json`, headers `webhook-id` (the delivery's id, the same at every attempt),
`webhook-timestamp` and `webhook-signature`. Body, without health data::

    {"type": "alert.due" | "alert.withdrawn" | "alert.changed", "timestamp": "<when the alert was opened>",
     "data": {"alert": "<id>", "delivery": "<id>", "urgency": "emergency" | "same_day", "step": 1,
              "task": "<FHIR Task>", "link": "<worklist>", "sandbox": true | false}}

Any 2xx answer counts as taken; 408, 425, 429, 5xx and no answer are tried again; any other answer is a refusal, and
the alert's next step tries anew. Redirects are not followed, and the answer's body is not read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

import orjson
from standardwebhooks import Webhook

from services.notify.channels import Answer, DeliveryResult, Message, as_json
from shared.outbound import Outbound, OutboundFailed, OutboundRefused

TRY_AGAIN = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """One receiver. No proxy is taken from the environment. `sandbox`: it may be reached by http."""

    url: str = field(repr=False)
    secret: str = field(repr=False)
    timeout_s: float
    sandbox: bool = False

    def send(self, message: Message) -> DeliveryResult:
        """Post the message once."""
        body = orjson.dumps(as_json(message))
        try:
            return _result(self._door().send(self.url, self._headers(message, body), body))
        except OutboundFailed as failed:
            return DeliveryResult(Answer.FAILED, str(failed))
        except OutboundRefused:
            return DeliveryResult(Answer.FAILED, "address-refused")

    def _door(self) -> Outbound:
        """To the one host that the operator named, who may have it in a private network, and to no other."""
        host = (urlsplit(self.url).hostname or "").removesuffix(".")
        return Outbound(frozenset({host}), sandbox=self.sandbox, total_s=self.timeout_s)

    def _headers(self, message: Message, body: bytes) -> dict[str, str]:
        now = datetime.now(UTC)
        identifier = str(message.delivery_id)
        return {
            "Content-Type": "application/json",
            "User-Agent": "sural",
            "webhook-id": identifier,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self.secret).sign(identifier, now, body.decode()),
        }


def _result(status: int) -> DeliveryResult:
    if 200 <= status < 300:
        return DeliveryResult(Answer.SENT, f"http-{status}")
    passing = status in TRY_AGAIN or status >= 500
    return DeliveryResult(Answer.FAILED if passing else Answer.REFUSED, f"http-{status}")

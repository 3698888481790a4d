"""Webhooks as Standard Webhooks (https://www.standardwebhooks.com) sign them.

POST, `Content-Type: application/json`, headers `webhook-id` (the delivery's id, the same at every attempt),
`webhook-timestamp` and `webhook-signature` (one signature for each secret of the receiver, separated by a blank).
Body, without health data::

    {"type": "alert.due" | "alert.withdrawn" | "alert.changed" | "alert.test",
     "timestamp": "<when the alert was opened>",
     "data": {"alert": "<id>", "delivery": "<id>", "urgency": "emergency" | "same_day", "step": 1,
              "task": "<FHIR Task>", "link": "<page of the alert>", "sandbox": true | false,
              "acknowledge": "<one-time link>", "open": true | false, "refused": true}}

`open` stands in a notice, `refused` in an alert of a refused submission, `acknowledge` in what asks for it.

Any 2xx answer counts as taken; 408, 425, 429, 5xx and no answer are tried again; any other answer is a refusal, and
the alert's next step tries anew. Redirects are not followed, and the answer's body is not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

import orjson
from standardwebhooks import Webhook

from services.notify.channels import Answer, DeliveryResult, Message, as_json
from services.notify.channels.answers import of_http
from services.notify.channels.receivers import Receiver
from shared.outbound import Connections, Outbound, OutboundFailed, OutboundRefused


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """The receivers, by id. No proxy is taken from the environment. `sandbox`: they may be reached by http."""

    receivers: Mapping[str, Receiver] = field(repr=False)
    timeout_s: float
    sandbox: bool = False
    connections: Connections = field(default_factory=Connections, repr=False, compare=False)

    def close(self) -> None:
        """End what is open to receivers."""
        self.connections.close()

    def send(self, message: Message) -> DeliveryResult:
        """Post the message once, to the receiver that it names."""
        receiver = self.receivers.get(message.recipient)
        if receiver is None:
            return DeliveryResult(Answer.REFUSED, "receiver-unknown")
        body = orjson.dumps(as_json(message))
        try:
            answer = self._door(receiver).post(receiver.url, _headers(receiver, message, body), body)
        except OutboundFailed as failed:
            return DeliveryResult(Answer.FAILED, str(failed))
        except OutboundRefused:
            return DeliveryResult(Answer.FAILED, "address-refused")
        return of_http(answer.status, answer.headers, now=datetime.now(UTC))

    def _door(self, receiver: Receiver) -> Outbound:
        """To the one host that the operator named, who may have it in a private network, and to no other."""
        host = (urlsplit(receiver.url).hostname or "").removesuffix(".")
        hosts, kept = frozenset({host}), self.connections
        return Outbound(hosts, sandbox=self.sandbox, total_s=self.timeout_s, connections=kept)


def _headers(receiver: Receiver, message: Message, body: bytes) -> dict[str, str]:
    now = datetime.now(UTC)
    identifier = str(message.delivery_id)
    signatures = [Webhook(secret).sign(identifier, now, body.decode()) for secret in receiver.secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": "sural",
        "webhook-id": identifier,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }

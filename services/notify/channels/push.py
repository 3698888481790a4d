"""Web Push (RFC 8030) to every device of a person: it shows a line without health data and leads to the alert.

One device that was reached is enough. A device that its push service does not know any more (404, 410) is forgotten.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import Empty, SimpleQueue

import orjson

from services.notify.channels import Answer, DeliveryResult, Message
from services.notify.channels.answers import of_http
from services.notify.push.device import MOST_DEVICES, Device
from services.notify.push.encryption import encrypt
from services.notify.push.store import Devices
from services.notify.push.vapid import Vapid, base64url
from shared.outbound import Outbound, OutboundFailed, OutboundRefused

KEPT_S = 3600
"""How long a push service keeps a message for a device that is switched off. By then it was told again."""
PADDED_BYTES = 512
GONE = ("http-404", "http-410")


@dataclass(frozen=True, slots=True)
class PushChannel:
    """`door`: where push services may be; their addresses come from browsers."""

    devices: Devices
    vapid: Vapid
    door: Outbound
    timeout_s: float

    def send(self, message: Message) -> DeliveryResult:
        """Send to all devices at once, so that one whose push service hangs delays none of the others."""
        devices = self.devices.of(message.tenant_id, message.recipient)[:MOST_DEVICES]
        if not devices:
            return DeliveryResult(Answer.REFUSED, "no-device")
        results = self._send_all(devices, message)
        gone = [device for device, result in zip(devices, results, strict=True) if result.detail in GONE]
        self.devices.forget(message.tenant_id, gone)
        return together(results)

    def _send_all(self, devices: Sequence[Device], message: Message) -> list[DeliveryResult]:
        answers: SimpleQueue[tuple[int, DeliveryResult]] = SimpleQueue()
        text = as_text(message)

        def attempt(number: int) -> None:
            answers.put((number, self._send_one(devices[number], text, message)))

        for number in range(len(devices)):
            threading.Thread(target=attempt, args=(number,), name="push", daemon=True).start()
        results = dict.fromkeys(range(len(devices)), DeliveryResult(Answer.FAILED, "timeout"))
        end = time.monotonic() + self.timeout_s
        try:
            for _ in devices:
                number, result = answers.get(timeout=max(end - time.monotonic(), 0))
                results[number] = result
        except Empty:
            pass
        return list(results.values())

    def _send_one(self, device: Device, text: bytes, message: Message) -> DeliveryResult:
        headers = {
            "Authorization": self.vapid.authorization(device.endpoint),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(KEPT_S),
            "Urgency": "high" if message.urgency.rank == 0 else "normal",
            "Topic": base64url(message.delivery_id.bytes),  # a second attempt takes the place of the first
        }
        try:
            body = encrypt(text, receiver=device.public_key, secret=device.secret, padded_to=PADDED_BYTES)
            answer = self.door.post(device.endpoint, headers, body)
        except OutboundFailed as failed:
            return DeliveryResult(Answer.FAILED, str(failed))
        except OutboundRefused:
            return DeliveryResult(Answer.REFUSED, "address-refused")
        except ValueError:
            return DeliveryResult(Answer.REFUSED, "key-refused")
        return of_http(answer.status, answer.headers, now=datetime.now(UTC))


def as_text(message: Message) -> bytes:
    """What the service worker gets; see assets/push-worker.js."""
    return orjson.dumps(
        {
            "title": message.subject_line,
            "link": message.link,
            "tag": str(message.alert_id),
            "stays": message.urgency.rank == 0 and message.notice is None,
            "sandbox": message.sandbox,
        }
    )


def together(results: Sequence[DeliveryResult]) -> DeliveryResult:
    """One result of several devices: sent when one was, else to be tried again when one may still be."""
    order = (Answer.SENT, Answer.FAILED, Answer.REFUSED)
    return min(results, key=lambda result: order.index(result.answer))

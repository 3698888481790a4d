"""Whether a subscriber may still be told: whoever is told needs, at that moment, what subscribing anew would need.

Registrations are intake's, so intake is asked. What it says counts for three seconds. While it cannot be asked, what it
said last may be used for as long as an access token holds: a client whose registration ends could read for that long
anyway. After that nobody is told, and nothing is lost or switched off, until intake answers again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from services.notify.settings import NotifySettings
from services.notify.subscriptions.document import FULL
from services.notify.subscriptions.filters import Filter
from services.notify.subscriptions.store import Subscription
from services.notify.subscriptions.topics import Topic
from shared.access.scopes import CREATE, READ, Scope, Scopes, understood
from shared.access.service_token import signer
from shared.access.tokens import LIFETIME_S
from shared.access.trusted import TrustedIssuer, parse_trusted_issuers
from shared.fhir.client import FhirClient, NeighbourUnavailable

COUNTS_S: Final = 3.0
LAST_KNOWN_S: Final = float(LIFETIME_S)
PATIENCE_S: Final = 3.0
SUBSCRIBE: Final = Scope("Subscription", CREATE)
NOT_REGISTERED: Final = "The registration of its client was withdrawn, or is not known here. Nothing is sent any more."

log = logging.getLogger(__name__)


def needs_to_see(topic: Topic, content: str, filters: Sequence[Filter]) -> tuple[Scope, ...]:
    """What a subscriber must be allowed to read: which events pass a filter says what is in them."""
    return (Scope(topic.resource_type, READ),) if content == FULL or filters else ()


@dataclass(frozen=True, slots=True)
class Known:
    """The scopes of each client of a tenant that gets tokens, and when intake was asked."""

    scopes: Mapping[str, Scopes]
    asked_at: float


@dataclass(slots=True)
class Registrations:
    """What intake says of a tenant's clients, remembered for a short time. Thread-safe.

    `trusted`: other issuers of tokens. Who may ask is theirs to say, and we hear of it with the next token only; but
    whom they speak for here is in our settings.
    """

    intake: FhirClient
    trusted: Sequence[TrustedIssuer] = ()
    now: Callable[[], float] = time.monotonic
    _known: dict[UUID, Known] = field(default_factory=dict)
    _failed_at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def objection(self, held: Subscription) -> str | None:
        """Why its client may be told nothing more, as a sentence; None while it may.

        Raises NeighbourUnavailable where nobody knows.
        """
        for issuer in self.trusted:
            if held.client.startswith(f"{issuer.issuer}|"):
                mine = issuer.tenant == held.tenant_id or held.tenant_id in issuer.tenants.values()
                return None if mine else NOT_REGISTERED
        granted = self._of(held.tenant_id).get(held.client)
        if granted is None:
            return NOT_REGISTERED
        needs = (SUBSCRIBE, *needs_to_see(held.topic, held.content, held.filters))
        missing = " ".join(str(need) for need in needs if not granted.covers(need))
        if missing:
            return f"The registration of its client does not include {missing} any more. Nothing is sent any more."
        return None

    def close(self) -> None:
        """Give the connections back."""
        self.intake.close()

    def _of(self, tenant: UUID) -> Mapping[str, Scopes]:
        with self._lock:  # whoever comes meanwhile wants the same answer
            known, now = self._known.get(tenant), self.now()
            if known is not None and now < known.asked_at + COUNTS_S:
                return known.scopes
            if now >= self._failed_at + COUNTS_S:
                try:
                    known = self._known[tenant] = Known(self._asked(tenant), now)
                    return known.scopes
                except NeighbourUnavailable as error:
                    self._failed_at = self.now()
                    log.warning("intake does not say whose registrations hold", extra={"error": type(error).__name__})
            if known is not None and now < known.asked_at + LAST_KNOWN_S:
                return known.scopes
            raise NeighbourUnavailable("whose registrations hold is not known")

    def _asked(self, tenant: UUID) -> Mapping[str, Scopes]:
        found = self.intake.find("$registrations", {}, tenant=tenant)
        return {client["id"]: understood(client["parameter"][0]["valueString"]) for client in found}


def registrations_of(settings: NotifySettings) -> Registrations | None:
    """As the settings ask for; None in the sandbox, where everybody may do everything. The caller closes it."""
    if settings.sandbox:
        return None
    intake = FhirClient(settings.intake_url, token=signer(settings.service_token, "notify"), timeout_s=PATIENCE_S)
    return Registrations(intake, parse_trusted_issuers(settings.trusted_issuers))

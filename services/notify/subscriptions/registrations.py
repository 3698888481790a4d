"""Whether a subscriber may still be told: whoever is told needs, at that moment, what subscribing anew would need.

Registrations are intake's, so intake is asked. That a client may be told counts for three seconds. While intake cannot
be asked, what it said last may be used for as long as an access token holds: a client whose registration ends could
read for that long anyway. After that nobody is told, and nothing is lost or switched off, until intake answers again.

That a client may not be told switches its subscription off for good, so that counts only when intake says it twice: the
second time to a question that was asked because of it. A list without any registration is nobody's word for anything:
the database may be the wrong one, or not restored yet. Then all subscriptions of the tenant are held back, and stay.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
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
from shared.fhir.client import FhirClient, NeighbourFault, NeighbourUnavailable

COUNTS_S: Final = 3.0
LAST_KNOWN_S: Final = float(LIFETIME_S)
PATIENCE_S: Final = 3.0
SUBSCRIBE: Final = Scope("Subscription", CREATE)
NOT_REGISTERED: Final = "The registration of its client was withdrawn, or is not known here. Nothing is sent any more."
LACKS: Final = "The registration of its client does not include {} any more. Nothing is sent any more."
EMPTY: Final = (
    "intake knows no registration of a tenant that has subscriptions: they are held back, and none is turned off. "
    "Look whether SURAL_INTAKE_URL leads to the right intake, and whether its database is the right one "
    "(./sural client list). If the last client was withdrawn on purpose, nothing is to be done"
)

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
class Register:
    """The clients of one tenant that get tokens, as intake gives them. Thread-safe.

    One thread asks at a time; whoever comes meanwhile wants the same answer, and waits for `patience_s` at the most.
    Nobody waits for another tenant's.
    """

    tenant: UUID
    ask: Callable[[UUID], Mapping[str, Scopes]]
    now: Callable[[], float]
    patience_s: float
    _known: Known | None = None
    _was_empty: bool = False
    _failed_at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def remembered(self) -> Mapping[str, Scopes]:
        """As it was three seconds ago or later; while intake does not say it, as it was last, for five minutes.

        Raises NeighbourUnavailable.
        """
        try:
            with self._turn():
                return self._known_for(COUNTS_S) or self._asked()
        except NeighbourUnavailable:
            if scopes := self._known_for(LAST_KNOWN_S):
                return scopes
            raise

    def anew(self) -> Mapping[str, Scopes]:
        """As intake gives it when it is asked now, whatever is remembered. Raises NeighbourUnavailable."""
        with self._turn():
            return self._asked()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=self.patience_s):
            raise NeighbourUnavailable("somebody waits for intake's list of registrations already")
        try:
            yield
        finally:
            self._lock.release()

    def _known_for(self, seconds: float) -> Mapping[str, Scopes] | None:
        known = self._known
        return known.scopes if known is not None and self.now() < known.asked_at + seconds else None

    def _asked(self) -> Mapping[str, Scopes]:
        begun = self.now()
        if begun < self._failed_at + COUNTS_S:
            raise NeighbourUnavailable("intake was asked for its list of registrations just now, and did not give it")
        try:
            scopes = self.ask(self.tenant)
        except NeighbourUnavailable as error:
            self._failed_at = self.now()
            log.warning("intake does not say whose registrations hold", extra={"error": type(error).__name__})
            raise
        if not scopes:
            self._failed_at, self._known = self.now(), None
            if not self._was_empty:
                log.error(EMPTY, extra={"reference": str(self.tenant)})
            self._was_empty = True
            raise NeighbourFault("intake's list of registrations is empty")
        self._known, self._was_empty = Known(scopes, begun), False
        return scopes


@dataclass(slots=True)
class Registrations:
    """Whether the clients of all tenants may still be told. Thread-safe.

    `trusted`: other issuers of tokens. Who may ask is theirs to say, and we hear of it with the next token only; but
    whom they speak for here is in our settings.
    """

    intake: FhirClient
    trusted: Sequence[TrustedIssuer] = ()
    now: Callable[[], float] = time.monotonic
    patience_s: float = PATIENCE_S
    _registers: dict[UUID, Register] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def objection(self, held: Subscription) -> str | None:
        """Why its client may be told nothing more, as a sentence; None while it may.

        What is remembered may say that it may. That it may not is final, so intake is asked for that once more: the
        client may have been registered, or have got more scopes, since. Raises NeighbourUnavailable where nobody knows.
        """
        for issuer in self.trusted:
            if held.client.startswith(f"{issuer.issuer}|"):
                mine = issuer.tenant == held.tenant_id or held.tenant_id in issuer.tenants.values()
                return None if mine else NOT_REGISTERED
        register = self._of(held.tenant_id)
        if _objection(held, register.remembered().get(held.client)) is None:
            return None
        return _objection(held, register.anew().get(held.client))

    def close(self) -> None:
        """Give the connections back."""
        self.intake.close()

    def _of(self, tenant: UUID) -> Register:
        with self._lock:
            if tenant not in self._registers:
                self._registers[tenant] = Register(tenant, self._asked, lambda: self.now(), self.patience_s)
            return self._registers[tenant]

    def _asked(self, tenant: UUID) -> Mapping[str, Scopes]:
        """Raises NeighbourUnavailable, also for an answer that is not of the form which intake promises."""
        try:
            return dict(_scopes_of(client) for client in self.intake.find("$registrations", {}, tenant=tenant))
        except (AttributeError, LookupError, TypeError, ValueError):
            raise NeighbourFault("intake's list of registrations is no list of Parameters with a scope") from None


def _scopes_of(client: Mapping[str, Any]) -> tuple[str, Scopes]:
    """The id of a client and its scopes. Raises what reading another form raises."""
    identifier = client["id"]
    [scopes] = [part["valueString"] for part in client["parameter"] if part["name"] == "scope"]
    if not isinstance(identifier, str) or not isinstance(scopes, str):
        raise TypeError
    return identifier, understood(scopes)


def _objection(held: Subscription, granted: Scopes | None) -> str | None:
    """What these scopes of its client say against it; None of them: it is not registered."""
    if granted is None:
        return NOT_REGISTERED
    needs = (SUBSCRIBE, *needs_to_see(held.topic, held.content, held.filters))
    missing = " ".join(str(need) for need in needs if not granted.covers(need))
    return LACKS.format(missing) if missing else None


def registrations_of(settings: NotifySettings) -> Registrations | None:
    """As the settings ask for; None in the sandbox, where everybody may do everything. The caller closes it."""
    if settings.sandbox:
        return None
    intake = FhirClient(settings.intake_url, token=signer(settings.service_token, "notify"), timeout_s=PATIENCE_S)
    return Registrations(intake, parse_trusted_issuers(settings.trusted_issuers))

"""Who looks at intake's pages: people who signed in with notify, which is asked whose the cookie is. It fails closed.

The cookie itself stays here: its SHA-256 travels, which opens nothing. An answer counts for three seconds, so a page
that refreshes itself costs notify little, and who signed out is out here after that time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote
from uuid import UUID

import httpx
from starlette.requests import Request

from services.intake.settings import IntakeSettings
from shared.access.service_token import ServiceToken, signer
from shared.access.session_cookie import ACCOUNT_PREFIX, SESSION, cookie_name, hashed, is_https
from shared.audit.act import Asker, asked_by
from shared.ids import DEFAULT_TENANT

COUNTS_S = 3.0
TIMEOUT_S = 3.0
MOST_REMEMBERED = 1000
ROLES = frozenset({"clinician", "lead"})
"""Those who see alerts and patients, of notify's roles."""


class SignInNeeded(Exception):
    """Nobody is signed in."""


class NotForThem(Exception):
    """Who is signed in has none of the roles that see patients."""


class CannotTell(Exception):
    """Notify did not say whose the cookie is."""


@dataclass(frozen=True, slots=True)
class Looker:
    """Somebody who may look. `account` None: nobody signs in here."""

    tenant: UUID
    account: str | None = None


EVERYBODY = Looker(DEFAULT_TENANT)


@dataclass(slots=True)
class Door:
    """`asks` False: everybody may look, in the sandbox or behind a proxy that signs people in."""

    asks: bool
    url: str
    token: ServiceToken | None
    https: bool
    now: Callable[[], float] = time.monotonic
    _client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=TIMEOUT_S, trust_env=False))
    _remembered: dict[bytes, tuple[Looker, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def who(self, request: Request) -> Looker:
        """Who looks at this page; whatever is recorded from here on is recorded of them.

        Raises SignInNeeded, NotForThem or CannotTell.
        """
        if not self.asks:
            return EVERYBODY
        cookie = request.cookies.get(cookie_name(SESSION, https=self.https), "")
        if not cookie:
            raise SignInNeeded
        digest = hashed(cookie)
        looker = self._known(digest) or self._told(digest)
        address = request.client.host if request.client else None
        asked_by(Asker(f"{ACCOUNT_PREFIX}{looker.account}", address, request.state.request_id))
        return looker

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _known(self, digest: bytes) -> Looker | None:
        found = self._remembered.get(digest)
        return found[0] if found and self.now() < found[1] else None

    def _told(self, digest: bytes) -> Looker:
        if self.token is None or not self.url:
            raise CannotTell("no secret or address of notify is set")
        headers = {"Authorization": self.token.authorization(DEFAULT_TENANT)}
        try:
            answer = self._client.get(f"{self.url.rstrip('/')}/worklist/whose/{digest.hex()}", headers=headers)
            told = answer.json() if answer.status_code == 200 else None
        except (httpx.HTTPError, ValueError) as error:
            raise CannotTell(type(error).__name__) from None
        if not isinstance(told, dict):
            raise CannotTell(f"status {answer.status_code}")
        if told.get("signed_in") is not True:
            raise SignInNeeded
        if ROLES.isdisjoint(told["roles"]):
            raise NotForThem
        looker = Looker(UUID(told["tenant"]), str(UUID(told["account"])))
        self._remember(digest, looker)
        return looker

    def _remember(self, digest: bytes, looker: Looker) -> None:
        with self._lock:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[digest] = (looker, self.now() + COUNTS_S)


def door_of(settings: IntakeSettings) -> Door:
    """The door that the settings ask for."""
    token = signer(settings.service_token, "intake")
    return Door(settings.people_sign_in, settings.notify_url, token, is_https(settings.public_url))


def sign_in_path(request: Request) -> str:
    """Where who is not signed in is sent, and comes back from."""
    return "/worklist/sign-in?next=" + quote(request.scope["path"], safe="/")

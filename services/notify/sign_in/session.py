"""Sessions: a random id in a cookie, of which the database holds only the hash.

Over after 15 minutes without use and after 12 hours, by the clock of the database; a new id at each sign-in.
Sources: OWASP ASVS 5.0 V7; NIST SP 800-63B-4 (AAL2: at most 24 h, 1 h idle); 45 CFR 164.312(a)(2)(iii).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from shared.access.session_cookie import cookie_name

IDLE_S = 15 * 60
ABSOLUTE_S = 12 * 3600
NOTED_S = 20
"""How old the noted last use of a session may be: not each page is a write."""
DEVICE_DAYS = 90


@dataclass(frozen=True, slots=True)
class Cookies:
    """How cookies are set: `__Host-` and Secure by https; neither on http, which only the loopback address may use."""

    https: bool

    def name(self, of: str) -> str:
        """The full name of one of our cookies."""
        return cookie_name(of, https=self.https)

    def give(self, response: Response, of: str, value: str, *, age_s: int | None = None) -> None:
        """Set it. `age_s` None: until the browser is closed."""
        response.set_cookie(
            self.name(of), value, max_age=age_s, path="/", secure=self.https, httponly=True, samesite="lax"
        )

    def take(self, response: Response, of: str) -> None:
        """Delete it."""
        response.delete_cookie(self.name(of), path="/", secure=self.https, httponly=True, samesite="lax")

    def read(self, cookies: Mapping[str, str], of: str) -> str:
        """Its value, or the empty text."""
        return cookies.get(self.name(of), "")


def new_token() -> str:
    """256 random bits for a cookie."""
    return secrets.token_urlsafe(32)


def csrf_of(token: str) -> str:
    """What forms of this session send back. Whoever knows it learns nothing of the session's id."""
    return hmac.new(token.encode(), b"sural-csrf", "sha256").hexdigest()


def extends(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a request shows that somebody is there, so that the idle time begins anew.

    A page that refreshes itself, a poll or an event stream does not: browsers send Sec-Fetch-User for what a person
    did. What sends no Fetch Metadata at all is taken for a person. https://www.w3.org/TR/fetch-metadata/
    """
    return method == "POST" or headers.get("sec-fetch-user") == "?1" or "sec-fetch-site" not in headers


def by_script(headers: Mapping[str, str]) -> bool:
    """Whether a script or an event stream asks, which cannot follow to a sign-in page."""
    return headers.get("sec-fetch-dest") == "empty" or "text/event-stream" in headers.get("accept", "")

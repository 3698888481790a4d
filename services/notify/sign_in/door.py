"""The door of the pages: who looks, found by the session's cookie, and whether this page is for them.

In the sandbox, and behind a proxy that signs people in, nobody has a session and everybody is the same visitor.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from urllib.parse import quote, urlsplit
from uuid import UUID

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from services.notify.sign_in import store
from services.notify.sign_in.reach import Reach, reach_of
from services.notify.sign_in.session import Cookies, by_script, csrf_of, extends
from services.notify.sign_in.visitor import BEHIND_PROXY, NOBODY, SANDBOX_VISITOR, Role, RoleNeeded, Visitor
from services.notify.sign_in.way_back import way_back
from shared.access.session_cookie import ACCOUNT_PREFIX, HSTS, SESSION, hashed, is_https
from shared.audit.act import Act, Asker, Interaction, Outcome, Word, record
from shared.postgres import DatabaseError, Pool, tenant_transaction
from shared.settings import ServiceSettings

log = logging.getLogger(__name__)


class SignInNeeded(Exception):
    """Nobody is signed in, or not completely."""


@dataclass(frozen=True, slots=True)
class Door:
    """Who is let in. `unasked`: everybody, where nobody signs in with us; None: who has a session."""

    pool: Pool
    cookies: Cookies
    base: str
    unasked: Visitor | None

    def admit(self, request: Request) -> Visitor:
        """Who looks at this page, and may. Raises SignInNeeded or RoleNeeded."""
        reach = reach_of(request.method, request.scope["path"])
        if self.unasked is not None:
            return self._allowed(self.unasked, reach)
        if reach.roles is None:
            return NOBODY
        visitor = self.known(request)
        if visitor is None or not (visitor.complete or reach.halfway):
            raise SignInNeeded
        return self._allowed(visitor, reach)

    def known(self, request: Request) -> Visitor | None:
        """Whose session the cookie names, if it is not over; a sign-in that is not complete included."""
        token = self.cookies.read(request.cookies, SESSION)
        if not token or self.unasked is not None:
            return None
        found = self._found(hashed(token))
        if found is None:
            return None
        if found.stale and extends(request.method, request.headers):
            with tenant_transaction(self.pool, found.tenant) as connection:
                store.note_use(connection, found.tenant, found.id)
        return _visitor(found, csrf_of(token))

    def whose(self, id_hash: bytes) -> Visitor | None:
        """Whose session has a cookie of this hash. Shows nothing of the session being used, and cannot send forms."""
        found = self._found(id_hash)
        return _visitor(found, "") if found else None

    def _found(self, id_hash: bytes) -> store.Found | None:
        with self.pool.connection() as connection:
            return store.session_of(connection, id_hash)

    def still(self, request: Request) -> bool:
        """Whether this request's session is not over meanwhile. For answers that take long, as event streams do."""
        return self.unasked is not None or self.known(request) is not None

    def to_sign_in(self, request: Request) -> Response:
        """The answer to who is not signed in: the way to the sign-in and back, or 401 for a script."""
        if by_script(request.headers):
            return PlainTextResponse("Nobody is signed in any more. Open the page again.", 401)
        wanted = request.scope["path"]
        if request.method == "POST":
            return self._redirect("/worklist/sign-in?why=over")
        if request.url.query:
            wanted += "?" + request.url.query
        return self._redirect("/worklist/sign-in?next=" + quote(way_back(wanted), safe="/"))

    def note_denied(self, request: Request, visitor: Visitor) -> None:
        """Record that somebody who is signed in asked for a page that is not for them. Never raises."""
        if visitor.account is None:
            return
        act = Act(Interaction.LOGIN, word=Word.PAGE_DENIED, outcome=Outcome.REFUSED)
        try:
            with tenant_transaction(self.pool, visitor.tenant) as connection:
                record(connection, visitor.tenant, act, asker_of(visitor, request))
        except DatabaseError as error:
            log.warning("refusal not recorded", extra={"error": type(error).__name__})

    def seal(self, response: Response) -> Response:
        """The answer as it leaves: browsers come back by https only."""
        if self.cookies.https:
            response.headers["Strict-Transport-Security"] = HSTS
        return response

    def _allowed(self, visitor: Visitor, reach: Reach) -> Visitor:
        if reach.roles is not None and not visitor.may(*reach.roles):
            raise RoleNeeded(visitor, reach.roles)
        return visitor

    def _redirect(self, path: str) -> Response:
        return RedirectResponse(self.base + path, 303, headers={"Cache-Control": "no-store"})


def door_of(settings: ServiceSettings, pool: Pool) -> Door:
    """The door that the settings ask for."""
    unasked = None if settings.people_sign_in else SANDBOX_VISITOR if settings.sandbox else BEHIND_PROXY
    base = urlsplit(settings.public_url).path.rstrip("/")
    return Door(pool, Cookies(is_https(settings.public_url)), base, unasked)


def asker_of(visitor: Visitor, request: Request) -> Asker:
    """As whom this visitor stands in the audit: by the account's id, never by name."""
    address = request.client.host if request.client else None
    agent = agent_of(visitor.account) if visitor.account else "page"
    return Asker(agent, address, request.state.request_id)


def agent_of(account: UUID) -> str:
    """The id of an account in the audit."""
    return ACCOUNT_PREFIX + str(account)


def _visitor(found: store.Found, csrf: str) -> Visitor:
    roles = frozenset(Role(role) for role in found.roles)
    return Visitor(
        found.tenant,
        found.name,
        roles,
        account=found.account,
        person=found.person,
        csrf=csrf,
        session=found.id,
        complete=found.complete,
    )

"""To the identity provider and back. Links, not forms: browsers hold a form's redirects to `form-action 'self'` too."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from services.notify.page import SECURITY_HEADERS, page_route
from services.notify.sign_in import federated, store
from services.notify.sign_in.door import asker_of
from services.notify.sign_in.flow import SignIn, end, let_in
from services.notify.sign_in.oidc import Provider, ProviderFailed
from services.notify.sign_in.pages import sign_in_page
from services.notify.sign_in.provider import Round
from services.notify.sign_in.proving import Refused
from services.notify.sign_in.session import new_token
from services.notify.sign_in.visitor import NOBODY
from services.notify.sign_in.way_back import HOME, way_back
from shared.access.session_cookie import hashed
from shared.audit.act import Word

ROUND = "round"
ROUND_S = 600

log = logging.getLogger(__name__)


def routes(context: SignIn, provider: Provider) -> APIRouter:
    """Two addresses: one sends the browser away, to the other it comes back."""
    pool, cookies = context.desk.pool, context.door.cookies
    router = APIRouter(route_class=page_route(context.render), include_in_schema=False)

    @router.get("/worklist/sign-in/oidc")
    def to_provider(request: Request, next: str = "") -> Response:
        begun, browser = Round.new(way_back(next)), new_token()
        try:
            address = provider.way_there(begun)
        except ProviderFailed as failed:
            return _failed(context, failed, begun.next)
        with pool.connection() as connection:
            store.begin_round(connection, hashed(browser), begun)
        answer = RedirectResponse(address, 303, headers=SECURITY_HEADERS)
        cookies.give(answer, ROUND, browser, age_s=ROUND_S)
        return answer

    @router.get("/worklist/sign-in/back")
    def from_provider(request: Request) -> Response:
        answer = _came_back(request)
        cookies.take(answer, ROUND)
        return answer

    def _came_back(request: Request) -> Response:
        asker = asker_of(NOBODY, request)
        with pool.connection() as connection:
            begun = store.take_round(connection, hashed(cookies.read(request.cookies, ROUND)))
        if begun is None:
            return _failed(context, ProviderFailed("no round of this browser"), HOME)
        try:
            identity = provider.who(begun, request.url.query)
            account = federated.account_of(context.desk, identity, context.tenant, asker=asker)
        except ProviderFailed as failed:
            context.desk.denials.note(asker, Word.SIGN_IN_FAILED, context.tenant)
            return _failed(context, failed, begun.next)
        except Refused as refused:
            return sign_in_page(context, begun.next, refused=refused)
        end(context, context.door.known(request), asker)
        return let_in(context, request, account, way="oidc", target=begun.next)

    return router


def _failed(context: SignIn, failed: ProviderFailed, target: str) -> Response:
    log.warning("sign-in by the provider failed", extra={"error": str(failed)})
    return sign_in_page(context, target, refused=Refused(failed.sentence))

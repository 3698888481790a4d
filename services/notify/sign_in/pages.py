"""The pages of signing in with a password, and of signing out. Each step is a form that works without JavaScript.

Password, then a code where there is a second factor, then what the first sign-in asks for. Nothing of a sign-in that is
not complete opens any other page.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from services.notify.page import SECURITY_HEADERS, Form, page_route, read_form
from services.notify.sign_in import password, proving, store, totp
from services.notify.sign_in.account import Account
from services.notify.sign_in.door import asker_of
from services.notify.sign_in.flow import (
    SignIn,
    again,
    at,
    end,
    give_session,
    let_in,
    one,
    onward,
    same_twice,
    second_factor_shown,
    session_of,
    step_of,
    step_path,
)
from services.notify.sign_in.proving import Refused, Step
from services.notify.sign_in.visitor import NOBODY, Visitor, visitor_of
from services.notify.sign_in.way_back import way_back
from shared.access.session_cookie import SESSION

BUSY = Refused("Many people sign in at this moment. Try again in a few seconds.", 2)
OVER = "You were signed out, as nobody used Sural here for a while. What you sent last was not done: do it again."


def routes(context: SignIn) -> APIRouter:
    """Signing in, step by step, and signing out."""
    door, desk, render = context.door, context.desk, context.render
    router = APIRouter(route_class=page_route(render), include_in_schema=False)

    async def sent(request: Request) -> Form:
        return await read_form(request, context.public_url)

    @router.get("/worklist/sign-in")
    def form(request: Request, next: str = "", why: str = "") -> Response:
        target = way_back(next)
        visitor = door.unasked or door.known(request)
        if visitor is None:
            return sign_in_page(context, target, notice=OVER if why == "over" else "")
        step = None if visitor.complete else step_of(context, visitor)[1]
        return onward(context, target if step is None else step_path(step, target))

    @router.post("/worklist/sign-in")
    def with_password(request: Request, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        login, target = one(form, "login"), way_back(one(form, "next"))
        asker = asker_of(NOBODY, request)
        try:
            account = proving.prove_password(
                desk, login, one(form, "password"), device=context.device_of(request), asker=asker
            )
        except (Refused, password.Busy) as error:
            return sign_in_page(context, target, login=login, refused=error if isinstance(error, Refused) else BUSY)
        end(context, door.known(request), asker)
        return let_in(context, request, account, way="password", target=target)

    @router.get("/worklist/sign-in/code")
    def ask_code(request: Request, next: str = "") -> Response:
        at(context, request, Step.CODE)
        return render("sign-in-code.html", next=way_back(next), error="")

    @router.post("/worklist/sign-in/code")
    def with_code(request: Request, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        account, visitor = at(context, request, Step.CODE), visitor_of(request)
        target = way_back(one(form, "next"))
        try:
            proving.prove_code(desk, account, one(form, "code"), session_of(visitor), asker=asker_of(visitor, request))
        except Refused as refused:
            return again(context, "sign-in-code.html", refused, next=target)
        return let_in(context, request, account, way="password", target=target, second_factor=True, half=visitor)

    @router.get("/worklist/sign-in/password")
    def ask_password(request: Request, next: str = "") -> Response:
        account = at(context, request, Step.PASSWORD)
        return render("sign-in-password.html", next=way_back(next), error="", login=account.login)

    @router.post("/worklist/sign-in/password")
    def with_new_password(request: Request, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        account, visitor = at(context, request, Step.PASSWORD), visitor_of(request)
        target, asker = way_back(one(form, "next")), asker_of(visitor, request)
        try:
            proving.change_password(desk, account, same_twice(form), but=session_of(visitor), asker=asker)
        except (Refused, password.Busy) as error:
            refused = error if isinstance(error, Refused) else BUSY
            return again(context, "sign-in-password.html", refused, next=target, login=account.login)
        shown = second_factor_shown(context, visitor)
        account = context.account_of(visitor)
        return let_in(context, request, account, way="password", target=target, second_factor=shown, half=visitor)

    @router.get("/worklist/sign-in/second-factor")
    def ask_second_factor(request: Request, next: str = "") -> Response:
        account = at(context, request, Step.SECOND_FACTOR)
        return render("sign-in-second-factor.html", **second_factor_words(context, account, visitor_of(request), next))

    @router.post("/worklist/sign-in/second-factor")
    def with_second_factor(request: Request, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        account, visitor = at(context, request, Step.SECOND_FACTOR), visitor_of(request)
        target, asker = way_back(one(form, "next")), asker_of(visitor, request)
        try:
            codes = proving.set_second_factor(desk, account, one(form, "code"), session_of(visitor), asker=asker)
        except Refused as refused:
            words = second_factor_words(context, account, visitor, target)
            return again(context, "sign-in-second-factor.html", refused, **words)
        answer = render("recovery-codes.html", codes=codes, onward=target)
        give_session(context, request, answer, account, way="password", complete=True, second_factor=True, half=visitor)
        return answer

    @router.get("/worklist/sign-in/qr.svg")
    def picture(request: Request) -> Response:
        return picture_for(context, at(context, request, Step.SECOND_FACTOR), visitor_of(request))

    @router.post("/worklist/sign-out")
    def sign_out(request: Request, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        visitor, provider = visitor_of(request), context.provider
        if provider is not None and (not visitor.account or context.account_of(visitor).has_password):
            provider = None
        end(context, visitor, asker_of(visitor, request))
        request.state.visitor = NOBODY
        back = f"{context.public_url.rstrip('/')}/worklist/sign-in"
        way_out = provider.way_out(back) if provider is not None else None
        answer = render("signed-out.html", way_out=way_out)
        door.cookies.take(answer, SESSION)
        return answer

    return router


def sign_in_page(
    context: SignIn, target: str, *, login: str = "", notice: str = "", refused: Refused | None = None
) -> Response:
    """The form for name and password, and the way to the provider, as far as there are such."""
    with context.desk.pool.connection() as connection:
        nobody = context.provider is None and not store.accounts_exist(connection)
    words = {"next": target, "login": login, "notice": notice, "provider": context.provider, "nobody": nobody}
    if refused is None:
        return context.render("sign-in.html", error="", **words)
    return again(context, "sign-in.html", refused, **words)


def second_factor_words(context: SignIn, account: Account, visitor: Visitor, next: str) -> dict[str, object]:
    """What the form shows with which a second factor is set up."""
    secret = proving.offered_secret(context.desk, account, session_of(visitor))
    return {"next": way_back(next), "error": "", "secret": totp.readable(secret), "login": account.login}


def picture_for(context: SignIn, account: Account, visitor: Visitor) -> Response:
    """The QR code of the secret that this session is offered."""
    secret = proving.offered_secret(context.desk, account, session_of(visitor))
    picture = totp.picture_of(secret, account.login or "")
    return Response(picture, media_type="image/svg+xml", headers=SECURITY_HEADERS)

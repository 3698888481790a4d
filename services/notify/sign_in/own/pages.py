"""The page of one's own account: name, roles, password, second factor, recovery codes, and where one is signed in."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from services.notify.page import Form, page_route, read_form
from services.notify.sign_in import password, proving, store
from services.notify.sign_in.account import Account
from services.notify.sign_in.door import asker_of
from services.notify.sign_in.flow import SignIn, again, give_session, one, onward, same_twice, session_of
from services.notify.sign_in.pages import BUSY, picture_for, second_factor_words
from services.notify.sign_in.proving import Refused
from services.notify.sign_in.visitor import Visitor, visitor_of
from services.notify.worklist.words import clock
from shared.postgres import tenant_transaction

HOME = "/worklist/account"
DONE = {
    "password": "Your password is changed. Other browsers were signed out.",
    "others": "All other browsers were signed out.",
}


def routes(context: SignIn) -> APIRouter:
    """What somebody changes of their own account; what matters needs the password once more."""
    desk, render = context.desk, context.render
    router = APIRouter(route_class=page_route(render), include_in_schema=False)

    async def sent(request: Request) -> Form:
        return await read_form(request, context.public_url)

    @router.get(HOME)
    def account(request: Request, done: str = "") -> Response:
        visitor = visitor_of(request)
        if visitor.account is None:
            return render("account-of-nobody.html")
        return render("account.html", **_words(context, visitor), done=DONE.get(done, ""), error="")

    @router.post(f"{HOME}/password")
    def change_password(request: Request, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        visitor = visitor_of(request)
        try:
            found = _proven(context, request, form)
            proving.change_password(
                desk, found, same_twice(form), but=visitor.session, asker=asker_of(visitor, request)
            )
        except (Refused, password.Busy) as error:
            return _refused(context, visitor, error)
        answer = onward(context, f"{HOME}?done=password")
        _renew(context, request, answer, found, visitor)
        return answer

    @router.post(f"{HOME}/second-factor")
    def begin_second_factor(request: Request, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        visitor = visitor_of(request)
        try:
            found = _proven(context, request, form)
        except (Refused, password.Busy) as error:
            return _refused(context, visitor, error)
        proving.offered_secret(desk, found, session_of(visitor))
        return onward(context, f"{HOME}/second-factor")

    @router.get(f"{HOME}/second-factor")
    def second_factor(request: Request) -> Response:
        visitor = visitor_of(request)
        found = _offered(context, visitor)
        return render("second-factor.html", **second_factor_words(context, found, visitor, ""))

    @router.post(f"{HOME}/second-factor/confirm")
    def confirm_second_factor(request: Request, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        visitor = visitor_of(request)
        found = _offered(context, visitor)
        asker = asker_of(visitor, request)
        try:
            codes = proving.set_second_factor(desk, found, one(form, "code"), session_of(visitor), asker=asker)
        except Refused as refused:
            return again(context, "second-factor.html", refused, **second_factor_words(context, found, visitor, ""))
        answer = render("recovery-codes.html", codes=codes, onward=HOME)
        _renew(context, request, answer, found, visitor)
        return answer

    @router.get(f"{HOME}/qr.svg")
    def picture(request: Request) -> Response:
        visitor = visitor_of(request)
        return picture_for(context, _offered(context, visitor), visitor)

    @router.post(f"{HOME}/recovery-codes")
    def recovery_codes(request: Request, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        visitor = visitor_of(request)
        try:
            found = _proven(context, request, form)
        except (Refused, password.Busy) as error:
            return _refused(context, visitor, error)
        if not found.has_second_factor:
            raise HTTPException(404)
        codes = proving.new_recovery_codes(desk, found, asker=asker_of(visitor, request))
        return render("recovery-codes.html", codes=codes, onward=HOME)

    @router.post(f"{HOME}/sessions")
    def end_others(request: Request, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        visitor = visitor_of(request)
        found = context.account_of(visitor)
        with tenant_transaction(desk.pool, visitor.tenant) as connection:
            store.end_sessions(connection, visitor.tenant, found.id, but=session_of(visitor))
        return onward(context, f"{HOME}?done=others")

    return router


def _words(context: SignIn, visitor: Visitor) -> dict[str, object]:
    account = context.account_of(visitor)
    with tenant_transaction(context.desk.pool, visitor.tenant) as connection:
        sessions = store.sessions(connection, visitor.tenant, account.id)
        left = store.recovery_codes_left(connection, account)
    return {
        "account": account,
        "codes_left": left,
        "sessions": [
            {
                "begun": clock(one["begun_at"]),
                "used": clock(one["used_at"]),
                "address": one["address"] or "not known",
                "this": one["id"] == visitor.session,
            }
            for one in sessions
        ],
    }


def _proven(context: SignIn, request: Request, form: Form) -> Account:
    """The visitor's account, after the present password was typed once more. Raises Refused, and password.Busy."""
    visitor = visitor_of(request)
    found = context.account_of(visitor)
    if not found.has_password:
        raise HTTPException(404)
    try:
        return proving.prove_password(
            context.desk,
            found.login or "",
            one(form, "present"),
            device=context.device_of(request),
            asker=asker_of(visitor, request),
        )
    except Refused as refused:
        raise refused if refused.wait_s else Refused("The present password is not right.") from None


def _offered(context: SignIn, visitor: Visitor) -> Account:
    """The visitor's account, if this session is setting up a second factor now. Raises HTTPException 404."""
    with tenant_transaction(context.desk.pool, visitor.tenant) as connection:
        if store.session(connection, visitor.tenant, session_of(visitor))["offered_totp"] is None:
            raise HTTPException(404)
    return context.account_of(visitor)


def _renew(context: SignIn, request: Request, answer: Response, account: Account, visitor: Visitor) -> None:
    """Another session id after something was changed that guards the account."""
    give_session(context, request, answer, account, way="password", complete=True, second_factor=True, half=visitor)


def _refused(context: SignIn, visitor: Visitor, error: Exception) -> Response:
    refused = error if isinstance(error, Refused) else BUSY
    return again(context, "account.html", refused, **_words(context, visitor), done="")

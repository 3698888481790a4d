"""The page of accounts, for administrators: who may sign in, with which roles. First passwords are shown once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from services.notify.page import Form, page_route, read_form
from services.notify.sign_in import accounts, store
from services.notify.sign_in.account import Account
from services.notify.sign_in.accounts import Wrong
from services.notify.sign_in.door import asker_of
from services.notify.sign_in.flow import SignIn, one, onward
from services.notify.sign_in.visitor import Role, Visitor, require_role, visitor_of
from services.notify.worklist.words import clock
from shared.postgres import DictConnection, tenant_transaction

HOME = "/worklist/accounts"
ROLE_WORDS = {
    Role.CLINICIAN: "sees alerts and patients, and acts on them",
    Role.LEAD: "also sees measures and changes who is on call",
    Role.ADMINISTRATOR: "keeps accounts; sees no patients",
    Role.AUDITOR: "reads the record of who did what; no acts",
}


@dataclass(frozen=True, slots=True)
class Given:
    """A first password that the page shows once."""

    login: str
    password: str


def routes(context: SignIn) -> APIRouter:
    """List, add, change, disable, enable, reset."""
    pool, render = context.desk.pool, context.render
    router = APIRouter(route_class=page_route(render), include_in_schema=False)

    async def sent(request: Request) -> Form:
        return await read_form(request, context.public_url)

    def page(visitor: Visitor, *, given: Given | None = None, error: str = "", form: Form | None = None) -> Response:
        with tenant_transaction(pool, visitor.tenant) as connection:
            found = store.accounts(connection, visitor.tenant)
        words = {
            "accounts": [_shown(account, visitor) for account in found],
            "roles": list(ROLE_WORDS.items()),
            "given": given,
            "error": error,
            "typed": {name: values[0] for name, values in (form or {}).items()},
            "chosen": (form or {}).get("role", []),
        }
        return render("accounts.html", status=422 if error else 200, **words)

    @router.get(HOME)
    def all_accounts(request: Request) -> Response:
        return page(require_role(request, Role.ADMINISTRATOR))

    @router.post(f"{HOME}/add")
    def add(request: Request, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        visitor = require_role(request, Role.ADMINISTRATOR)
        try:
            new = accounts.new_account(
                visitor.tenant, one(form, "login"), one(form, "name"), roles=_roles(form), person=one(form, "person")
            )
            with tenant_transaction(pool, visitor.tenant) as connection:
                password = accounts.add(connection, new, asker_of(visitor, request))
        except Wrong as wrong:
            return page(visitor, error=str(wrong), form=form)
        return page(visitor, given=Given(new.login or "", password))

    @router.post(HOME + "/{account_id}/change")
    def change(request: Request, account_id: UUID, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        visitor = require_role(request, Role.ADMINISTRATOR)
        try:
            with tenant_transaction(pool, visitor.tenant) as connection:
                account = _account(connection, visitor, account_id)
                roles = _roles(form)
                if account.id == visitor.account and Role.ADMINISTRATOR not in roles:
                    raise Wrong("You cannot take the role administrator from yourself. Ask another administrator.")
                accounts.change(
                    connection,
                    account,
                    asker_of(visitor, request),
                    name=one(form, "name"),
                    person=one(form, "person"),
                    roles=roles,
                )
        except Wrong as wrong:
            return page(visitor, error=str(wrong))
        return onward(context, HOME)

    @router.post(HOME + "/{account_id}/{act}")
    def act_on(request: Request, account_id: UUID, act: str, form: Mapping[str, list[str]] = Depends(sent)) -> Response:
        visitor = require_role(request, Role.ADMINISTRATOR)
        asker = asker_of(visitor, request)
        try:
            with tenant_transaction(pool, visitor.tenant) as connection:
                account = _account(connection, visitor, account_id)
                if account.id == visitor.account:
                    raise Wrong("You cannot do this to your own account. Ask another administrator.")
                match act:
                    case "disable":
                        accounts.disable(connection, account, asker)
                    case "enable":
                        accounts.enable(connection, account, asker)
                    case "reset":
                        given = Given(account.login or "", accounts.reset(connection, account, asker))
                    case _:
                        raise HTTPException(404)
        except Wrong as wrong:
            return page(visitor, error=str(wrong))
        return page(visitor_of(request), given=given) if act == "reset" else onward(context, HOME)

    return router


def _roles(form: Form) -> frozenset[Role]:
    """Raises Wrong."""
    return accounts.roles_of(form.get("role", []))


def _account(connection: DictConnection, visitor: Visitor, account_id: UUID) -> Account:
    account = store.account(connection, visitor.tenant, account_id)
    if account is None:
        raise HTTPException(404)
    return account


def _shown(account: Account, visitor: Visitor) -> dict[str, object]:
    return {
        "id": account.id,
        "login": account.login or "signs in by the organisation",
        "has_password": account.has_password,
        "name": account.name,
        "person": account.person or "",
        "roles": sorted(account.roles),
        "second_factor": "set up" if account.has_second_factor else "not set up",
        "first": account.must_change_password,
        "since": clock(account.created_at) if account.created_at else "",
        "disabled": clock(account.disabled_at) if account.disabled_at else "",
        "own": account.id == visitor.account,
    }

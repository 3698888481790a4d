"""How a sign-in goes on: which step is next, who may be at it, and the cookies that come with the answer."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.notify.page import SECURITY_HEADERS, Form, Render
from services.notify.sign_in import proving, store
from services.notify.sign_in.account import Account
from services.notify.sign_in.door import Door, asker_of
from services.notify.sign_in.oidc import Provider
from services.notify.sign_in.proving import Desk, Refused, Step
from services.notify.sign_in.session import DEVICE_DAYS, new_token
from services.notify.sign_in.visitor import Visitor, visitor_of
from shared.access.session_cookie import SESSION
from shared.audit.act import Act, Asker, Interaction, Word, record
from shared.postgres import tenant_transaction

DEVICE = "device"


@dataclass(frozen=True, slots=True)
class SignIn:
    """What the pages work with. `provider` None: everybody has a password here. `tenant`: of the provider's people."""

    door: Door
    desk: Desk
    render: Render
    public_url: str
    provider: Provider | None
    tenant: UUID

    def device_of(self, request: Request) -> str:
        """What this browser is known by, if it is."""
        return self.door.cookies.read(request.cookies, DEVICE)

    def account_of(self, visitor: Visitor) -> Account:
        """The account of who is signed in, or about to. Raises HTTPException 404 when it is gone."""
        if visitor.account is None:
            raise HTTPException(404)
        with tenant_transaction(self.desk.pool, visitor.tenant) as connection:
            found = store.account(connection, visitor.tenant, visitor.account)
        if found is None:
            raise HTTPException(404)
        return found


def one(form: Form, name: str) -> str:
    """The one value of a field; empty where it was not sent."""
    return form.get(name, [""])[0]


def session_of(visitor: Visitor) -> UUID:
    """The id of the visitor's session. Raises HTTPException 404 where there is none."""
    if visitor.session is None:
        raise HTTPException(404)
    return visitor.session


def step_of(context: SignIn, visitor: Visitor) -> tuple[Account, Step | None]:
    """The account of who is in the middle of a sign-in, and what is next; None: nothing is left."""
    account = context.account_of(visitor)
    return account, context.desk.left(account, second_factor=second_factor_shown(context, visitor))


def second_factor_shown(context: SignIn, visitor: Visitor) -> bool:
    """Whether this session has seen the second factor."""
    with tenant_transaction(context.desk.pool, visitor.tenant) as connection:
        return bool(store.session(connection, visitor.tenant, session_of(visitor))["second_factor"])


def at(context: SignIn, request: Request, step: Step) -> Account:
    """The account of who is at this step of the sign-in. Raises HTTPException 404 for who is at another."""
    visitor = visitor_of(request)
    if visitor.complete:
        raise HTTPException(404)
    account, present = step_of(context, visitor)
    if present is not step:
        raise HTTPException(404)
    return account


def onward(context: SignIn, path: str) -> Response:
    """To a page of ours."""
    return RedirectResponse(context.door.base + path, 303, headers=SECURITY_HEADERS)


def step_path(step: Step, target: str) -> str:
    """The address of a step, after which the way leads to `target`."""
    return f"/worklist/sign-in/{step}?next={quote(target, safe='/')}"


def let_in(
    context: SignIn,
    request: Request,
    account: Account,
    *,
    way: str,
    target: str,
    second_factor: bool = False,
    half: Visitor | None = None,
) -> Response:
    """Another session, in place of `half`, and the way to what is next. Each step gives another id."""
    step = context.desk.left(account, second_factor=second_factor)
    answer = onward(context, target if step is None else step_path(step, target))
    give_session(
        context, request, answer, account, way=way, complete=step is None, second_factor=second_factor, half=half
    )
    return answer


def give_session(
    context: SignIn,
    request: Request,
    answer: Response,
    account: Account,
    *,
    way: str,
    complete: bool,
    second_factor: bool,
    half: Visitor | None,
) -> None:
    """A new session in this answer's cookie; once complete, this browser is known from now on."""
    asker = asker_of(Visitor(account.tenant_id, "", frozenset(), account=account.id), request)
    device = context.device_of(request) or new_token()
    token = proving.begin(
        context.desk,
        account,
        way=way,
        complete=complete,
        second_factor=second_factor,
        instead_of=half.session if half else None,
        device=device,
        asker=asker,
    )
    context.door.cookies.give(answer, SESSION, token)
    if complete:
        context.door.cookies.give(answer, DEVICE, device, age_s=DEVICE_DAYS * 24 * 3600)


def end(context: SignIn, visitor: Visitor | None, asker: Asker) -> None:
    """This visitor's session is over, if there is one."""
    if visitor is None or visitor.session is None:
        return
    with tenant_transaction(context.desk.pool, visitor.tenant) as connection:
        store.end_session(connection, visitor.tenant, visitor.session)
        if visitor.complete:
            record(connection, visitor.tenant, Act(Interaction.LOGIN, word=Word.SIGNED_OUT), asker)


def again(context: SignIn, template: str, refused: Refused, **values: object) -> Response:
    """The same form once more, with what was wrong: 422, or 429 when it came too early."""
    status = 429 if refused.wait_s else 422
    answer = context.render(template, status=status, **values | {"error": refused.sentence})
    if refused.wait_s:
        answer.headers["Retry-After"] = str(refused.wait_s)
    return answer


def same_twice(form: Form) -> str:
    """The new password, typed twice alike. Raises Refused."""
    if one(form, "password") != one(form, "again"):
        raise Refused("The two passwords are not the same. Type the new one twice.")
    return one(form, "password")

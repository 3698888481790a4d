"""Use cases of a sign-in with a password: prove who it is, step by step, until a session is complete.

Every attempt is counted as failed before it is looked at, and taken back when it was right: many at once gain nothing.
Whether the name is unknown, the password wrong or the account disabled, the answer is the same, after the same work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from services.notify.sign_in import password, store, totp
from services.notify.sign_in.account import Account
from services.notify.sign_in.accounts import normal_login
from services.notify.sign_in.pause import Counted, counted_by
from services.notify.sign_in.secret_box import SecretBox
from services.notify.sign_in.session import new_token
from shared.access.session_cookie import hashed
from shared.audit.act import Act, Asker, Interaction, Word, record
from shared.audit.denials import Denials
from shared.ids import DEFAULT_TENANT
from shared.postgres import DictConnection, Pool, database_now, tenant_transaction

NOWHERE = (DEFAULT_TENANT, UUID(int=0))
"""Where an account is looked for whose name nobody has, so that it takes as long."""
NOT_RIGHT = "The login name or the password is not right."
CODE_NOT_RIGHT = "This code is not right, or was used before. Wait for the next one."


class Step(StrEnum):
    """What is left to do of a sign-in; the value is the end of its address."""

    CODE = "code"
    PASSWORD = "password"  # noqa: S105
    SECOND_FACTOR = "second-factor"


class Refused(Exception):
    """Not proven. `sentence` is what the page says; `wait_s` over 0: nothing was looked at, as it is too early."""

    def __init__(self, sentence: str, wait_s: int = 0) -> None:
        super().__init__(sentence)
        self.sentence, self.wait_s = sentence, wait_s


@dataclass(frozen=True, slots=True)
class Desk:
    """What the sign-in works with. `required`: whether a second factor is, for accounts with a password."""

    pool: Pool
    box: SecretBox
    denials: Denials
    required: bool

    def left(self, account: Account, *, second_factor: bool) -> Step | None:
        """The next thing to do before this sign-in is complete; None: nothing."""
        if not account.has_password:
            return None
        if account.has_second_factor and not second_factor:
            return Step.CODE
        if account.must_change_password:
            return Step.PASSWORD
        if self.required and not account.has_second_factor:
            return Step.SECOND_FACTOR
        return None


def prove_password(desk: Desk, login: str, given: str, *, device: str, asker: Asker) -> Account:
    """Whose name and password these are. Raises Refused, and password.Busy."""
    login = normal_login(login)
    with desk.pool.connection() as connection:
        tenant, account_id = store.find_login(connection, login) or NOWHERE
    with tenant_transaction(desk.pool, tenant) as connection:
        account = store.account(connection, tenant, account_id)
        known = store.knows_device(connection, tenant, account_id, hashed(device))
        counted = counted_by(login, device=hashed(device) if known else None, address=asker.address)
        _count(connection, counted)
    right = password.is_right(account.password_hash if account else None, given)
    if account is None or not right or account.disabled_at is not None:
        about = str(account.id) if account else None
        desk.denials.note(asker, Word.SIGN_IN_FAILED, tenant, account=about)
        raise Refused(NOT_RIGHT)
    with tenant_transaction(desk.pool, tenant) as connection:
        _take_back(connection, counted)
        if password.is_outdated(account.password_hash or ""):
            renewed = password.hash_password(given)
            store.set_password(connection, account, renewed, must_change=account.must_change_password)
    return account


def prove_code(desk: Desk, account: Account, code: str, session: UUID, *, asker: Asker) -> None:
    """That this code, of the app or a recovery code, belongs to the account. Each works once. Raises Refused."""
    counted = (Counted(f"code/{account.id}", 5),)
    with tenant_transaction(desk.pool, account.tenant_id) as connection:
        _count(connection, counted)
    with tenant_transaction(desk.pool, account.tenant_id) as connection:
        if _uses(desk, connection, account, code):
            _take_back(connection, counted)
            store.prove_second_factor(connection, account.tenant_id, session)
            return
    desk.denials.note(asker, Word.SIGN_IN_FAILED, account.tenant_id, account=str(account.id))
    raise Refused(CODE_NOT_RIGHT)


def _uses(desk: Desk, connection: DictConnection, account: Account, code: str) -> bool:
    if store.use_recovery_code(connection, account, totp.recovery_hash(code)):
        return True
    if account.totp_secret is None:
        return False
    secret = desk.box.open(account.totp_secret, account.id)
    step = totp.step_of(secret, code, now=database_now(connection), after=account.totp_last_step)
    return step is not None and store.use_step(connection, account, step)


def change_password(desk: Desk, account: Account, new: str, *, but: UUID | None, asker: Asker) -> None:
    """Another password. Ends all sessions but this one. Raises Refused, and password.Busy."""
    if fault := password.fault_of(new, login=account.login or "", name=account.name):
        raise Refused(fault)
    if password.is_right(account.password_hash, new):
        raise Refused("Choose a password that is not the old one.")
    kept = password.hash_password(new)
    with tenant_transaction(desk.pool, account.tenant_id) as connection:
        store.set_password(connection, account, kept, must_change=False)
        store.end_sessions(connection, account.tenant_id, account.id, but=but)
        record(connection, account.tenant_id, Act(Interaction.LOGIN, word=Word.PASSWORD_CHANGED), asker)


def offered_secret(desk: Desk, account: Account, session: UUID) -> str:
    """The secret that this session is shown to set up a second factor: the same until a code confirms it."""
    with tenant_transaction(desk.pool, account.tenant_id) as connection:
        offered = store.session(connection, account.tenant_id, session)["offered_totp"]
        if offered is not None:
            return desk.box.open(offered, account.id)
        secret = totp.new_secret()
        kept = desk.box.close(secret, account.id)
        store.offer_second_factor(connection, account.tenant_id, session, kept)
    return secret


def set_second_factor(desk: Desk, account: Account, code: str, session: UUID, *, asker: Asker) -> Sequence[str]:
    """Keep the offered secret, now that a code of it was shown; returns new recovery codes. Raises Refused."""
    secret = offered_secret(desk, account, session)
    with tenant_transaction(desk.pool, account.tenant_id) as connection:
        step = totp.step_of(secret, code, now=database_now(connection), after=0)
        if step is None:
            raise Refused("This code is not right. Type the six figures that the app shows for Sural now.")
        store.set_second_factor(connection, account, desk.box.close(secret, account.id), step=step)
        store.offer_second_factor(connection, account.tenant_id, session, None)
        store.prove_second_factor(connection, account.tenant_id, session)
        store.end_sessions(connection, account.tenant_id, account.id, but=session)
        record(connection, account.tenant_id, Act(Interaction.LOGIN, word=Word.SECOND_FACTOR_SET), asker)
        return _new_codes(connection, account)


def new_recovery_codes(desk: Desk, account: Account, *, asker: Asker) -> Sequence[str]:
    """Ten codes in place of those that there were."""
    with tenant_transaction(desk.pool, account.tenant_id) as connection:
        record(connection, account.tenant_id, Act(Interaction.LOGIN, word=Word.SECOND_FACTOR_SET), asker)
        return _new_codes(connection, account)


def begin(
    desk: Desk,
    account: Account,
    *,
    way: str,
    complete: bool,
    second_factor: bool,
    instead_of: UUID | None,
    device: str,
    asker: Asker,
) -> str:
    """A new session in place of the one before; returns what its cookie holds.

    `complete`: the person is signed in from now on, and this browser is known for them.
    """
    token = new_token()
    tenant = account.tenant_id
    with tenant_transaction(desk.pool, tenant) as connection:
        if instead_of is not None:
            store.end_session(connection, tenant, instead_of)
        store.begin_session(
            connection, tenant, account.id, hashed(token),
            complete=complete, second_factor=second_factor, way=way, address=asker.address,
        )  # fmt: skip
        if complete:
            store.note_device(connection, account, hashed(device))
            record(connection, tenant, Act(Interaction.LOGIN, word=Word.SIGNED_IN), asker)
            store.forget_old(connection)
    return token


def _new_codes(connection: DictConnection, account: Account) -> Sequence[str]:
    codes = totp.new_recovery_codes()
    store.keep_recovery_codes(connection, account, [totp.recovery_hash(code) for code in codes])
    return codes


def _count(connection: DictConnection, counted: Sequence[Counted]) -> None:
    """Count an attempt as failed, in the caller's transaction. Raises Refused when it comes too early."""
    failed = store.lock_failures(connection, [one.subject for one in counted])
    now = database_now(connection)
    wait_s = max((one.left_s(*failed[one.subject], now) for one in counted if one.subject in failed), default=0.0)
    if wait_s > 0:
        seconds = math.ceil(wait_s)
        raise Refused(f"Too many attempts that were not right. Try again in {seconds} s.", seconds)
    store.count_failure(connection, [one.subject for one in counted])


def _take_back(connection: DictConnection, counted: Sequence[Counted]) -> None:
    """The attempt was right: what was counted for this person is forgotten, and for the address it was none."""
    subjects = [one.subject for one in counted]
    store.forgive_failure(connection, [name for name in subjects if name.startswith("address/")])
    store.forget_failures(connection, [name for name in subjects if not name.startswith("address/")])

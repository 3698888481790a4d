"""Use case: somebody came back from the identity provider, who answers for who they are. Their account is made here.

Roles are those that the provider names at this sign-in; one that it names no more is gone with the next.
"""

from __future__ import annotations

from uuid import UUID

from services.notify.sign_in import store
from services.notify.sign_in.account import Account
from services.notify.sign_in.accounts import Wrong, change
from services.notify.sign_in.provider import Identity
from services.notify.sign_in.proving import Desk, Refused
from shared.audit.act import Act, Asker, Interaction, Word, record
from shared.ids import uuid7
from shared.postgres import DictConnection, tenant_transaction

NO_ROLE = "Your organisation signed you in, and gives you no role here. Show this page to whoever keeps its groups."
DISABLED = "Your account here is disabled. Ask an administrator."


def account_of(desk: Desk, identity: Identity, tenant: UUID, *, asker: Asker) -> Account:
    """The account of this identity, new or with the roles of now. Raises Refused."""
    with desk.pool.connection() as connection:
        place = store.find_subject(connection, identity.issuer, identity.subject)
    if not identity.roles:
        desk.denials.note(asker, Word.SIGN_IN_FAILED, tenant, account=str(place[1]) if place else None)
        raise Refused(NO_ROLE)
    if place is None:
        return _new(desk, identity, tenant, asker)
    with tenant_transaction(desk.pool, place[0]) as connection:
        account = store.account(connection, *place)
        if account is not None and account.disabled_at is None:
            return _as_of_now(connection, account, identity, asker)
    desk.denials.note(asker, Word.SIGN_IN_FAILED, place[0], account=str(place[1]))
    raise Refused(DISABLED)


def _new(desk: Desk, identity: Identity, tenant: UUID, asker: Asker) -> Account:
    made = Account(
        uuid7(), tenant, None, identity.name, identity.person, identity.roles,
        issuer=identity.issuer, subject=identity.subject,
    )  # fmt: skip
    with tenant_transaction(desk.pool, tenant) as connection:
        if not store.add_account(connection, made):
            raise Refused("You signed in twice at the same moment. Try it again.")
        act = Act(Interaction.OPERATION, type="Practitioner", id=str(made.id), word=Word.ACCOUNT_ADDED)
        record(connection, tenant, act, asker)
    return made


def _as_of_now(connection: DictConnection, account: Account, identity: Identity, asker: Asker) -> Account:
    person = identity.person or account.person or ""
    if (account.name, account.person or "", account.roles) == (identity.name, person, identity.roles):
        return account
    try:
        return change(connection, account, asker, name=identity.name, person=person, roles=identity.roles)
    except Wrong as wrong:
        raise Refused(str(wrong)) from None

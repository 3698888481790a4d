"""`account`: who may sign in to the pages. As `./sural account` and as `python -m services.notify account`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from uuid import UUID

from services.notify.sign_in import accounts, store
from services.notify.sign_in.account import Account
from services.notify.sign_in.accounts import Wrong, normal_login
from services.notify.sign_in.visitor import Role
from shared.audit.act import Asker
from shared.ids import DEFAULT_TENANT
from shared.postgres import DictConnection, set_tenant

PROGRAM = "account"
Connect = Callable[[], AbstractContextManager[DictConnection]]
BY = Asker("command-line")
"""Who stands in the audit: whoever can run this command can reach the database."""


def parser(program: str = PROGRAM) -> argparse.ArgumentParser:
    """What can be said."""
    words = argparse.ArgumentParser(prog=program, description="People who may sign in to the pages.")
    commands = words.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="add an account; prints its first password once")
    add.add_argument("login", metavar="LOGIN", help="what the person types, for example an e-mail address")
    add.add_argument("--name", required=True, help="as colleagues know the person; stands in the record")
    add.add_argument("--role", required=True, action="append", choices=[str(role) for role in Role])
    add.add_argument("--person", default="", help="id in the on-call document")
    _tenant_option(add)
    _tenant_option(commands.add_parser("list", help="all accounts of a tenant"))
    acts = {
        "disable": "no sign-in from now on; sessions end at once",
        "enable": "let somebody sign in again who was disabled",
        "reset": "a new first password, and no second factor; prints the password once",
    }
    for name, what in acts.items():
        act = commands.add_parser(name, help=what)
        act.add_argument("login", metavar="LOGIN", help="login name, or the id that `list` shows")
        _tenant_option(act)
    return words


def _tenant_option(words: argparse.ArgumentParser) -> None:
    words.add_argument("--tenant", type=UUID, default=DEFAULT_TENANT, help="whose data the person may see (UUID)")


def run(given: argparse.Namespace, connection: DictConnection) -> int:
    """Do what was said, in one transaction; returns the exit status."""
    try:
        with connection.transaction():
            lines, status = _said(given, connection), 0
    except Wrong as wrong:
        lines, status = [f"sural: {wrong}"], 1
    print("\n".join(lines) or "Nobody has an account.")  # noqa: T201
    return status


def _said(given: argparse.Namespace, connection: DictConnection) -> Sequence[str]:
    match given.command:
        case "add":
            roles = accounts.roles_of(given.role)
            new = accounts.new_account(given.tenant, given.login, given.name, roles=roles, person=given.person)
            set_tenant(connection, given.tenant)
            return _first(new.login or "", accounts.add(connection, new, BY))
        case "list":
            set_tenant(connection, given.tenant)
            return [_line(account) for account in store.accounts(connection, given.tenant)]
        case "disable":
            accounts.disable(connection, _found(connection, given), BY)
            return ["Disabled. Whoever was signed in is signed out."]
        case "enable":
            accounts.enable(connection, _found(connection, given), BY)
            return ["Enabled. The password and the second factor are those of before."]
        case _:
            account = _found(connection, given)
            return _first(account.login or "", accounts.reset(connection, account, BY))


def _found(connection: DictConnection, given: argparse.Namespace) -> Account:
    """The account, whose tenant the transaction acts for from here on. Raises Wrong."""
    place = store.find_login(connection, normal_login(given.login)) or (given.tenant, _id(given.login))
    set_tenant(connection, place[0])
    account = store.account(connection, *place)
    if account is None:
        raise Wrong("There is no account of that login name or id. See `account list`.")
    return account


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


def _first(login: str, password: str) -> Sequence[str]:
    return [
        f"login name      {login}",
        f"first password  {password}",
        "It is shown once. The person chooses another at the first sign-in.",
    ]


def _line(account: Account) -> str:
    state = f"disabled {account.disabled_at:%Y-%m-%d}" if account.disabled_at else "active"
    factor = "second factor" if account.has_second_factor else "no second factor"
    way = factor if account.has_password else "signs in by the identity provider"
    person = f"; on call as {account.person}" if account.person else ""
    roles = ", ".join(sorted(account.roles))
    return f"{account.login or account.id}  {state}  {account.name}\n  {roles}; {way}{person}"


def main(arguments: Sequence[str], *, program: str, connect: Connect) -> int:
    """Run one command on the connection that `connect` opens; returns the exit status."""
    given = parser(program).parse_args(arguments)
    with connect() as connection:
        return run(given, connection)

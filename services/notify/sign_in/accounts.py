"""Use cases of who keeps the accounts: add, disable, enable, reset, change. By the page or by the command line.

Each is one transaction of the caller with its audit row, and each that takes something away ends all sessions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

from services.notify.sign_in import store
from services.notify.sign_in.account import Account
from services.notify.sign_in.password import Busy, first_password, hash_password
from services.notify.sign_in.visitor import Role
from shared.audit.act import Act, Asker, Interaction, Word, record
from shared.ids import uuid7
from shared.postgres import DictConnection

_LOGIN = re.compile(r"[^\s/\\]{1,120}")
NAME_LENGTH = 120
_PERSON = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Wrong(Exception):
    """Something that was given cannot be used. The text is a sentence for who gave it."""


def normal_login(text: str) -> str:
    """A login name as it is kept: however it was typed, in small letters."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


def new_account(tenant: UUID, login: str, name: str, *, roles: Iterable[Role], person: str = "") -> Account:
    """An account without a password yet. Raises Wrong."""
    login = normal_login(login)
    if not _LOGIN.fullmatch(login) or not login.isprintable():
        raise Wrong("Give a login name of 1 to 120 characters without spaces, for example an e-mail address.")
    return Account(uuid7(), tenant, login, *_checked(name, person, frozenset(roles)))


def roles_of(words: Iterable[str]) -> frozenset[Role]:
    """The roles of these names. Raises Wrong."""
    try:
        return frozenset(Role(word) for word in words)
    except ValueError:
        raise Wrong(f"A role is one of {', '.join(Role)}.") from None


def add(connection: DictConnection, new: Account, by: Asker) -> str:
    """Keep a new account; returns its first password, which nobody sees again. Raises Wrong."""
    password = first_password()
    kept = replace(new, password_hash=_kept(password), must_change_password=True)
    if not store.add_account(connection, kept):
        raise Wrong("This login name is taken. Choose another.")
    _record(connection, kept, Word.ACCOUNT_ADDED, by)
    return password


def disable(connection: DictConnection, account: Account, by: Asker) -> None:
    """No sign-in from now on; sessions end at once."""
    store.disable_account(connection, account, disabled=True)
    store.end_sessions(connection, account.tenant_id, account.id)
    _record(connection, account, Word.ACCOUNT_DISABLED, by)


def enable(connection: DictConnection, account: Account, by: Asker) -> None:
    """Who was disabled may sign in again."""
    store.disable_account(connection, account, disabled=False)
    _record(connection, account, Word.ACCOUNT_ENABLED, by)


def reset(connection: DictConnection, account: Account, by: Asker) -> str:
    """A new first password, no second factor, no known browser, no session. Returns the password. Raises Wrong."""
    if not account.has_password:
        raise Wrong("This account signs in by an identity provider: a password is reset there.")
    password = first_password()
    store.set_password(connection, account, _kept(password), must_change=True)
    store.set_second_factor(connection, account, None)
    store.keep_recovery_codes(connection, account, ())
    store.forget_devices(connection, account)
    store.end_sessions(connection, account.tenant_id, account.id)
    _record(connection, account, Word.ACCOUNT_RESET, by)
    return password


def change(
    connection: DictConnection, account: Account, by: Asker, *, name: str, person: str, roles: Iterable[Role]
) -> Account:
    """Another name, person or other roles; other roles end all sessions. Raises Wrong."""
    name, kept_person, kept_roles = _checked(name, person, frozenset(roles))
    changed = replace(account, name=name, person=kept_person, roles=kept_roles)
    store.change_account(connection, changed)
    if changed.roles != account.roles:
        store.end_sessions(connection, account.tenant_id, account.id)
        _record(connection, account, Word.ROLES_CHANGED, by)
    if (changed.name, changed.person) != (account.name, account.person):
        _record(connection, account, Word.ACCOUNT_CHANGED, by)
    return changed


def _checked(name: str, person: str, roles: frozenset[Role]) -> tuple[str, str | None, frozenset[Role]]:
    """Name, person and roles as they are kept. Raises Wrong."""
    name, person = " ".join(name.split()), person.strip()
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        raise Wrong(f"Give the name as colleagues know it, 1 to {NAME_LENGTH} characters.")
    if not roles:
        raise Wrong("Choose at least one role.")
    if person and not _PERSON.fullmatch(person):
        raise Wrong("The id in the on-call document has letters, figures, dots, hyphens and underscores only.")
    return name, person or None, roles


def _kept(password: str) -> str:
    """Raises Wrong when too many people sign in at this moment."""
    try:
        return hash_password(password)
    except Busy:
        raise Wrong("Many people sign in at this moment. Try again in a few seconds.") from None


def _record(connection: DictConnection, account: Account, word: Word, by: Asker) -> None:
    act = Act(Interaction.OPERATION, type="Practitioner", id=str(account.id), word=word)
    record(connection, account.tenant_id, act, by)

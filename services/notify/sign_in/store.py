"""Rows of accounts and sessions. Only this room asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from services.notify.sign_in.account import Account
from services.notify.sign_in.pause import FORGOTTEN_S
from services.notify.sign_in.provider import Round
from services.notify.sign_in.session import ABSOLUTE_S, DEVICE_DAYS, IDLE_S, NOTED_S
from shared.ids import uuid7
from shared.postgres import DictConnection, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, slots=True)
class Found:
    """A session that is not over, with its account as it is now. `stale`: its use was not noted lately."""

    tenant: UUID
    id: UUID
    account: UUID
    name: str
    person: str | None
    roles: tuple[str, ...]
    complete: bool
    stale: bool


def session_of(connection: DictConnection, id_hash: bytes) -> Found | None:
    """The session of this cookie, whatever its tenant; None when there is none, or it is over."""
    limits = {"idle_s": IDLE_S, "absolute_s": ABSOLUTE_S, "noted_s": NOTED_S}
    row = connection.execute(QUERIES["session_of"], {"id_hash": id_hash} | limits).fetchone()
    if row is None:
        return None
    return Found(
        row["tenant_id"],
        row["id"],
        row["account_id"],
        row["name"],
        row["person"],
        tuple(row["roles"]),
        row["complete"],
        row["stale"],
    )


def note_use(connection: DictConnection, tenant: UUID, session: UUID) -> None:
    """Somebody was there: the idle time of this session begins anew."""
    connection.execute(QUERIES["note_use"], {"tenant": tenant, "id": session})


def begin_session(
    connection: DictConnection,
    tenant: UUID,
    account: UUID,
    id_hash: bytes,
    *,
    complete: bool,
    second_factor: bool,
    way: str,
    address: str | None,
) -> UUID:
    """A new session; returns the id that names it."""
    session = uuid7()
    given = {
        "tenant": tenant,
        "id": session,
        "id_hash": id_hash,
        "account": account,
        "complete": complete,
        "second_factor": second_factor,
        "way": way,
        "address": address,
    }
    connection.execute(QUERIES["begin_session"], given)
    return session


def end_session(connection: DictConnection, tenant: UUID, session: UUID) -> None:
    """It is over."""
    connection.execute(QUERIES["end_session"], {"tenant": tenant, "id": session})


def end_sessions(connection: DictConnection, tenant: UUID, account: UUID, *, but: UUID | None = None) -> int:
    """End all sessions of this account, but this one; returns how many."""
    return connection.execute(QUERIES["end_sessions"], {"tenant": tenant, "account": account, "but": but}).rowcount


def forget_sessions(connection: DictConnection) -> None:
    """Delete the rows of sessions that are over, of all tenants."""
    connection.execute(QUERIES["forget_sessions"], {"idle_s": IDLE_S, "absolute_s": ABSOLUTE_S})


def find_login(connection: DictConnection, login: str) -> tuple[UUID, UUID] | None:
    """Tenant and id of the account with this login name, in whatever tenant."""
    row = connection.execute(QUERIES["account_of_login"], {"login": login}).fetchone()
    return (row["tenant_id"], row["id"]) if row else None


def find_subject(connection: DictConnection, issuer: str, subject: str) -> tuple[UUID, UUID] | None:
    """Tenant and id of the account of this subject, in whatever tenant."""
    row = connection.execute(QUERIES["account_of_subject"], {"issuer": issuer, "subject": subject}).fetchone()
    return (row["tenant_id"], row["id"]) if row else None


def accounts_exist(connection: DictConnection) -> bool:
    """Whether anybody has an account that is not disabled."""
    row = connection.execute(QUERIES["accounts_exist"]).fetchone()
    return bool(row and row["some"])


def account(connection: DictConnection, tenant: UUID, account_id: UUID) -> Account | None:
    """One account of this tenant."""
    row = connection.execute(QUERIES["account"], {"tenant": tenant, "id": account_id}).fetchone()
    return Account.of(row) if row else None


def accounts(connection: DictConnection, tenant: UUID) -> list[Account]:
    """All accounts of this tenant."""
    return [Account.of(row) for row in connection.execute(QUERIES["accounts"], {"tenant": tenant}).fetchall()]


def add_account(connection: DictConnection, new: Account) -> bool:
    """False when its login name or subject is taken."""
    given = {
        "id": new.id,
        "tenant": new.tenant_id,
        "login": new.login,
        "name": new.name,
        "person": new.person,
        "roles": _sorted(new),
        "password_hash": new.password_hash,
        "must_change_password": new.must_change_password,
        "issuer": new.issuer,
        "subject": new.subject,
    }
    return connection.execute(QUERIES["add_account"], given).rowcount == 1


def change_account(connection: DictConnection, changed: Account) -> None:
    """Name, person and roles."""
    given = _key(changed) | {"name": changed.name, "person": changed.person, "roles": _sorted(changed)}
    connection.execute(QUERIES["change_account"], given)


def disable_account(connection: DictConnection, of: Account, *, disabled: bool) -> None:
    """No sign-in from now on, or again."""
    connection.execute(QUERIES["disable_account"], _key(of) | {"disabled": disabled})


def set_password(connection: DictConnection, of: Account, password_hash: str, *, must_change: bool) -> None:
    """Another password."""
    connection.execute(QUERIES["set_password"], _key(of) | {"password_hash": password_hash, "must_change": must_change})


def set_second_factor(connection: DictConnection, of: Account, secret: str | None, *, step: int = 0) -> None:
    """A secret, as it is kept, whose code of this step was shown; None: there is no second factor any more."""
    connection.execute(QUERIES["set_second_factor"], _key(of) | {"secret": secret, "step": step})


def use_step(connection: DictConnection, of: Account, step: int) -> bool:
    """Note that a code of this step was used. False when it, or a later one, was used before."""
    return connection.execute(QUERIES["use_step"], _key(of) | {"step": step}).rowcount == 1


def keep_recovery_codes(connection: DictConnection, of: Account, hashes: Iterable[bytes]) -> None:
    """These codes work, and none from before."""
    connection.execute(QUERIES["forget_recovery_codes"], _key(of))
    for code_hash in hashes:
        connection.execute(QUERIES["keep_recovery_code"], _key(of) | {"code_hash": code_hash})


def use_recovery_code(connection: DictConnection, of: Account, code_hash: bytes) -> bool:
    """It works no more. False when it did not before."""
    return connection.execute(QUERIES["use_recovery_code"], _key(of) | {"code_hash": code_hash}).rowcount == 1


def recovery_codes_left(connection: DictConnection, of: Account) -> int:
    """How many still work."""
    row = connection.execute(QUERIES["recovery_codes_left"], _key(of)).fetchone()
    return int(row["number"]) if row else 0


def knows_device(connection: DictConnection, tenant: UUID, account_id: UUID, device_hash: bytes) -> bool:
    """Whether this person signed in with this browser lately."""
    given = {"tenant": tenant, "id": account_id, "device_hash": device_hash, "days": DEVICE_DAYS}
    return connection.execute(QUERIES["knows_device"], given).fetchone() is not None


def note_device(connection: DictConnection, of: Account, device_hash: bytes) -> None:
    """This person signed in with this browser."""
    connection.execute(QUERIES["note_device"], _key(of) | {"device_hash": device_hash})


def forget_devices(connection: DictConnection, of: Account) -> None:
    """No browser is known for this person any more."""
    connection.execute(QUERIES["forget_devices"], _key(of))


def sessions(connection: DictConnection, tenant: UUID, account_id: UUID) -> list[Mapping[str, Any]]:
    """Where somebody is signed in now: id, way, address, begun_at, used_at."""
    given = {"tenant": tenant, "account": account_id, "idle_s": IDLE_S, "absolute_s": ABSOLUTE_S}
    return list(connection.execute(QUERIES["sessions"], given).fetchall())


def session(connection: DictConnection, tenant: UUID, session_id: UUID) -> Mapping[str, Any]:
    """`second_factor`: whether it was shown; `offered_totp`: the secret that waits for a code. Raises LookupError."""
    row = connection.execute(QUERIES["session"], {"tenant": tenant, "id": session_id}).fetchone()
    if row is None:
        raise LookupError("the session is over")
    return row


def prove_second_factor(connection: DictConnection, tenant: UUID, session_id: UUID) -> None:
    """The second factor was shown in this session."""
    connection.execute(QUERIES["prove_second_factor"], {"tenant": tenant, "id": session_id})


def offer_second_factor(connection: DictConnection, tenant: UUID, session_id: UUID, secret: str | None) -> None:
    """The secret that this session is shown, as it is kept, until a code confirms it."""
    connection.execute(QUERIES["offer_second_factor"], {"tenant": tenant, "id": session_id, "secret": secret})


def lock_failures(connection: DictConnection, subjects: Sequence[str]) -> dict[str, tuple[int, datetime]]:
    """How often these failed and when last, locked until the transaction ends, those too that never failed."""
    connection.execute(QUERIES["begin_counting"], {"subjects": sorted(subjects)})
    rows = connection.execute(QUERIES["lock_failures"], {"subjects": list(subjects)}).fetchall()
    return {row["subject"]: (row["failures"], row["failed_at"]) for row in rows}


def count_failure(connection: DictConnection, subjects: Sequence[str]) -> None:
    """One more for each, in one order."""
    for subject in sorted(subjects):
        connection.execute(QUERIES["count_failure"], {"subject": subject, "forgotten_s": FORGOTTEN_S})


def forget_failures(connection: DictConnection, subjects: Sequence[str]) -> None:
    """None for these any more."""
    connection.execute(QUERIES["forget_failures"], {"subjects": list(subjects)})


def forgive_failure(connection: DictConnection, subjects: Sequence[str]) -> None:
    """One less for each."""
    connection.execute(QUERIES["forgive_failure"], {"subjects": list(subjects)})


def begin_round(connection: DictConnection, browser_hash: bytes, begun: Round) -> None:
    """A browser is sent to the identity provider."""
    given = {"state": begun.state, "nonce": begun.nonce, "verifier": begun.verifier, "next": begun.next}
    connection.execute(QUERIES["begin_round"], given | {"browser_hash": browser_hash})


def take_round(connection: DictConnection, browser_hash: bytes) -> Round | None:
    """What this browser was sent away with, once and within ten minutes; else None."""
    row = connection.execute(QUERIES["take_round"], {"browser_hash": browser_hash}).fetchone()
    if row is None or not row["in_time"]:
        return None
    return Round(row["state"], row["nonce"], row["verifier"], row["next"])


def forget_old(connection: DictConnection) -> None:
    """Delete what does not count any more: sessions that are over, old failures, rounds that never came back."""
    forget_sessions(connection)
    connection.execute(QUERIES["forget_old_failures"], {"forgotten_s": FORGOTTEN_S})
    connection.execute(QUERIES["forget_rounds"])


def audit(
    connection: DictConnection, tenant: UUID, *, before: tuple[datetime, int] | None, most: int
) -> list[Mapping[str, Any]]:
    """What notify recorded for this tenant, newest first, with the names of accounts; from before this place on."""
    recorded, number = before or (None, None)
    given = {"tenant": tenant, "recorded": recorded, "before": number, "most": most}
    return list(connection.execute(QUERIES["audit"], given).fetchall())


def _key(of: Account) -> dict[str, Any]:
    return {"tenant": of.tenant_id, "id": of.id}


def _sorted(of: Account) -> list[str]:
    return sorted(str(role) for role in of.roles)

"""`client`: who may ask for tokens. The same words as `./sural client` and as `python -m services.intake client`."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from services.intake import client_store
from services.intake.client_store import Client
from services.intake.token_key import new_token_keys, read_token_keys
from shared.access.jose import JoseRefused, new_key, parse_key_set, public_half
from shared.access.scopes import ScopeError, parse_scopes
from shared.ids import DEFAULT_TENANT, WATCHDOG_TENANT
from shared.outbound import Outbound, OutboundRefused
from shared.postgres import DictConnection

PROGRAM = "client"


class Wrong(Exception):
    """Something that was given cannot be used. The text is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class GivenKeys:
    """Keys as they are registered: by value or by address."""

    jwks: str | None = None
    jwks_url: str | None = None


def parser(program: str = PROGRAM) -> argparse.ArgumentParser:
    """What can be said."""
    words = argparse.ArgumentParser(prog=program, description="Systems that may ask for access tokens.")
    commands = words.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="register a client; prints its client_id")
    add.add_argument("name", metavar="NAME", help="what people call it")
    add.add_argument("--scope", required=True, action="append", help="for example system/QuestionnaireResponse.c")
    add.add_argument("--tenant", type=UUID, default=DEFAULT_TENANT, help="whose data it may see (UUID)")
    _key_options(add)
    commands.add_parser("list", help="all clients")
    disable = commands.add_parser("disable", help="give a client no more tokens")
    disable.add_argument("id", metavar="CLIENT_ID")
    keys = commands.add_parser("keys", help="show a client's keys, or take others from now on")
    keys.add_argument("id", metavar="CLIENT_ID")
    _key_options(keys, required=False)
    token_key = commands.add_parser("token-key", help="make the key that signs access tokens, or a new one in front")
    token_key.add_argument("--out", type=Path, required=True, metavar="FILE")
    token_key.add_argument("--rotate", action="store_true", help="FILE is there: put a new key in front of its first")
    return words


def _key_options(words: argparse.ArgumentParser, *, required: bool = True) -> None:
    kind = words.add_mutually_exclusive_group(required=required)
    kind.add_argument("--jwks-file", type=Path, metavar="FILE", help="public keys, a JSON Web Key Set")
    kind.add_argument("--jwks-url", metavar="URL", help="where the public keys are; read again when they change")
    kind.add_argument("--new-key", type=Path, metavar="FILE", help="make a key pair; the private key goes there")


def run(given: argparse.Namespace, connection: DictConnection, *, outbound: Outbound) -> int:
    """Do what was said; returns the exit status."""
    try:
        match given.command:
            case "add":
                _add(given, connection, outbound)
            case "list":
                _list(connection)
            case "disable":
                _known(client_store.disable(connection, given.id))
                _say("Disabled. Tokens end within five minutes; after seconds its subscriptions are sent nothing more.")
            case _:
                _keys(given, connection, outbound)
    except Wrong as wrong:
        _say(f"sural: {wrong}")
        return 1
    return 0


def make_token_key(path: Path, *, rotate: bool) -> int:
    """Write a new key file, or a new key in front of those that are there; returns the exit status."""
    try:
        if rotate:
            keys = read_token_keys(path.read_text(encoding="utf-8")).rotated()
            draft = path.with_name(f".{path.name}.new")
            _write_private(draft, keys.as_text())
            draft.replace(path)
            _say(f"A new key signs once intake was restarted; the one before it stays valid. See {path}.")
        else:
            _write_private(path, new_token_keys().as_text())
            _say(f"Made {path}. Keep it secret.")
    except (OSError, ValueError, Wrong) as error:
        _say(f"sural: {error}")
        return 1
    return 0


def _add(given: argparse.Namespace, connection: DictConnection, outbound: Outbound) -> None:
    if given.tenant == WATCHDOG_TENANT:
        raise Wrong("--tenant names the tenant of the watchdog, whose alerts are told to nobody. Name your own.")
    try:
        scopes = parse_scopes(" ".join(given.scope))
    except ScopeError as error:
        raise Wrong(str(error)) from None
    keys = _given_keys(given, outbound)
    client = Client(str(uuid4()), given.tenant, given.name, keys.jwks, keys.jwks_url, str(scopes))
    client_store.add(connection, client)
    _say(f"client_id  {client.id}\ntenant     {client.tenant}\nscope      {client.scopes}")
    if given.new_key:
        _say(f"key        {given.new_key} (private: keep it to yourself)")


def _list(connection: DictConnection) -> None:
    for client in client_store.every(connection):
        state = f"disabled {client.disabled_at:%Y-%m-%d}" if client.disabled_at else "active"
        where = client.jwks_url or "by value"
        _say(f"{client.id}  {state}  {client.name}\n  tenant {client.tenant}; keys {where}; scope {client.scopes}")


def _keys(given: argparse.Namespace, connection: DictConnection, outbound: Outbound) -> None:
    keys = _given_keys(given, outbound)
    if keys.jwks or keys.jwks_url:
        _known(client_store.replace_keys(connection, given.id, jwks=keys.jwks, jwks_url=keys.jwks_url))
        _say("These keys count from now on.")
        return
    client = client_store.find(connection, given.id)
    _known(client is not None)
    assert client is not None
    _say(client.jwks_url or str(client.jwks))


def _given_keys(given: argparse.Namespace, outbound: Outbound) -> GivenKeys:
    """The keys of the command line, checked. Raises Wrong."""
    if given.jwks_url:
        try:
            outbound.check(given.jwks_url)
        except OutboundRefused as refused:
            raise Wrong(f"--jwks-url: {refused}") from None
        return GivenKeys(jwks_url=given.jwks_url)
    if given.jwks_file:
        try:
            text = given.jwks_file.read_text(encoding="utf-8")
            if any(key.kid is None for key in parse_key_set(text)):
                raise JoseRefused("it holds a key without kid")
        except (OSError, UnicodeDecodeError):
            raise Wrong(f"{given.jwks_file} cannot be read.") from None
        except JoseRefused as refused:
            raise Wrong(f"{given.jwks_file}: {refused.reason}.") from None
        return GivenKeys(jwks=text)
    if given.new_key:
        key = new_key()
        _write_private(given.new_key, json.dumps(key, indent=1) + "\n")
        return GivenKeys(jwks=json.dumps({"keys": [public_half(key)]}))
    return GivenKeys()


def _write_private(path: Path, text: str) -> None:
    """A new file that only its owner can read. Raises Wrong where there is one already."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Wrong(f"{path} is there already. Choose another name, or take it away first.") from None
    except OSError as error:
        raise Wrong(f"{path} cannot be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _known(found: bool) -> None:
    if not found:
        raise Wrong("There is no client of that id. See `client list`.")


def _say(line: str) -> None:
    print(line)  # noqa: T201


def main(arguments: Sequence[str], *, program: str) -> int:
    """For a process that has the settings of intake in its environment."""
    given = parser(program).parse_args(arguments)
    if given.command == "token-key":
        return make_token_key(given.out, rotate=given.rotate)
    from services.intake.settings import IntakeSettings
    from shared.access.opening import outbound_of
    from shared.postgres import connect

    settings = IntakeSettings.load()
    with connect(settings.intake_database_url.get_secret_value(), schema="intake") as connection:
        return run(given, connection, outbound=outbound_of(settings))

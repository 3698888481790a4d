"""The variables that the children of the supervisor get, and what is shown of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from deploy.local.errors import StartError
from deploy.local.folder import DataFolder, write_whole
from shared.settings import is_loopback

SERVICES = ("intake", "triage", "notify")
HOST = "127.0.0.1"
SANDBOX, PRODUCTION = "sandbox", "production"
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - allowed in production only
SANDBOX_RECIPIENT = "on-call@sural.example"
SANDBOX_CONTACT = f"mailto:{SANDBOX_RECIPIENT}"
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN(?!_FILE)|KEY(?!_FILE)|WEBHOOK(S|_URL)$|APPRISE_TARGETS$")


def server_variables(given: Mapping[str, str], urls: Mapping[str, str], data: DataFolder) -> dict[str, str]:
    """The URLs of the database, for its owner and for each service, and of the broker.

    `urls` are those of the embedded servers; a variable that is already set wins over them.
    """
    owner = given.get("SURAL_DATABASE_URL") or urls["SURAL_DATABASE_URL"]
    variables = {
        "SURAL_DATABASE_URL": owner,
        "SURAL_REDIS_URL": given.get("SURAL_REDIS_URL") or urls["SURAL_REDIS_URL"],
    }
    for service in SERVICES:
        name = f"SURAL_{service.upper()}_DATABASE_URL"
        variables[name] = given.get(name) or _as_role(
            owner, role=f"sural_{service}", password=data.secret(f"postgres-{service}")
        )
    return variables


def child_variables(
    given: Mapping[str, str], servers: Mapping[str, str], *, data: DataFolder, port: int
) -> dict[str, str]:
    """The whole environment of the services. The owner's URL is not part of it: only migrations need it.

    Raises StartError when another machine could reach a sandbox, and when production could alert nobody.
    """
    base = f"http://{HOST}:{port}"
    mode = given.get("SURAL_MODE") or SANDBOX
    variables = {name: value for name, value in given.items() if name != "SURAL_DATABASE_URL"}
    variables |= {name: value for name, value in servers.items() if name != "SURAL_DATABASE_URL"}
    variables |= {f"SURAL_{service.upper()}_URL": base for service in SERVICES}
    variables |= {"SURAL_MODE": mode, "SURAL_HOST": _host(given, mode), "SURAL_PORT": str(port)}
    variables["SURAL_SERVICE_TOKEN_FILE"] = str(data.secret_file("service-token"))
    if not given.get("SURAL_ACCOUNT_KEY"):
        variables.setdefault("SURAL_ACCOUNT_KEY_FILE", str(data.secret_file("account-key")))
    variables["SURAL_TOKEN_KEYS_URL"] = f"{base}/.well-known/jwks.json"
    if not given.get("SURAL_TOKEN_KEY") and not given.get("SURAL_TOKEN_KEY_FILE"):
        variables["SURAL_TOKEN_KEY_FILE"] = str(_token_key_file(data))
    if not given.get("SURAL_PUSH_KEY") and not given.get("SURAL_PUSH_KEY_FILE"):
        variables["SURAL_PUSH_KEY_FILE"] = str(_push_key_file(data))
    variables.setdefault("SURAL_PUBLIC_URL", base)
    if mode == SANDBOX:
        variables.setdefault("SURAL_SMTP_URL", f"smtp://{HOST}:{data.port('mail-smtp')}")
        variables.setdefault("SURAL_ALERT_RECIPIENTS", SANDBOX_RECIPIENT)
        variables.setdefault("SURAL_PUSH_CONTACT", SANDBOX_CONTACT)
    elif missing := [name for name in ("SURAL_ALERT_RECIPIENTS", "SURAL_SMTP_URL") if not given.get(name)]:
        raise StartError(
            f"Outside the sandbox alerts go to people, and {' and '.join(missing)} is not set.",
            "Set it; .env.example explains each variable.",
        )
    return variables


def _host(given: Mapping[str, str], mode: str) -> str:
    """The address to listen on. Raises StartError for one that this mode does not allow."""
    host = given.get("SURAL_HOST") or HOST
    if is_loopback(host):
        return HOST
    if mode == SANDBOX:
        raise StartError(
            f"SURAL_HOST is {host}, and this sandbox without sign-in listens on {HOST} only.", "Unset SURAL_HOST."
        )
    if host not in EVERYWHERE:
        raise StartError(f"SURAL_HOST is {host}.", f"Use {HOST} with a proxy before it, or {EVERYWHERE[0]}.")
    return host


def _token_key_file(data: DataFolder) -> Path:
    """The key of the token endpoint, made where it is missing."""
    path = data.path / "secrets" / "token-key"
    if not path.exists():
        from services.intake.token_key import new_token_keys

        write_whole(path, new_token_keys().as_text())
    return path


def _push_key_file(data: DataFolder) -> Path:
    """The key that signs Web Push, made where it is missing. Browsers subscribe to it, so it must stay the same."""
    path = data.path / "secrets" / "push-key"
    if not path.exists():
        from services.notify.push.vapid import new_key

        write_whole(path, new_key())
    return path


def shown(variables: Mapping[str, str]) -> dict[str, str]:
    """Our variables with every secret hidden, in the order of their names."""
    ours = {name: value for name, value in variables.items() if name.startswith("SURAL_")}
    return {name: _hidden(name, ours[name]) for name in sorted(ours)}


def _hidden(name: str, value: str) -> str:
    if SECRET_NAME.search(name):
        return "(hidden)"
    return re.sub(r"(?<=:)[^:/@]+(?=@)", "(hidden)", value)


def _as_role(owner_url: str, *, role: str, password: str) -> str:
    """The same database for another role. Raises StartError where the owner's address is not a URL."""
    parts = urlsplit(owner_url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise StartError(
            "SURAL_DATABASE_URL is not a URL that starts with postgresql://.",
            "Write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE.",
        )
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(password)}@{place}"))

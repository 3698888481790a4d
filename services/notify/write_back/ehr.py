"""The EHR's FHIR server as we write to it: conditional updates by identifier, with a token where it asks for one.

R4 http.html, conditional update: `PUT [type]?identifier=system|value` makes the resource where there is none, and
replaces the one that there is. The token is either given (`SURAL_EHR_TOKEN`) or asked for as SMART Backend Services say
(private_key_jwt, ES384; https://hl7.org/fhir/smart-app-launch/backend-services.html).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import orjson
from pydantic import SecretStr

from services.notify.write_back.copy import copy_of, identifier_of
from shared.access.jose import read_pem, sign
from shared.outbound import Outbound, OutboundFailed, OutboundRefused

SCOPE = "system/Task.cu system/Communication.cu"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EARLY_S = 30.0
ASSERTION_S = 240
TAKEN = frozenset({200, 201})
NO_TOKEN = "no-token"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Credentials:
    """How we show who we are: a token that was given, or a registered client with its private key (a JWK)."""

    token: str = field(default="", repr=False)
    client_id: str = ""
    private_jwk: Mapping[str, Any] = field(default_factory=dict, repr=False)


def credentials_of(token: SecretStr | None, client_id: str, key: SecretStr | None) -> Credentials:
    """Credentials as the settings have them. Raises ValueError with a sentence for what does not go together."""
    if bool(client_id) != bool(key) or (client_id and token):
        raise ValueError(
            "Set SURAL_EHR_TOKEN, or SURAL_EHR_CLIENT_ID together with SURAL_EHR_CLIENT_KEY, or none of the three."
        )
    if key is None:
        return Credentials(token=token.get_secret_value() if token else "")
    text = key.get_secret_value().strip()
    try:
        return Credentials(client_id=client_id, private_jwk=orjson.loads(text) if text[:1] == "{" else read_pem(text))
    except ValueError:
        raise ValueError("SURAL_EHR_CLIENT_KEY is no private key: PEM or a JSON Web Key on P-384.") from None


class NoToken(Exception):
    """The token endpoint gave none. The text is a class of the failure."""


@dataclass(slots=True)
class Ehr:
    """One server. Threads may share it. `base`: our own FHIR base, to which references lead back."""

    url: str
    credentials: Credentials
    outbound: Outbound
    base: str
    _token: tuple[str, float] = ("", 0.0)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, resource: Mapping[str, Any]) -> str | None:
        """Keep this resource there. None when it was taken, else the class of what went wrong ("http-422")."""
        system, value = identifier_of(resource)
        query = urlencode({"identifier": f"{system}|{value}"})
        body = orjson.dumps(copy_of(resource, base=self.base))
        try:
            headers = {"Content-Type": "application/fhir+json", "Prefer": "return=minimal", **self._authorization()}
            status = self.outbound.put(f"{self.url}/{resource['resourceType']}?{query}", headers, body).status
        except NoToken as failed:
            return f"{NO_TOKEN}: {failed}"
        except OutboundFailed as failed:
            return str(failed)
        except OutboundRefused:
            return "address-refused"
        if status == 401:
            self._token = ("", 0.0)
        return None if status in TAKEN else f"http-{status}"

    def _authorization(self) -> dict[str, str]:
        if self.credentials.token:
            return {"Authorization": f"Bearer {self.credentials.token}"}
        if not self.credentials.client_id:
            return {}
        with self._lock:
            token, until = self._token
            if time.monotonic() >= until:
                token, lives_s = self._ask_for_token()
                self._token = (token, time.monotonic() + max(lives_s - EARLY_S, 1.0))
        return {"Authorization": f"Bearer {token}"}

    def _ask_for_token(self) -> tuple[str, float]:
        """A new token and its life in seconds. Raises NoToken."""
        try:
            about = self.outbound.get(f"{self.url}/.well-known/smart-configuration")
            endpoint = str(orjson.loads(about.body)["token_endpoint"])
            now = int(time.time())
            claims = {
                "iss": self.credentials.client_id,
                "sub": self.credentials.client_id,
                "aud": endpoint,
                "exp": now + ASSERTION_S,
                "jti": str(uuid4()),
            }
            form = {
                "grant_type": "client_credentials",
                "scope": SCOPE,
                "client_assertion_type": ASSERTION,
                "client_assertion": sign(claims, private_jwk=self.credentials.private_jwk, kind="JWT"),
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
            answer = self.outbound.ask(endpoint, headers, urlencode(form).encode())
            given = orjson.loads(answer.body) if answer.status == 200 else {}
            return str(given["access_token"]), float(given.get("expires_in", 60))
        except (OutboundFailed, OutboundRefused) as error:
            raise NoToken(type(error).__name__) from None
        except (ValueError, KeyError, TypeError):
            raise NoToken("unreadable") from None

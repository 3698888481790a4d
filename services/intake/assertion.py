"""Client assertions (private_key_jwt, RFC 7523, SMART App Launch 2.2): who asks for a token, proved by its own key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.intake.client_store import Client
from shared.access.claims import in_time, meant_for, text_of
from shared.access.jose import SMART, JoseRefused, PublicKey, prove, read_token
from shared.access.keys import Keys, KeysUnavailable

LONGEST_S = 300.0
"""How far ahead an assertion may end."""


@dataclass(frozen=True, slots=True)
class Proven:
    """An assertion that its client made, for us, now. Whether it is used for the first time is another question."""

    client: Client
    jti: str
    until: float


class Rules:
    """How assertions are judged: which clients there are, where their keys are, what our address is."""

    def __init__(
        self,
        *,
        find: Callable[[str], Client | None],
        keys_of: Callable[[Client], Keys],
        token_url: str,
        now: Callable[[], float],
    ) -> None:
        self._find, self._keys_of, self._token_url, self._now = find, keys_of, token_url, now

    def proven(self, text: str, *, client_id: str | None) -> Proven:
        """Who made this assertion. `client_id`: what the form says beside it. Raises JoseRefused."""
        token = read_token(text, algorithms=SMART, types={"jwt", ""})
        issuer = text_of(token.claims, "iss")
        if token.claims.get("sub") != issuer or client_id not in (None, issuer):
            raise JoseRefused("its iss, its sub and the client_id must be the same")
        client = self._find(issuer)
        if client is None or client.disabled_at is not None:
            raise JoseRefused("its iss is no registered client, or one that is disabled")
        if token.kid is None:
            raise JoseRefused("its header has no kid")
        prove(token, self._keys(client, token.kid), jku=client.jwks_url)
        until = in_time(token.claims, now=self._now(), longest_s=LONGEST_S)
        meant_for(token.claims, self._token_url)
        return Proven(client, text_of(token.claims, "jti"), until)

    def _keys(self, client: Client, kid: str) -> Sequence[PublicKey]:
        try:
            return self._keys_of(client).named(kid)
        except KeysUnavailable as unavailable:
            raise JoseRefused(f"the client's keys cannot be had now: {unavailable}") from None

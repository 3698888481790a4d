"""The keys of registered clients: by value from the registration, by address with one cache for each address."""

from __future__ import annotations

import threading
from collections.abc import Callable

from services.intake.client_store import Client
from shared.access.jose import JoseRefused, parse_key_set
from shared.access.keys import GivenKeys, Keys, KeysUnavailable, RemoteKeys
from shared.outbound import Answer


class ClientKeys:
    """Finds a client's keys. `get` asks an address that a client registered."""

    def __init__(self, get: Callable[[str], Answer]) -> None:
        self._get = get
        self._lock = threading.Lock()
        self._remote: dict[str, RemoteKeys] = {}

    def of(self, client: Client) -> Keys:
        """Its keys, which are read when they are needed. Raises KeysUnavailable."""
        if client.jwks is not None:
            try:
                return GivenKeys(parse_key_set(client.jwks))
            except JoseRefused as refused:
                raise KeysUnavailable(refused.reason) from None
        url = str(client.jwks_url)
        with self._lock:
            return self._remote.setdefault(url, RemoteKeys(url, self._get))

"""Answers that stay open (event streams) hear that their server wants to stop, so that stopping waits for none of them.

A server waits for the answers that it is giving. One that goes on until the browser leaves would hold it up for ever.
"""

from __future__ import annotations

import asyncio
from socket import socket
from weakref import WeakSet

import uvicorn

_WAITING: WeakSet[Closing] = WeakSet()
_STOPPING: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


class Closing:
    """Set once the server that runs in this event loop stops, at once when it already does. Made inside the loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        _WAITING.add(self)
        if self._loop in _STOPPING:
            self._event.set()

    @property
    def begun(self) -> bool:
        """Whether the server stops."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Until it does."""
        await self._event.wait()

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """The server of this loop stops."""
        if loop is self._loop:
            self._event.set()


class Server(uvicorn.Server):
    """A web server that tells open answers before it waits for them, and those that open while it does."""

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Stop, once every answer has ended or its time is up."""
        loop = asyncio.get_running_loop()
        _STOPPING.add(loop)
        for closing in list(_WAITING):
            closing.begin(loop)
        await super().shutdown(sockets)

"""A service on a real socket, for tests that speak HTTP as an EHR system does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from shared.closing import Server
from tests.waiting import eventually


@contextmanager
def served(app: ASGIApp, *, port: int = 0) -> Iterator[str]:
    """Serve `app` on a loopback port, a free one unless the test names one; gives its base URL.

    A test that stops a server and starts another one there names a `free_port` of `deploy.local.folder`: meanwhile any
    other server may be given one that the kernel chose.
    """
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False)
    server = Server(config)
    thread = threading.Thread(target=server.run, name="test-server")
    thread.start()
    try:
        eventually(lambda: server.started or not thread.is_alive(), within_s=20)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=15)
        if thread.is_alive():
            server.force_exit = True
            thread.join(timeout=15)
            pytest.fail("The server did not stop within 15 s: an answer that it gives does not end.")


@contextmanager
def client_of(app: ASGIApp) -> Iterator[httpx.Client]:
    """An HTTP client whose base is the served app."""
    with served(app) as url, httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
        yield client

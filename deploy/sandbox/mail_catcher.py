"""A mail server that delivers to nobody: it keeps what it gets and shows it on a page. Sandbox only."""

from __future__ import annotations

import argparse
import asyncio
import html
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy.sandbox.mailbox import Caught, Mailbox

LARGEST_BYTES = 1_000_000
LINK = re.compile(r"(https?://[^\s<>\"']+)")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
STYLE = """\
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 0 auto; padding: 1rem; }
.sandbox { background: #7a1f00; color: #fff; padding: .5rem 1rem; font-weight: 600; }
article { border-top: 1px solid #767676; padding: .75rem 0; }
h2 { font-size: 1.1rem; margin: 0; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f4f4f4; color: #1a1a1a; padding: .75rem; }
"""
PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="5"><title>Sandbox inbox ({number})</title>
<link rel="stylesheet" href="/style.css"></head>
<body><p class="sandbox">Sandbox: these messages were caught here and reached nobody.</p>
<main><h1>Inbox</h1>
{messages}
</main></body></html>
"""


class Catcher:
    """aiosmtpd's handler: accepts every message for every recipient."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep one message."""
        content = envelope.original_content or b""
        self._mailbox.add(content, sender=envelope.mail_from or "", recipients=envelope.rcpt_tos)
        return "250 Kept in the sandbox"


def inbox(mailbox: Mailbox) -> Starlette:
    """The pages: `/` for people, `/messages` as JSON (oldest first), `/livez`."""

    def page(_: Request) -> Response:
        caught = mailbox.messages()
        articles = "\n".join(map(_article, reversed(caught))) or "<p>Nothing has been sent yet.</p>"
        return HTMLResponse(PAGE.format(number=len(caught), messages=articles), headers=HEADERS)

    def messages(_: Request) -> Response:
        return JSONResponse({"messages": [asdict(caught) for caught in mailbox.messages()]}, headers=HEADERS)

    def style(_: Request) -> Response:
        return PlainTextResponse(STYLE, media_type="text/css", headers=HEADERS)

    def livez(_: Request) -> Response:
        return JSONResponse({"status": "alive", "service": "mail-catcher"}, headers=HEADERS)

    routes = {"/": page, "/messages": messages, "/style.css": style, "/livez": livez}
    return Starlette(routes=[Route(path, answer) for path, answer in routes.items()])


def _article(caught: Caught) -> str:
    to = html.escape(", ".join(caught.recipients))
    return (
        f"<article><h2>{html.escape(caught.subject) or '(no subject)'}</h2>"
        f"<div>to {to}, <time>{html.escape(caught.received)}</time></div>"
        f"<pre>{_linked(caught.text)}</pre></article>"
    )


def _linked(text: str) -> str:
    """The text escaped, with its web addresses as links."""
    parts = (html.escape(part) for part in LINK.split(text))
    return "".join(
        f'<a href="{part}" rel="noreferrer">{part}</a>' if position % 2 else part for position, part in enumerate(parts)
    )


async def serve(mailbox: Mailbox, *, host: str, smtp_port: int, http_port: int) -> None:
    """Catch mail and show it until SIGTERM."""
    handler = Catcher(mailbox)

    def conversation() -> SMTP:
        return SMTP(handler, hostname="sandbox", data_size_limit=LARGEST_BYTES, enable_SMTPUTF8=True)

    smtp = await asyncio.get_running_loop().create_server(conversation, host, smtp_port)
    config = uvicorn.Config(inbox(mailbox), host=host, port=http_port, log_level="warning", access_log=False)
    async with smtp:
        await uvicorn.Server(config).serve()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="mail_catcher", description="Catches the sandbox's mail.")
    parser.add_argument("--host", default="127.0.0.1", help="another address only inside a container")
    parser.add_argument("--smtp-port", type=int, default=2525)
    parser.add_argument("--http-port", type=int, default=8025)
    parser.add_argument("--store", type=Path, help="file that keeps the messages over a restart")
    given = parser.parse_args(arguments)
    asyncio.run(serve(Mailbox(given.store), host=given.host, smtp_port=given.smtp_port, http_port=given.http_port))


if __name__ == "__main__":
    main()

"""Files that pages load: style sheet, scripts, pictures. Each has an address that changes with its content.

A browser keeps what came from such an address for a year; a new release is a new address. What is asked for without
one (a script that imports another) is asked for again each time and answered 304 while it is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response

FOLDER = Path(__file__).parent / "assets"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent. `version` stands for its content."""

    content: bytes
    media_type: str
    version: str


def load(folder: Path) -> Mapping[str, Asset]:
    """Every file of this folder by its path in it. Raises KeyError for a kind of file that pages do not load."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        version = hashlib.sha256(content).hexdigest()[:12]
        found[path.relative_to(folder).as_posix()] = Asset(content, TYPES[path.suffix], version)
    return found


ASSETS = load(FOLDER)


def address(name: str) -> str:
    """Where a page finds this file. Raises KeyError for one that there is not: a template is wrong."""
    return f"/worklist/assets/{name}?v={ASSETS[name].version}"


def answer(asset: Asset, *, version: str | None, known: str | None) -> Response:
    """The file, to be kept for ever when it was asked for by its version; 304 when the browser knows it already."""
    tag = f'"{asset.version}"'
    headers = {
        "Cache-Control": FOR_EVER if version == asset.version else "no-cache",
        "ETag": tag,
        "X-Content-Type-Options": "nosniff",
    }
    if known == tag:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)

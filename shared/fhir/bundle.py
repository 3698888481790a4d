"""Searchset and history Bundles, with each resource's own bytes inside (R4 bundle.html)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson

from shared.fhir.history import Before, History
from shared.fhir.identity import instant
from shared.fhir.includes import Included
from shared.fhir.outcome import operation_outcome
from shared.fhir.resources import WITHOUT_BODY, Page, Stored
from shared.fhir.search import Search
from shared.fhir.subset import shown


def searchset(base: str, search: Search, page: Page, included: Included, present: Callable[[Stored], bytes]) -> bytes:
    """What a search found, what it includes, and what is to be said about it."""
    links = [("self", search.used)]
    if page.following is not None:
        links.append(("next", (*search.used, ("_page", page.following.mark()))))
    entries = [_entry(base, stored, _match(search, stored, present), "match") for stored in page.found]
    entries += [_entry(base, stored, present(stored), "include") for stored in included.ours.values()]
    entries += [
        _member(f"{base}/{resource_type}/{resource_id}", content, "include")
        for (resource_type, resource_id, _), content in included.theirs.items()
    ]
    if problems := [*search.ignored, *included.problems]:
        outcome = orjson.dumps(operation_outcome(problems))
        entries.append(b'{"resource":' + outcome + b',"search":{"mode":"outcome"}}')
    return _bundle("searchset", f"{base}/{search.resource_type}", links, entries, page.total)


def found_bundle(
    base: str,
    resource_type: str,
    asked: Mapping[str, str],
    found: Sequence[Stored],
    present: Callable[[Stored], bytes],
) -> bytes:
    """`searchset` of a search that found all it asks for on one page, and has nothing else to say."""
    entries = [_entry(base, stored, present(stored), "match") for stored in found]
    return _bundle("searchset", f"{base}/{resource_type}", [("self", tuple(asked.items()))], entries, len(entries))


def history_bundle(
    base: str, place: str, asked: History, found: Sequence[Stored], present: Callable[[Stored], bytes]
) -> bytes:
    """Versions, the newest first. `found` may hold one more than was asked for: then there is a next page."""
    shown_versions, more = found[: asked.count], len(found) > asked.count
    links = [("self", asked.used)]
    if more:
        last = shown_versions[-1]
        mark = Before(last.last_updated, last.id, last.version_id).mark()
        links.append(("next", (*asked.used, ("_page", mark))))
    entries = [_version(base, stored, present(stored)) for stored in shown_versions]
    total = None if more or asked.before is not None else len(entries)
    return _bundle("history", f"{base}/{place}/_history", links, entries, total)


def _bundle(
    kind: str,
    address: str,
    links: Sequence[tuple[str, Sequence[tuple[str, str]]]],
    entries: Sequence[bytes],
    total: int | None,
) -> bytes:
    head: dict[str, Any] = {"resourceType": "Bundle", "type": kind} | ({} if total is None else {"total": total})
    head["link"] = [
        {"relation": relation, "url": f"{address}?{urlencode(pairs)}" if pairs else address}
        for relation, pairs in links
    ]
    opening = orjson.dumps(head)[:-1]
    return opening + (b',"entry":[' + b",".join(entries) + b"]" if entries else b"") + b"}"


def _match(search: Search, stored: Stored, present: Callable[[Stored], bytes]) -> bytes:
    bodiless = search.elements is not None and WITHOUT_BODY.issuperset(search.elements)
    full = b"" if bodiless else present(stored)
    return shown(stored, full, summary=search.summary, elements=search.elements)


def _entry(base: str, stored: Stored, body: bytes, mode: str) -> bytes:
    return _member(f"{base}/{stored.type}/{stored.id}", body, mode)


def _member(url: str, body: bytes, mode: str) -> bytes:
    return b'{"fullUrl":' + orjson.dumps(url) + b',"resource":' + body + b',"search":{"mode":"' + mode.encode() + b'"}}'


def _version(base: str, stored: Stored, body: bytes) -> bytes:
    """Who made a version by which request is not kept: the first counts as created, the others as updates."""
    first = stored.version_id == 1
    url = stored.type if first else f"{stored.type}/{stored.id}"
    said = {
        "request": {"method": "POST" if first else "PUT", "url": url},
        "response": {
            "status": "201" if first else "200",
            "etag": f'W/"{stored.version_id}"',
            "lastModified": instant(stored.last_updated),
        },
    }
    address = orjson.dumps(f"{base}/{stored.type}/{stored.id}")
    return b'{"fullUrl":' + address + b',"resource":' + body + b"," + orjson.dumps(said)[1:]

"""What our services ask most of each other, some resources by their ids, answered without the framework.

A worker that assesses asks for every response that comes, and the answer took as long as receiving it. The bytes are
those that any other search gives; whatever is asked otherwise, or by a client, is left to the routes, which record it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final
from urllib.parse import parse_qsl
from uuid import UUID

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from shared.access.service_token import is_service
from shared.answered import Direct, DirectAnswer
from shared.fhir.bundle import found_bundle
from shared.fhir.http import FhirResponse
from shared.fhir.resources import Stored, unpacked
from shared.fhir.rest import ResourceApi
from shared.fhir.search import RESOURCE_ID
from shared.head_and_gzip import compressed
from shared.loop_connection import LoopConnection, Row, Statement, moment, whole_number
from shared.postgres import connect_beside
from shared.principal import principal_of

TYPES: Final = frozenset({"QuestionnaireResponse", "RiskAssessment"})
"""Those that are asked for all the time."""
MOST_IDS: Final = 50
"""In one answer that is made without a thread."""
READ: Final = Statement(
    "SELECT id, version_id, last_updated, body, sha256, tag FROM read_by_ids($1, $2, string_to_array($3, ','))",
    ("uuid", "text", "text"),
)


class ServiceReads:
    """Answers of the web process of one service."""

    def __init__(self, resources: ResourceApi) -> None:
        self._resources = resources
        self._connection = LoopConnection(partial(connect_beside, resources.pool), READ)

    def direct(self) -> Direct:
        """By method and path, for `Answered`."""
        return {("GET", f"/fhir/{each}"): self._answer_for(each) for each in self._resources.types & TYPES}

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _answer_for(self, resource_type: str) -> DirectAnswer:
        async def answer(scope: Scope, receive: Receive, send: Send) -> bool:
            who = principal_of(Request(scope))
            asked = ids_asked(scope["query_string"]) if is_service(who) else None
            if asked is None:
                return False
            found = await self._read(who.tenant, resource_type, asked["_id"])
            bundle = found_bundle(self._resources.base, resource_type, asked, found, self._resources.present)
            await compressed(FhirResponse(bundle))(scope, receive, send)
            return True

        return answer

    async def _read(self, tenant: UUID, resource_type: str, ids: str) -> list[Stored]:
        rows = await self._connection.run((tenant.bytes, resource_type.encode(), ids.encode()))
        return [_stored(resource_type, row) for row in rows]


def ids_asked(query: bytes) -> Mapping[str, str] | None:
    """The two parameters of a search for so many ids, all of them on one page; None for any other search."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    asked = dict(pairs)
    if len(pairs) != 2 or list(asked) != ["_id", "_count"]:
        return None
    ids, count = asked["_id"].split(","), asked["_count"]
    if not (count.isascii() and count.isdecimal() and len(ids) <= min(int(count), MOST_IDS)):
        return None
    return asked if all(map(RESOURCE_ID.fullmatch, ids)) else None


def _stored(resource_type: str, row: Row) -> Stored:
    name, version, time, body, digest, tag = row
    return Stored(
        type=resource_type,
        id=(name or b"").decode(),
        version_id=whole_number(version),
        last_updated=moment(time),
        body=unpacked(body or b""),
        sha256=digest or b"",
        tag=None if tag is None else tag.decode(),
    )

"""I1: the text of every accepted response is the one of which the digest was taken when it came.

Texts are kept packed, so this is not for SQL: they are read in pages and looked at here.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from uuid import UUID

import psycopg

from deploy.local.verify.violation import Violation
from shared.fhir.resources import unpacked
from shared.postgres import DictConnection

DIFFERS = "the text of a version differs from its digest"
NOT_READ = "not checked: to read the texts took too long; ask for fewer days"
PAGE = 200


def changed_texts(
    connection: DictConnection, queries: Mapping[str, str], tenant: UUID, *, since: datetime, most: int
) -> Iterator[Violation]:
    """Versions of a tenant's responses whose text is another one, at most so many. In the caller's transaction."""
    connection.execute("SAVEPOINT texts")
    try:
        found = list(islice(_changed(connection, queries, tenant, since), most))
    except psycopg.errors.QueryCanceled:
        connection.execute("ROLLBACK TO texts")
        yield Violation("I1", NOT_READ, f"tenant {tenant}")
    else:
        connection.execute("RELEASE texts")
        yield from (Violation("I1", DIFFERS, f"QuestionnaireResponse/{one}") for one in dict.fromkeys(found))


def _changed(connection: DictConnection, queries: Mapping[str, str], tenant: UUID, since: datetime) -> Iterator[str]:
    with connection.cursor(name="texts") as cursor:
        cursor.itersize = PAGE
        for row in cursor.execute(queries["texts"], {"tenant": tenant, "since": since}):
            if _digest(row["body"]) != row["sha256"]:
                yield str(row["id"])


def _digest(body: bytes) -> bytes | None:
    """None for a text that cannot be unpacked any more."""
    try:
        return hashlib.sha256(unpacked(body)).digest()
    except zlib.error:
        return None

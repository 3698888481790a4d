"""What a sender asks of a write besides the resource itself: conditions, and how to recognise a repetition.

https://hl7.org/fhir/R4/http.html (create, update, conditional create, managing resource contention). The same names
stand in HTTP headers and in ``Bundle.entry.request``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from shared.problems import Category, Problem, ProblemError

CONDITIONS: Final = frozenset({"if-match", "if-none-match", "if-none-exist", "idempotency-key"})
"""The headers that `read_preconditions` reads."""
_VERSION = re.compile(r'(?:W/)?"([1-9][0-9]{0,8})"')
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Preconditions:
    """`if_match`: the version that is to be replaced; 0 when the header names none of ours, None without header.

    `create_only`: If-None-Match: *. `if_none_exist`: (system, value) of an identifier. `key`: the Idempotency-Key of
    `client`.
    """

    client: str
    if_match: int | None = None
    create_only: bool = False
    if_none_exist: tuple[str, str] | None = None
    key: str | None = None


def read_preconditions(headers: Mapping[str, str], *, client: str) -> Preconditions:
    """The conditions of a request, from its headers. Raises ProblemError (400) for one that cannot be read."""
    return Preconditions(
        client=client,
        if_match=if_match(headers.get("if-match")),
        create_only=create_only(headers.get("if-none-match")),
        if_none_exist=if_none_exist(headers.get("if-none-exist")),
        key=idempotency_key(headers.get("idempotency-key")),
    )


def if_match(header: str | None) -> int | None:
    """The version that an If-Match names. Raises ProblemError (400) for ``*``: it would overwrite what nobody read."""
    if header is None:
        return None
    if header.strip() == "*":
        raise _unreadable("if-match", 'If-Match: * found. Name the version that you read, as in If-Match: W/"3".')
    found = _VERSION.fullmatch(header.strip())
    return int(found[1]) if found else 0


def create_only(header: str | None) -> bool:
    """True for ``If-None-Match: *``. Raises ProblemError (400) for anything else, which means nothing on a write."""
    if header is None:
        return False
    if header.strip() != "*":
        raise _unreadable("if-none-match", "If-None-Match on a write can only be *. Send * or leave it out.")
    return True


def if_none_exist(header: str | None) -> tuple[str, str] | None:
    """(system, value) of an If-None-Exist header. Only ``identifier=system|value`` is understood."""
    if header is None:
        return None
    return identifier_query(header, "If-None-Exist")


def identifier_query(query: str, name: str) -> tuple[str, str]:
    """(system, value) of the query ``identifier=system|value``. Raises ProblemError (400) for any other query."""
    pairs = parse_qsl(query.removeprefix("?"), keep_blank_values=True)
    if len(pairs) != 1 or pairs[0][0] != "identifier" or not pairs[0][1].rpartition("|")[2]:
        raise _unreadable("if-none-exist", f"{name} cannot be read. Send exactly: identifier=system|value.")
    system, _, value = pairs[0][1].rpartition("|")
    return system, value


def idempotency_key(header: str | None) -> str | None:
    """The key as sent. Raises ProblemError (400) when it is no key: 1 to 255 printable ASCII characters."""
    if header is not None and not _KEY.fullmatch(header):
        raise _unreadable("idempotency-key", "Idempotency-Key cannot be read. Send 1 to 255 printable characters.")
    return header


def _unreadable(code: str, message: str) -> ProblemError:
    return ProblemError(Problem(Category.INCORRECT, code, message))

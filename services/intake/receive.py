"""The use cases of intake: bytes in, a durable version of a response or every reason why not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, NoReturn
from uuid import UUID

from services.intake import store
from services.intake.judge import Judged, stops
from services.intake.keys import business_identifier, content_digest, same_content, subject_key
from services.intake.lifecycle import check_change
from services.intake.preconditions import Preconditions, identifier_query
from services.intake.store import NewResponse, Outcome, StoreResult
from shared.fhir import resources
from shared.fhir.parse import parse_resource
from shared.fhir.resources import Stored
from shared.fhir.search import RESOURCE_ID
from shared.fhir.search_index import rows
from shared.ids import uuid7
from shared.postgres import DictConnection, Pool, tenant_transaction
from shared.problems import Category, Problem, ProblemError, Severity

TYPE: Final = "QuestionnaireResponse"
MOST_COMPARED: Final = 2 << 20
"""Bytes of earlier versions that are read to find out whether a response says the same as one of them."""
WRITTEN: Final = frozenset({Outcome.CREATED, Outcome.UPDATED})


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a write: the version that it speaks of, and whether that was made by it (else it was there)."""

    stored: Stored
    outcome: Outcome
    warnings: tuple[Problem, ...]

    @property
    def written(self) -> bool:
        """True when a version was stored."""
        return self.outcome in WRITTEN


def create(
    judged: Judged, *, connection: DictConnection, tenant: UUID, asked: Preconditions, new_id: str = ""
) -> Received:
    """Store a new response under an id of ours, or find the one that it repeats. In the caller's transaction.

    Raises ProblemError: 400 for an If-None-Exist that names another identifier than the response; 409 for an
    identifier that was used for other answers; 422 for an Idempotency-Key that was used for another body. Then nothing
    is stored.
    """
    new = first_version(judged, asked, new_id)
    result = store.store_response(connection, tenant, new)
    if result.outcome is Outcome.CREATED:
        return created(judged, new, result)
    return _met(judged, new, result, connection=connection, tenant=tenant, asked=asked)


def create_alone(judged: Judged, *, pool: Pool, tenant: UUID, asked: Preconditions) -> Received:
    """As `create`, durable when it returns: stored by one statement, which is a transaction of its own."""
    new = first_version(judged, asked)
    with pool.connection() as connection:
        result = store.store_response(connection, tenant, new)
    if result.outcome is Outcome.CREATED:
        return created(judged, new, result)
    with tenant_transaction(pool, tenant) as connection:
        return _met(judged, new, result, connection=connection, tenant=tenant, asked=asked)


def first_version(judged: Judged, asked: Preconditions, new_id: str = "") -> NewResponse:
    """The first version of a response, under an id of ours. Raises ProblemError (400) as `create`."""
    identifier = business_identifier(judged.response)
    if asked.if_none_exist is not None and asked.if_none_exist != identifier:
        _refuse(
            Category.INCORRECT,
            "if-none-exist",
            "If-None-Exist must name the identifier that the response itself carries. Send both, equal.",
            "identifier",
        )
    content = content_digest(judged.response) if identifier is None else None
    return _new(judged, new_id or str(uuid7()), asked, content=content)


def created(judged: Judged, new: NewResponse, result: StoreResult) -> Received:
    """What is said of a new response that was stored."""
    told: list[Problem] = []
    if new.identifier is None:
        told.append(_no_identifier())
    if result.twin is not None:
        told.append(_twin(result.twin))
    return Received(_stored_now(result, new), result.outcome, (*told, *judged.warnings))


def _met(
    judged: Judged,
    new: NewResponse,
    result: StoreResult,
    *,
    connection: DictConnection,
    tenant: UUID,
    asked: Preconditions,
) -> Received:
    """What is said when a new response met one that was there. Raises ProblemError as `create` does."""
    told: list[Problem] = []
    match result.outcome:
        case Outcome.KEY_REUSED:
            _refuse_key(result.id)
        case Outcome.REPEATED:
            told.append(_already_here(result.id))
        case Outcome.IDENTIFIED:
            told += _known(connection, tenant, judged, result.id, conditional=asked.if_none_exist is not None)
        case unexpected:
            raise AssertionError(f"a new response under an id of ours met {unexpected}")
    if new.identifier is None:
        told.append(_no_identifier())
    return Received(_stored(connection, tenant, result, new), result.outcome, (*told, *judged.warnings))


def update(
    response_id: str, judged: Judged, *, connection: DictConnection, tenant: UUID, asked: Preconditions
) -> Received:
    """Store a response under the sender's id: a new one, or the version after the one that If-Match names.

    In the caller's transaction. Raises ProblemError: 400 for another id in the body and for a missing If-Match; 412
    for a version that is not the current one; 409 for the identifier of another response; 422 for a change that a
    response cannot make. Then nothing is stored. The same bytes again store nothing, whatever If-Match says.
    """
    if not RESOURCE_ID.fullmatch(response_id) or judged.response.get("id") != response_id:
        _refuse(
            Category.INCORRECT,
            "id",
            "The id in the body is missing or differs from the one in the address. Send both, equal.",
            "id",
        )
    return _replace(response_id, judged, connection=connection, tenant=tenant, asked=asked)


def _replace(
    response_id: str, judged: Judged, *, connection: DictConnection, tenant: UUID, asked: Preconditions
) -> Received:
    before = resources.read(connection, tenant, TYPE, response_id)
    if before is not None and before.body == judged.body and not asked.create_only:
        return Received(before, Outcome.UNCHANGED, (_same_bytes(), *judged.warnings))
    changes: list[Problem] = []
    if asked.if_match is not None:
        if before is None or before.version_id != asked.if_match:
            _refuse_stale(before.version_id if before else None)
        changes = check_change(parse_resource(before.body, resource_type=TYPE).resource, judged.response)
        if stops(changes):
            raise ProblemError(changes)
    new = _new(judged, response_id, asked, expected=asked.if_match)
    result = store.store_response(connection, tenant, new)
    match result.outcome:
        case Outcome.KEY_REUSED:
            _refuse_key(result.id)
        case Outcome.IDENTIFIED:
            _refuse_identifier(result.id)
        case Outcome.STALE | Outcome.MISSING:
            _refuse_stale(result.version_id or None)
        case Outcome.EXISTS | Outcome.UNCHANGED if asked.create_only:
            _refuse_create_only()
        case Outcome.EXISTS:
            _refuse_without_if_match()
        case Outcome.UNCHANGED:
            changes.insert(0, _same_bytes())
    return Received(_stored(connection, tenant, result, new), result.outcome, (*changes, *judged.warnings))


def update_identified(
    query: str, judged: Judged, *, connection: DictConnection, tenant: UUID, asked: Preconditions, new_id: str = ""
) -> Received:
    """Store the next version of the response that ``identifier=system|value`` names, or a new one if there is none.

    In the caller's transaction; as `update` and `create` do. Raises ProblemError (400) when the query is another one,
    or when the response carries another identifier, or an id that is not that of the response.
    """
    identifier = identifier_query(query, "The query of the address")
    if business_identifier(judged.response) != identifier:
        _refuse(
            Category.INCORRECT,
            "identifier-mismatch",
            "The address names another identifier than the response carries. Send both, equal.",
            "identifier",
        )
    found = store.identified(connection, tenant, identifier)
    if found is None and "id" not in judged.response and asked.if_match is None:
        new = first_version(judged, replace(asked, if_none_exist=None), new_id)
        result = store.store_response(connection, tenant, new)
        match result.outcome:
            case Outcome.CREATED:
                return created(judged, new, result)
            case Outcome.IDENTIFIED:  # another made it at this moment: this one comes after it
                found = result.id
            case _:
                return _met(judged, new, result, connection=connection, tenant=tenant, asked=asked)
    response_id = found or str(judged.response.get("id", uuid7()))
    if judged.response.get("id", response_id) != response_id:
        _refuse(
            Category.INCORRECT,
            "id",
            "The id in the body is not that of the response with this identifier. Leave it out, or send that one.",
            "id",
        )
    return _replace(response_id, judged, connection=connection, tenant=tenant, asked=asked)


def _new(
    judged: Judged,
    response_id: str,
    asked: Preconditions,
    *,
    expected: int | None = None,
    content: bytes | None = None,
) -> NewResponse:
    return NewResponse(
        id=response_id,
        body=judged.body,
        subject=subject_key(judged.response),
        rows=rows(judged.response),
        expected=expected,
        identifier=business_identifier(judged.response),
        content=content,
        client=asked.client,
        key=asked.key,
    )


def _stored(connection: DictConnection, tenant: UUID, result: StoreResult, new: NewResponse) -> Stored:
    if result.outcome in WRITTEN:
        return _stored_now(result, new)
    return store.read_response(connection, tenant, result.id, result.version_id)


def _stored_now(result: StoreResult, new: NewResponse) -> Stored:
    assert result.last_updated is not None
    return Stored(TYPE, result.id, result.version_id, result.last_updated, new.body, new.sha256)


def _known(
    connection: DictConnection, tenant: UUID, judged: Judged, response_id: str, *, conditional: bool
) -> list[Problem]:
    """What is said of a response whose identifier is known. Raises ProblemError (409) when it has other answers.

    The same answers as in an earlier version are a late repetition: what was amended since then stays. The same bytes
    are known in every version, the same content in other bytes only in the newest ones (`MOST_COMPARED`).
    """
    versions = store.versions(connection, tenant, response_id)
    own = hashlib.sha256(judged.body).digest()
    repeated = any(digest == own for _, digest in versions) or any(
        same_content(text, judged.response)
        for text in _texts(connection, tenant, response_id, [number for number, _ in versions])
    )
    if repeated:
        return [_already_here(response_id)]
    if not conditional:
        _refuse_identifier(response_id)
    return [_already_here(response_id), _not_stored(response_id)]


def _texts(connection: DictConnection, tenant: UUID, response_id: str, versions: Iterable[int]) -> Iterator[bytes]:
    """The texts of these versions, one at a time, until `MOST_COMPARED` bytes were read."""
    read = 0
    for number in versions:
        if read >= MOST_COMPARED:
            return
        text = store.read_response(connection, tenant, response_id, number).body
        read += len(text)
        yield text


def _refuse(
    category: Category, code: str, message: str, element: str, *, issue_code: str = "invalid", status: int | None = None
) -> NoReturn:
    place = f"{TYPE}.{element}" if element else TYPE
    raise ProblemError(Problem(category, code, message, expression=place, issue_code=issue_code, status=status))


def _refuse_identifier(response_id: str) -> NoReturn:
    _refuse(
        Category.CONFLICT,
        "identifier-reused",
        f"This identifier belongs to {TYPE}/{response_id}, which has other answers. "
        "Give every filled form an identifier of its own.",
        "identifier",
        issue_code="duplicate",
    )


def _refuse_key(response_id: str) -> NoReturn:
    _refuse(
        Category.UNPROCESSABLE,
        "idempotency-key-reused",
        f"This Idempotency-Key was used within 24 hours for {TYPE}/{response_id}, with another body. "
        "Use a new key for every new request.",
        "",
        issue_code="business-rule",
    )


def _refuse_stale(current: int | None) -> NoReturn:
    found = f"the current version is {current}" if current else "there is no such resource"
    what = "Read it, and make the change again." if current else "Leave If-Match out to create it."
    _refuse(
        Category.CONFLICT,
        "version",
        f"If-Match names another version: {found}. {what}",
        "meta.versionId",
        issue_code="conflict",
        status=412,
    )


def _refuse_create_only() -> NoReturn:
    _refuse(
        Category.CONFLICT,
        "already-exists",
        "If-None-Match: * asks for a new resource, and there is one with this id. Choose another id, or update.",
        "id",
        issue_code="duplicate",
        status=412,
    )


def _refuse_without_if_match() -> NoReturn:
    _refuse(
        Category.INCORRECT,
        "if-match",
        'There is a resource with this id. To replace it, name the version that you read: If-Match: W/"1".',
        "meta.versionId",
        issue_code="required",
    )


def _already_here(response_id: str) -> Problem:
    return Problem(
        Category.CONFLICT,
        "duplicate",
        f"This response was stored before as {TYPE}/{response_id}; nothing new was stored.",
        severity=Severity.INFORMATION,
        issue_code="duplicate",
    )


def _same_bytes() -> Problem:
    return Problem(
        Category.CONFLICT,
        "unchanged",
        "The current version has the same bytes; nothing new was stored.",
        severity=Severity.INFORMATION,
        issue_code="duplicate",
    )


def _not_stored(response_id: str) -> Problem:
    return Problem(
        Category.CONFLICT,
        "identifier-reused",
        f"{TYPE}/{response_id} has other answers than this one. These other answers were not stored: "
        "send them under an identifier of their own.",
        expression=f"{TYPE}.identifier",
        severity=Severity.WARNING,
        issue_code="duplicate",
    )


def _no_identifier() -> Problem:
    return Problem(
        Category.UNPROCESSABLE,
        "identifier-missing",
        "The response has no identifier: if it is sent again it is stored again. Give each filled form one.",
        expression=f"{TYPE}.identifier",
        severity=Severity.WARNING,
        issue_code="informational",
    )


def _twin(response_id: str) -> Problem:
    return Problem(
        Category.CONFLICT,
        "same-answers-again",
        f"{TYPE}/{response_id} came within the last ten minutes with the same patient, time and answers. Both are "
        "stored and assessed. If this was one form, withdraw one as entered-in-error, and send identifiers.",
        expression=TYPE,
        severity=Severity.WARNING,
        issue_code="duplicate",
    )

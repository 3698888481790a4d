"""The use cases of publication: a Questionnaire of a client is stored, a draft changes, an active one is retired.

A url and a version name one text for ever once it is active: answers that were given to it must stay readable. A draft
may change. An active or retired one is replaced only by itself with the status ``retired``; new questions need a new
version. What Sural ships belongs to nobody else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn
from uuid import UUID

from services.intake import store
from services.intake.preconditions import Preconditions
from services.intake.publication import Authored, codes_of, examine
from services.intake.store import Outcome, Published
from shared.audit.act import Act, Interaction, record
from shared.fhir import resources
from shared.fhir.parse import parse_resource
from shared.fhir.resources import Stored
from shared.fhir.search import RESOURCE_ID
from shared.ids import uuid7
from shared.postgres import DictConnection
from shared.problems import Category, Problem, ProblemError

TYPE: Final = "Questionnaire"
MAX_KEY_BYTES: Final = 1000
_MAY_DIFFER_WHEN_RETIRED: Final = frozenset({"status", "meta", "text", "date"})


def create(
    authored: Authored, *, connection: DictConnection, tenant: UUID, asked: Preconditions, new_id: str = ""
) -> tuple[Stored, Outcome]:
    """Store a Questionnaire under an id of ours, or find the same text. In the caller's transaction.

    Raises ProblemError 409: the url and version are taken, or the url is that of a Questionnaire that Sural ships.
    """
    if asked.if_none_exist is not None:
        message = "If-None-Exist is not understood for Questionnaires: url and version are unique as they are."
        _refuse(Category.INCORRECT, "if-none-exist", message, "", issue_code="not-supported")
    store.lock_questionnaires(connection, tenant)
    known = _known(connection, authored, tenant)
    if known is not None:
        stored = resources.read(connection, tenant, TYPE, known.id)
        if stored is not None and stored.body == authored.body:
            return stored, Outcome.UNCHANGED
        _refuse_taken(known)
    stored = _save(connection, authored, tenant, new_id or str(uuid7()), version_id=1)
    record(connection, tenant, Act(Interaction.CREATE, TYPE, id=stored.id, version=1))
    return stored, Outcome.CREATED


def update(
    resource_id: str,
    authored: Authored,
    *,
    connection: DictConnection,
    tenant: UUID,
    asked: Preconditions,
) -> tuple[Stored, Outcome]:
    """Store a Questionnaire under the author's id. In the caller's transaction.

    Raises ProblemError: 400 for another id in the body and for a missing If-Match; 412 for another version; 409 for a
    change of what is active or retired, for a url and version that another has, and for what Sural ships.
    """
    if not RESOURCE_ID.fullmatch(resource_id) or authored.resource.get("id") != resource_id:
        _refuse(
            Category.INCORRECT,
            "id",
            "The id in the body is missing or differs from the one in the address. Send both, equal.",
            "id",
        )
    store.lock_questionnaires(connection, tenant)
    shipped = [e for e in store.published(connection, tenant) if e.tenant != tenant and e.id == resource_id]
    if shipped:
        _refuse_shipped()
    before = resources.read(connection, tenant, TYPE, resource_id)
    if before is not None and before.body == authored.body and not asked.create_only:
        return before, Outcome.UNCHANGED
    _check_conditions(before, asked)
    if before is not None:
        _check_change(parse_resource(before.body, resource_type=TYPE).resource, authored.resource)
    known = _known(connection, authored, tenant)
    if known is not None and known.id != resource_id:
        _refuse_taken(known)
    version_id = before.version_id + 1 if before else 1
    stored = _save(connection, authored, tenant, resource_id, version_id=version_id)
    interaction = Interaction.UPDATE if before else Interaction.CREATE
    record(connection, tenant, Act(interaction, TYPE, id=stored.id, version=version_id))
    return stored, Outcome.UPDATED if before else Outcome.CREATED


def publish_files(connection: DictConnection, tenant: UUID, files: Sequence[Path]) -> list[str]:
    """Publish shipped Questionnaires that are not yet published; returns their canonicals.

    Each is checked in full before. Raises ProblemError for a faulty one, and for one whose text changed under a version
    that is published already.
    """
    done = {entry.canonical: entry for entry in store.published(connection, tenant)}
    new: list[str] = []
    for path in files:
        authored = examine(path.read_bytes(), find_value_set=lambda _canonical: None)
        known = done.get(authored.index.canonical)
        if known is not None:
            _refuse_other_text(connection, tenant, known, authored.body)
            continue
        with connection.transaction():
            _save(connection, authored, tenant, str(authored.resource["id"]), version_id=1)
        new.append(authored.index.canonical)
    return new


def _save(connection: DictConnection, authored: Authored, tenant: UUID, resource_id: str, *, version_id: int) -> Stored:
    index = authored.index
    if too_long := [text for text in (index.url, index.version) if len(text.encode()) > MAX_KEY_BYTES]:
        found = len(too_long[0].encode())
        message = f"{found} bytes found in url or version, at most {MAX_KEY_BYTES} expected. Send a shorter one."
        _refuse(Category.UNPROCESSABLE, "key-too-long", message, "", issue_code="too-long")
    entry = Published(index.url, index.version, resource_id, str(authored.resource["status"]), tenant, version_id)
    value_sets = {canonical: codes_of(value_set) for canonical, value_set in authored.value_sets.items()}
    return store.publish(connection, body=authored.body, published=entry, value_sets=value_sets)


def _known(connection: DictConnection, authored: Authored, tenant: UUID) -> Published | None:
    """The entry with the same url and version. Raises ProblemError (409) where the url is one of ours."""
    same_url = [entry for entry in store.published(connection, tenant) if entry.url == authored.index.url]
    if any(entry.tenant != tenant for entry in same_url):
        _refuse_shipped()
    return next((entry for entry in same_url if entry.version == authored.index.version), None)


def _check_conditions(before: Stored | None, asked: Preconditions) -> None:
    if before is None:
        if asked.if_match is not None:
            _refuse_version("there is no such resource. Leave If-Match out to create it.")
        return
    if asked.create_only:
        message = "If-None-Match: * asks for a new resource, and there is one with this id. Choose another id."
        _refuse(Category.CONFLICT, "already-exists", message, "id", issue_code="duplicate", status=412)
    if asked.if_match is None:
        message = f'There is a resource with this id. To replace it, send If-Match: W/"{before.version_id}".'
        _refuse(Category.INCORRECT, "if-match", message, "meta.versionId", issue_code="required")
    if asked.if_match != before.version_id:
        _refuse_version(f"the current version is {before.version_id}. Read it, and make the change again.")


def _check_change(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Raises ProblemError (409) unless a draft changes, or an active one becomes retired and nothing else."""
    if before.get("status") == "draft":
        return
    if after.get("status") != "retired" or _lasting(before) != _lasting(after):
        _refuse(
            Category.CONFLICT,
            "questionnaire-immutable",
            f"This version is {before.get('status')}, and answers refer to its text: only its status may become "
            "retired. Publish changed questions under a new version and a new id.",
            "status" if _lasting(before) == _lasting(after) else "",
            issue_code="conflict",
        )


def _lasting(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name not in _MAY_DIFFER_WHEN_RETIRED}


def _refuse_other_text(connection: DictConnection, tenant: UUID, entry: Published, body: bytes) -> None:
    stored = resources.read(connection, tenant, TYPE, entry.id)
    if stored is not None and stored.sha256 != hashlib.sha256(body).digest():
        _refuse(
            Category.CONFLICT,
            "questionnaire-changed",
            f"{entry.canonical} was published with another text. Give the new text a new version.",
            "",
            issue_code="conflict",
        )


def _refuse_taken(entry: Published) -> NoReturn:
    _refuse(
        Category.CONFLICT,
        "questionnaire-exists",
        f"This url and version belong to {TYPE}/{entry.id}. Give the new text a new version, or update that draft.",
        "version",
        issue_code="duplicate",
    )


def _refuse_shipped() -> NoReturn:
    _refuse(
        Category.CONFLICT,
        "questionnaire-shipped",
        "This id or url belongs to a Questionnaire that comes with Sural. Use an id and a url of your own.",
        "url",
        issue_code="conflict",
    )


def _refuse_version(found: str) -> NoReturn:
    message = f"If-Match names another version: {found}"
    _refuse(Category.CONFLICT, "version", message, "meta.versionId", issue_code="conflict", status=412)


def _refuse(
    category: Category, code: str, message: str, element: str, *, issue_code: str = "invalid", status: int | None = None
) -> NoReturn:
    place = f"{TYPE}.{element}" if element else TYPE
    raise ProblemError(Problem(category, code, message, expression=place, issue_code=issue_code, status=status))

"""Which Questionnaire a response answers: publication, and resolution of `url|version`."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from services.intake import store
from services.intake.acceptor import Acceptor
from services.intake.store import Published
from shared.fhir import resources
from shared.fhir.parse import parse_resource
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.resources import Stored
from shared.postgres import DictConnection, Pool, tenant_transaction
from shared.problems import Category, Problem, ProblemError, Severity


def publish_files(connection: DictConnection, tenant: UUID, files: Sequence[Path]) -> list[str]:
    """Publish shipped Questionnaires that are not yet published; returns their canonicals.

    Each is checked in full before. Raises ProblemError for a faulty one, and for one whose text changed under a version
    that is published already.
    """
    done = {entry.canonical: entry for entry in store.published(connection, tenant)}
    new: list[str] = []
    for path in files:
        body = path.read_bytes()
        resource = parse_resource(body, resource_type="Questionnaire").resource
        index = QuestionnaireIndex.build(resource)
        if index.canonical in done:
            _refuse_change(connection, tenant, done[index.canonical], body)
            continue
        if problems := validate_with_fhir_resources(resource):
            raise ProblemError(problems)
        entry = Published(index.url, index.version, str(resource["id"]), str(resource["status"]))
        if store.publish(connection, tenant, body=body, published=entry):
            new.append(entry.canonical)
    return new


def _refuse_change(connection: DictConnection, tenant: UUID, entry: Published, body: bytes) -> None:
    stored = resources.read(connection, tenant, "Questionnaire", entry.id)
    if stored is not None and stored.sha256 != hashlib.sha256(body).digest():
        raise ProblemError(
            Problem(
                Category.CONFLICT,
                "questionnaire-changed",
                f"{entry.canonical} was published with another text. Give the new text a new version.",
                issue_code="conflict",
            )
        )


@dataclass(slots=True)
class Catalogue:
    """Published Questionnaires by tenant, compiled once. A version never changes, so what is cached stays true."""

    pool: Pool
    _compiled: dict[tuple[UUID, str], QuestionnaireIndex] = field(default_factory=dict)
    _acceptors: dict[tuple[UUID, str], Acceptor] = field(default_factory=dict)
    _entries: dict[UUID, list[Published]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def resolve(self, tenant: UUID, canonical: str | None) -> tuple[QuestionnaireIndex, list[Problem]]:
        """The Questionnaire of a response, with a warning when the version had to be chosen.

        Raises ProblemError (422): no canonical, unknown url, unknown version.
        """
        if not canonical:
            raise _unresolved(
                "questionnaire-missing",
                "required",
                "QuestionnaireResponse.questionnaire is missing. Name the form that was answered, as url|version.",
            )
        url, _, version = canonical.partition("|")
        matching = self._matching(tenant, url, version)
        if not matching:
            raise _unresolved(
                "questionnaire-unknown",
                "not-found",
                "This Questionnaire is not known here. See GET /fhir/Questionnaire for those that are.",
            )
        chosen = matching[-1]
        warnings = [] if version else [_version_chosen(chosen)]
        return self._index(tenant, chosen), warnings

    def acceptor(self, tenant: UUID, canonical: object) -> Acceptor | None:
        """What recognises sound responses to a version that `resolve` has given before; None for any other."""
        return self._acceptors.get((tenant, canonical)) if isinstance(canonical, str) else None

    def entries(self, tenant: UUID) -> list[Published]:
        """All published versions."""
        with tenant_transaction(self.pool, tenant) as connection:
            self._entries[tenant] = store.published(connection, tenant)
        return self._entries[tenant]

    def _matching(self, tenant: UUID, url: str, version: str) -> list[Published]:
        def matches(entry: Published) -> bool:
            return entry.url == url and (entry.version == version if version else entry.status == "active")

        known = self._entries.get(tenant, ())
        return [e for e in known if matches(e)] or [e for e in self.entries(tenant) if matches(e)]

    def _index(self, tenant: UUID, entry: Published) -> QuestionnaireIndex:
        index = self._compiled.get((tenant, entry.canonical))
        if index is None:
            with self._lock, tenant_transaction(self.pool, tenant) as connection:
                stored: Stored | None = resources.read(connection, tenant, "Questionnaire", entry.id)
                assert stored is not None
                parsed = parse_resource(stored.body, resource_type="Questionnaire")
                index = QuestionnaireIndex.build(parsed.resource)
                self._compiled[tenant, entry.canonical] = index
                self._acceptors[tenant, entry.canonical] = Acceptor(index)
        return index


def _unresolved(code: str, issue_code: str, message: str) -> ProblemError:
    return ProblemError(
        Problem(
            Category.UNPROCESSABLE,
            code,
            message,
            expression="QuestionnaireResponse.questionnaire",
            issue_code=issue_code,
        )
    )


def _version_chosen(entry: Published) -> Problem:
    return Problem(
        Category.UNPROCESSABLE,
        "questionnaire-version-chosen",
        f"No version was named; the response was checked against {entry.canonical}. Send url|version.",
        expression="QuestionnaireResponse.questionnaire",
        severity=Severity.WARNING,
        issue_code="informational",
    )

"""Which Questionnaire a response answers: resolution of `url|version` for each tenant."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import UUID

from services.intake import store
from services.intake.acceptor import Acceptor
from services.intake.store import Published
from shared.fhir.canonicals import url_and_version, without_fragment
from shared.fhir.parse import parse_resource
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.ids import seen_by
from shared.postgres import Pool, tenant_transaction
from shared.problems import Category, Problem, ProblemError, Severity

Resolved: TypeAlias = tuple[QuestionnaireIndex, list[Problem]]
"""The Questionnaire of a response, and what is worth saying about the choice."""
KNOWN_FOR_S: Final = 2.0
"""How long a list of Questionnaires is used before it is read again: so soon what another process published counts."""
_MOST_COMPILED: Final = 1000


@dataclass(slots=True)
class Catalogue:
    """The Questionnaires of every tenant, compiled once per version of the resource. Threads may share it."""

    pool: Pool
    _compiled: dict[tuple[UUID, str, int], QuestionnaireIndex] = field(default_factory=dict)
    _acceptors: dict[tuple[UUID, str], Acceptor] = field(default_factory=dict)
    _entries: dict[UUID, tuple[float, Sequence[Published]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def resolve(self, tenant: UUID, canonical: str | None) -> Resolved:
        """The Questionnaire of a response, with warnings: the version had to be chosen, it is a draft or retired.

        Raises ProblemError (422): no canonical, unknown url, unknown version.
        """
        if not canonical:
            raise _unresolved(
                "questionnaire-missing",
                "required",
                "QuestionnaireResponse.questionnaire is missing. Name the form that was answered, as url|version.",
            )
        url, version = url_and_version(canonical)
        chosen = self._chosen(tenant, url, version)
        if chosen is None:
            raise _unresolved(
                "questionnaire-unknown",
                "not-found",
                "This Questionnaire is not known here. See GET /fhir/Questionnaire for those that are.",
            )
        return self._index(tenant, chosen), _worth_saying(chosen, version)

    def at_hand(self, tenant: UUID, canonical: object) -> Resolved | None:
        """What `resolve` gives for `url|version`, if that is known without asking the database; else None."""
        url, version = url_and_version(canonical) if isinstance(canonical, str) else ("", "")
        chosen = _latest(self._fresh(tenant), url, version) if version else None
        index = self._compiled.get((chosen.tenant, chosen.id, chosen.version_id)) if chosen is not None else None
        return None if chosen is None or index is None else (index, _worth_saying(chosen, version))

    def acceptor(self, tenant: UUID, canonical: object) -> Acceptor | None:
        """What recognises sound responses to a version that `resolve` has given before; None for any other."""
        if not isinstance(canonical, str):
            return None
        named = without_fragment(canonical)
        found = (self._acceptors.get((owner, named)) for owner in seen_by(tenant))
        return next((acceptor for acceptor in found if acceptor is not None), None)

    def entries(self, tenant: UUID) -> Sequence[Published]:
        """All Questionnaires that this tenant may use, read anew."""
        with tenant_transaction(self.pool, tenant) as connection:
            found = store.published(connection, tenant)
        self._entries[tenant] = (time.monotonic(), found)
        return found

    def _chosen(self, tenant: UUID, url: str, version: str) -> Published | None:
        """The entry of that version; without version the latest active one; from the list at hand while it is fresh."""

        return _latest(self._fresh(tenant), url, version) or _latest(self.entries(tenant), url, version)

    def _fresh(self, tenant: UUID) -> Sequence[Published]:
        """The list at hand; nothing when it is too old."""
        read_at, entries = self._entries.get(tenant, (0.0, ()))
        return entries if time.monotonic() - read_at < KNOWN_FOR_S else ()

    def _index(self, tenant: UUID, entry: Published) -> QuestionnaireIndex:
        key = (entry.tenant, entry.id, entry.version_id)
        index = self._compiled.get(key)
        if index is None:
            with self._lock, tenant_transaction(self.pool, tenant) as connection:
                body, value_sets = store.questionnaire_text(connection, entry)
                index = QuestionnaireIndex.build(
                    parse_resource(body, resource_type="Questionnaire").resource, value_sets
                )
                if len(self._compiled) >= _MOST_COMPILED:
                    self._compiled.clear()
                    self._acceptors.clear()
                self._compiled[key] = index
                self._acceptors[entry.tenant, entry.canonical] = Acceptor(index)
        return index


def _latest(entries: Sequence[Published], url: str, version: str) -> Published | None:
    same_url = [entry for entry in entries if entry.url == url]
    if version:
        return next((entry for entry in same_url if entry.version == version), None)
    return next((entry for entry in reversed(same_url) if entry.status == "active"), None)


def _worth_saying(chosen: Published, version: str) -> list[Problem]:
    told = [] if version else [_version_chosen(chosen)]
    return told if chosen.status == "active" else [*told, _not_active(chosen)]


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
    message = f"No version was named; the response was checked against {entry.canonical}. Send url|version."
    return _told("questionnaire-version-chosen", message, "informational")


def _not_active(entry: Published) -> Problem:
    what = "retired: send answers to a newer version" if entry.status == "retired" else "a draft, which may change"
    return _told("questionnaire-not-active", f"{entry.canonical} is {what}.", "business-rule")


def _told(code: str, message: str, issue_code: str) -> Problem:
    return Problem(
        Category.UNPROCESSABLE,
        code,
        message,
        expression="QuestionnaireResponse.questionnaire",
        severity=Severity.WARNING,
        issue_code=issue_code,
    )

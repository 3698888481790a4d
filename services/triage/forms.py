"""The compiled Questionnaires that intake serves, read once per version."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from uuid import UUID

from shared.fhir.canonicals import url_and_version
from shared.fhir.client import FhirClient
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.ids import DEFAULT_TENANT
from shared.problems import ProblemError


@dataclass(slots=True)
class Forms:
    """Questionnaires by tenant and canonical. Only forms with rules are asked for, and those never change."""

    client: FhirClient
    _known: dict[tuple[UUID, str, str], QuestionnaireIndex] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, canonical: str, tenant: UUID = DEFAULT_TENANT) -> QuestionnaireIndex | None:
        """The Questionnaire of `url|version` that this tenant answers, without version the newest active one.

        None when intake has none, or has one that cannot be used. Raises NeighbourUnavailable.
        """
        url, version = url_and_version(canonical)
        if (tenant, url, version) in self._known:
            return self._known[tenant, url, version]
        wanted = {"url": url, "version": version} if version else {"url": url, "status": "active"}
        found = self.client.find("Questionnaire", wanted, tenant=tenant)
        if not found:
            return None
        try:
            index = QuestionnaireIndex.build(found[-1])
        except ProblemError:
            return None
        if version:
            with self._lock:
                self._known[tenant, url, version] = index
        return index

"""The compiled Questionnaires that intake serves, read once per version."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from shared.fhir.client import FhirClient
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.problems import ProblemError


@dataclass(slots=True)
class Forms:
    """Questionnaires by canonical. A published version never changes, so what is cached stays true."""

    client: FhirClient
    _known: dict[str, QuestionnaireIndex] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, canonical: str) -> QuestionnaireIndex | None:
        """The Questionnaire of `url|version`, without version the newest active one.

        None when intake has none, or has one that cannot be used. Raises NeighbourUnavailable.
        """
        if canonical in self._known:
            return self._known[canonical]
        url, _, version = canonical.partition("|")
        wanted = {"url": url, "version": version} if version else {"url": url, "status": "active"}
        found = self.client.find("Questionnaire", wanted)
        if not found:
            return None
        try:
            index = QuestionnaireIndex.build(found[-1])
        except ProblemError:
            return None
        if version:
            with self._lock:
                self._known[canonical] = index
        return index

"""The names in which cases are labelled and results are reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.evaluation.cases import Gold
from deploy.local.evaluation.table import NamesFile
from services.triage.knowledge.files import read_table


@dataclass(frozen=True, slots=True)
class Names:
    """Red flags, diagnoses and what else they are called."""

    red_flags: frozenset[str]
    diagnoses: frozenset[str]
    statements: frozenset[str]
    synonyms: Mapping[str, str]

    def canonical(self, diagnosis: str) -> str:
        """The canonical name of a diagnosis; a name that is not known stays as it is."""
        return self.synonyms.get(diagnosis, diagnosis)

    def unknown(self, gold: Gold, scores: Mapping[str, object]) -> Iterator[str]:
        """Names of the label that nothing can ever match, one sentence each."""
        for name in (gold.diagnosis, *gold.acceptable):
            if name not in self.diagnoses and name not in self.synonyms:
                yield f"the diagnosis {name} is not a canonical name, so that nothing can match it"
        for name in gold.expected_red_flags:
            if name not in self.red_flags:
                yield f"the red flag {name} is not a known name, so that nothing can match it"
        for name in gold.expected_scores:
            if name not in scores:
                yield f"the score {name} is not a known name, so that nothing can match it"


def load_names() -> Names:
    """Read names.toml. Raises PackError when it does not fit."""
    file = read_table(Path(__file__).with_name("names.toml"), NamesFile)
    return Names(
        red_flags=frozenset(file.red_flags),
        diagnoses=frozenset((*file.diagnoses, *file.accepted_diagnoses)),
        statements=frozenset(file.statements),
        synonyms=file.synonyms,
    )

"""The terminology of the base: what packs bring along, answers of our Questionnaires, and what all services share.

Codes of packs carry the version of the newest pack that has them, as the codings in assessments do. A confidential flag
or condition is named here, because this is knowledge and about no patient; it is marked (SR-17).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from services.triage.engine.conditions import Condition
from services.triage.engine.model import Flag, Urgency, most_urgent
from services.triage.engine.pack import Pack
from shared.fhir.codes import CS_CONDITION, CS_METHOD, CS_RED_FLAG
from shared.fhir.definitions import Resource
from shared.fhir.terminology import (
    Concept,
    all_codes,
    code_system,
    listed_value_sets,
    shared_code_systems,
)

ANSWERS: Final = Path(__file__).parent / "answers.toml"
"""Answer options of Questionnaires; written by `python -m tests.answer_codes --write`."""

NOT_ASSESSABLE: Final = Concept(
    "not-assessable",
    "Not assessable",
    "No pack reads the Questionnaire, or the response could not be read: a human must look at it the same day.",
)
_URGENCY: Final = "urgency"
_CLINICIAN_ONLY: Final = "clinicianOnly"
_PROPERTIES: Final = [
    {"code": _URGENCY, "description": "How soon it must be seen, at most: a triage disposition.", "type": "code"},
    {"code": _CLINICIAN_ONLY, "description": "Never named where a patient or carer may read.", "type": "boolean"},
]


def terminology(packs: Iterable[Pack]) -> list[Resource]:
    """Every CodeSystem, each with the ValueSet of all its codes, and the further ValueSets that we bind to."""
    newest_first = sorted(packs, key=_version, reverse=True)
    systems = [*shared_code_systems(), *pack_code_systems(newest_first), *answer_code_systems()]
    return [*systems, *(all_codes(system) for system in systems), *listed_value_sets()]


def pack_code_systems(packs: Sequence[Pack]) -> list[Resource]:
    """Triage methods, red flags and conditions of these packs, the newest pack first."""
    version = packs[0].head.version
    methods = [Concept(pack.head.name, pack.head.title, pack.head.description) for pack in packs]
    return [
        code_system(
            _id(CS_METHOD),
            version=version,
            title="Triage method",
            description="The clinical content that an assessment was made with: the name of a pack. "
            "Its release is the version of the coding.",
            concepts=_once([*methods, NOT_ASSESSABLE]),
        ),
        code_system(
            _id(CS_RED_FLAG),
            version=version,
            title="Red flag",
            description="Dangers that answers are searched for, by what each flag guards against.",
            concepts=_once(_flag(flag) for pack in packs for flag in pack.content.flags),
            property=_PROPERTIES,
        ),
        code_system(
            _id(CS_CONDITION),
            version=version,
            title="Condition",
            description="Conditions that are ranked as an explanation of the answers. None is ever diagnosed.",
            concepts=_once(_condition(one) for pack in packs for one in pack.content.conditions),
            property=_PROPERTIES,
        ),
    ]


def answer_code_systems() -> list[Resource]:
    """The answer options of the Questionnaires that are ours."""
    table = tomllib.loads(ANSWERS.read_text(encoding="utf-8"))
    return [
        code_system(
            name,
            version=one["version"],
            title=one["title"],
            description=one["description"],
            concepts=[_answer(*words) for words in one["concepts"]],
        )
        for name, one in table.items()
    ]


def _flag(flag: Flag) -> Concept:
    urgency = most_urgent(*(line.urgency for line in flag.lines))
    return Concept(flag.id, flag.guards, flag.rationale, _marks(urgency, confidential=flag.confidential))


def _condition(condition: Condition) -> Concept:
    marks = _marks(condition.urgency, confidential=condition.confidential)
    return Concept(condition.id, condition.title, condition.next_step, marks)


def _marks(urgency: Urgency | None, *, confidential: bool) -> dict[str, list[Resource]]:
    marks: list[Resource] = [] if urgency is None else [{"code": _URGENCY, "valueCode": urgency.value}]
    marks.append({"code": _CLINICIAN_ONLY, "valueBoolean": confidential})
    return {"property": marks}


def _answer(code: str, display: str, *others: str) -> Concept:
    """An answer option; other words for it in the same Questionnaire are designations."""
    return Concept(code, display, more={"designation": [{"value": text} for text in others]} if others else {})


def _once(concepts: Iterable[Concept]) -> list[Concept]:
    """Each code once: the first that is given holds."""
    found: dict[str, Concept] = {}
    for concept in concepts:
        found.setdefault(concept.code, concept)
    return list(found.values())


def _version(pack: Pack) -> tuple[int, ...]:
    return tuple(int(part) for part in pack.head.version.split("."))


def _id(system: str) -> str:
    """The id under which a CodeSystem of ours is served: the last part of its canonical."""
    return system.rpartition("/")[2]

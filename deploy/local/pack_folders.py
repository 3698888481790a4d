"""Packs and Questionnaires as the user of `sural pack` names them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.errors import StartError
from services.intake.questionnaires import shipped
from services.triage.knowledge.files import PackError, read_table
from services.triage.knowledge.loader import PACKS, RELEASED
from services.triage.knowledge.review.edition import Edition
from services.triage.knowledge.schema import ReleasedFile
from shared.fhir.parse import parse_resource
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.problems import ProblemError

NEWEST_RELEASE = "released"
_NAMED = re.compile(r"([a-z][a-z0-9-]*)@(\d+\.\d+\.\d+)\Z")


def shipped_folders(packs: Path = PACKS) -> list[Path]:
    """The folders of all packs that come with Sural, oldest version first."""
    return sorted((path.parent for path in packs.glob("*/*/pack.toml")), key=_age)


def only_folder(folder: Path | None) -> Path:
    """The folder that was named, else the newest shipped pack."""
    return folder if folder is not None else shipped_folders()[-1]


def two_folders(before: str, after: str, packs: Path = PACKS) -> tuple[Path, Path]:
    """The folders of two packs: a path, name@version, or `released` for the newest release of the other one's name.

    Raises StartError for what is none of these, or does not exist.
    """
    if before == after == NEWEST_RELEASE:
        raise StartError("Both packs are the released one.", "Name the pack to compare it with.")
    if before == NEWEST_RELEASE:
        newer = _folder(after, packs)
        return _released(newer, packs), newer
    older = _folder(before, packs)
    return older, _released(older, packs) if after == NEWEST_RELEASE else _folder(after, packs)


def load(folder: Path) -> Edition:
    """The pack in that folder. Raises StartError with everything that is wrong."""
    try:
        return Edition.load(folder)
    except PackError as error:
        problems = "\n  ".join(error.problems)
        raise StartError(f"{folder} is no pack that can be used:\n  {problems}\n", "Correct it first.") from None


def forms(more: Sequence[Path]) -> Mapping[str, QuestionnaireIndex]:
    """The Questionnaires that come with Sural and these, by canonical. Raises StartError for a faulty one."""
    found = {}
    for path in (*shipped(), *more):
        try:
            resource = parse_resource(path.read_bytes(), resource_type="Questionnaire").resource
            index = QuestionnaireIndex.build(resource)
        except ProblemError as error:
            raise StartError(f"{path}: {error.problems[0].message}", "Correct the Questionnaire.") from None
        found[index.canonical] = index
    return found


def _folder(word: str, packs: Path) -> Path:
    named = _NAMED.fullmatch(word)
    folder = packs / named[1] / named[2] if named else Path(word)
    if not (folder / "pack.toml").is_file():
        raise StartError(f"{word} is no pack.", "Name a folder with a pack.toml, or name@version, or `released`.")
    return folder


def _released(other: Path, packs: Path) -> Path:
    """The newest release of the pack with the name of the other one."""
    name = load(other).pack.head.name
    released = read_table(packs / RELEASED, ReleasedFile).released if (packs / RELEASED).is_file() else {}
    folders = sorted((packs / one for one in released if one.partition("/")[0] == name), key=_age)
    if not folders:
        raise StartError(f"No version of {name} has been released.", "Name a folder, or name@version.")
    return folders[-1]


def _age(folder: Path) -> tuple[str, tuple[int, ...]]:
    return folder.parent.name, tuple(int(part) for part in folder.name.split(".") if part.isdigit())

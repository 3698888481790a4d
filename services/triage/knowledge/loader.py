"""Reads a pack folder, checks every reference in it, and freezes it.

All that is wrong is said at once (`PackError`), by file and by id, in words for the clinicians who write
packs. A folder that loads cannot fail later: every fact, code, text and piece of evidence that it names
exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType

from services.triage.engine.conditions import Condition, RankingMethod
from services.triage.engine.content import Content, Evidence, PackHead
from services.triage.engine.model import Flag
from services.triage.engine.pack import Pack, build_pack
from services.triage.knowledge.assemble import Assembler
from services.triage.knowledge.assemble_advice import assemble_advice
from services.triage.knowledge.assemble_conditions import ConditionAssembler, ranking_method
from services.triage.knowledge.conditions_schema import ConditionsFile, DifferentialFile
from services.triage.knowledge.files import PackError, folder_sha256, read_table
from services.triage.knowledge.safety_schema import SafetyRulesFile
from services.triage.knowledge.schema import (
    EvidenceFile,
    FactsFile,
    PackFile,
    RedFlagsFile,
    ReleasedFile,
    TextsFile,
)
from services.triage.knowledge.scores_schema import ScoresFile
from services.triage.knowledge.texts import check_texts, never_said

PACKS = Path(__file__).parent / "packs"
"""Where the packs of this programme are: ``packs/<name>/<version>/``."""

RELEASED = "RELEASED.toml"
"""In the folder of all packs: the hash of every released pack."""


def load_pack(folder: Path) -> Pack:
    """Read, check and compile the pack in this folder. Raises PackError with everything that is wrong."""
    pack_file = read_table(folder / "pack.toml", PackFile)
    texts = read_table(folder / f"texts.{pack_file.language}.toml", TextsFile).text
    sources = read_table(folder / "evidence.toml", EvidenceFile)
    evidence = {one.key: Evidence(**one.model_dump()) for one in sources.evidence}
    assembler = Assembler(
        read_table(folder / "facts.toml", FactsFile), read_table(folder / "scores.toml", ScoresFile), evidence
    )
    flags = assembler.flags(read_table(folder / "red_flags.toml", RedFlagsFile))
    safety = assembler.safety(read_table(folder / "safety_rules.toml", SafetyRulesFile))
    ranking, conditions = _conditions(folder, assembler, flags)
    advice = assemble_advice(folder, assembler, conditions)
    problems = [*assembler.problems, *check_texts(texts, assembler.named_texts, pack_file.never_say)]
    problems += never_said(_shown(flags, conditions), pack_file.never_say)
    if len(evidence) < len(sources.evidence):
        problems.append("evidence.toml: a key occurs twice")
    if problems:
        raise PackError(problems)
    content = Content(
        head=_head(pack_file, folder_sha256(folder)),
        facts=assembler.facts,
        text_matches=assembler.text_matches,
        derived=assembler.derived,
        flags=flags,
        scores=assembler.scores,
        safety=safety,
        conditions=conditions,
        ranking=ranking,
        advice=advice,
        texts=MappingProxyType(texts),
        evidence=MappingProxyType(evidence),
    )
    try:
        return build_pack(content)
    except ValueError as error:
        raise PackError([str(error)]) from error


def load_packs(packs: Path = PACKS) -> Mapping[str, Pack]:
    """Every usable pack by the Questionnaire canonical (``url|version``) that it is for.

    Of several packs for one Questionnaire the newest that is not retired is used. Raises PackError when one
    cannot be loaded, when a folder is not named after its pack, or when a released pack was edited.
    """
    found: dict[str, Pack] = {}
    for pack in every_pack(packs).values():
        if pack.head.status != "retired":
            found.update(dict.fromkeys(pack.head.questionnaires, pack))
    return MappingProxyType(found)


@cache
def shipped_packs() -> Mapping[str, Pack]:
    """`load_packs` of this programme, read once by a process and whatever it forks. Raises PackError as that does."""
    return load_packs()


def every_pack(packs: Path = PACKS) -> Mapping[Path, Pack]:
    """Every pack by its folder, retired ones too, older versions before newer ones. Raises as `load_packs` does."""
    problems = edited_releases(packs)
    found: dict[Path, Pack] = {}
    for path in sorted(packs.glob("*/*/pack.toml"), key=lambda path: _version(path.parent.name)):
        folder = path.parent
        pack = found[folder] = load_pack(folder)
        head = pack.head
        if (folder.parent.name, folder.name) != (head.name, head.version):
            problems.append(f"{folder}: must be {head.name}/{head.version}, as pack.toml says")
    if problems:
        raise PackError(problems)
    return MappingProxyType(found)


def edited_releases(packs: Path = PACKS) -> list[str]:
    """Released packs whose files are no longer those that were released; empty when all is well."""
    if not (packs / RELEASED).is_file():
        return []
    released = read_table(packs / RELEASED, ReleasedFile).released
    return [
        f"{name}: released packs never change; make a new version instead"
        for name, sha256 in sorted(released.items())
        if folder_sha256(packs / name) != sha256
    ]


def _conditions(
    folder: Path, assembler: Assembler, flags: Sequence[Flag]
) -> tuple[RankingMethod | None, tuple[Condition, ...]]:
    """The method and the conditions in the order of their files; nothing for a pack that ranks nothing."""
    if not (folder / "differential.toml").is_file():
        return None, ()
    file = read_table(folder / "differential.toml", DifferentialFile)
    paths = sorted((folder / "conditions").glob("*.toml"))
    tables = [table for path in paths for table in read_table(path, ConditionsFile).condition]
    return ranking_method(file), ConditionAssembler(assembler, file, flags).conditions(tables)


def _shown(flags: Sequence[Flag], conditions: Sequence[Condition]) -> dict[str, str]:
    """What flags and conditions say themselves, by where it stands."""
    said = {f"red_flags.toml: {flag.id}": f"{flag.guards} {flag.rationale}" for flag in flags}
    said |= {f"conditions: {one.id}": f"{one.title} {one.next_step} {one.never_excluded_by}" for one in conditions}
    return said


def _head(file: PackFile, sha256: str) -> PackHead:
    return PackHead(
        name=file.name,
        version=file.version,
        canonical=file.canonical,
        title=file.title,
        status=file.status,
        language=file.language,
        questionnaires=tuple(file.questionnaires),
        sha256=sha256,
        note=file.note,
        approved_on=file.approved_on,
        reviewed_on=file.reviewed_on,
        effective_from=file.effective_from,
        effective_to=file.effective_to,
        description=file.description or "",
        purpose=file.purpose or "",
        usage=file.usage or "",
        copyright=file.copyright or "",
        topics=tuple(file.topics),
    )


def _version(folder: str) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.split(".") if part.isdigit())


def load_not_assessable_texts() -> Mapping[str, str]:
    """The sentences for a response that no pack could assess."""
    texts = read_table(Path(__file__).parent / "not_assessable.en.toml", TextsFile).text
    return MappingProxyType(texts)


def load_refused_texts() -> Mapping[str, str]:
    """The sentences for a refused submission that looks urgent."""
    texts = read_table(Path(__file__).parent / "refused.en.toml", TextsFile).text
    return MappingProxyType(texts)

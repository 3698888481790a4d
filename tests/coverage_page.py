"""What five lay articles say and what covers it here: reads docs/seed-coverage.toml, checks it, makes its page.

python -m tests.coverage_page            says what is wrong; exit status 1 if anything is
python -m tests.coverage_page --write    writes docs/seed-coverage.md too
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = Path("docs/seed-coverage.toml")
PAGE = Path("docs/seed-coverage.md")
PACK = Path("services/triage/knowledge/packs/posterior-lower-limb/1.0.0")
QUESTIONNAIRE = Path("services/intake/questionnaires/posterior-lower-limb-1.0.0.json")
COMMAND = "python -m tests.coverage_page --write"

SERIES = {
    "C": ("Conditions and causes", 52),
    "RF": ("Red flags and when to seek help", 26),
    "F": ("Factors that contribute", 33),
    "T": ("Self-care and treatment", 25),
    "E": ("Numbers", 21),
    "K": ("Contradictions between the articles", 16),
}
"""Series to its title and how many statements it has, numbered from 1."""

HEAD = """\
# What lay articles say, and what Sural makes of it

The ids are those of a reading of five undated lay articles on pain behind the knee and behind the ankle, in which every
statement was numbered: causes (C), red flags (RF), factors (F), treatments (T), numbers (E) and points on which the
articles contradict each other (K). Each is covered by something that is named here, or is refused with a reason; where
an article is wrong, unsafe, vague or disputed, the last column says what is held instead.
"""

PLURALS = {
    "condition": "conditions",
    "flag": "flags",
    "score": "scores",
    "item": "questions",
    "advice": "advice",
    "text": "texts",
    "evidence": "evidence",
    "contradiction": "contradictions",
    "floor": "floors",
    "rule": "rules",
}
"""Kinds of reference in the order in which a row names them, each with its plural."""

SINGULARS = {"item": "question"}


@dataclass(frozen=True, slots=True)
class Row:
    """One statement. Either `covered_by` or `refused` is filled; `position` may be empty."""

    id: str
    says: str
    covered_by: tuple[str, ...]
    refused: str
    position: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What no sentence may say: a pattern for any case, and a sentence that it must catch."""

    row: str
    pattern: str
    catches: str

    def made_in(self, text: str) -> bool:
        """Whether the text makes the claim."""
        return re.search(self.pattern, text, flags=re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class Coverage:
    """The table as it was written."""

    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]


def read_coverage(root: Path = ROOT) -> Coverage:
    """The table. Raises KeyError for a row without id or words, TypeError for a key that means nothing."""
    data = tomllib.loads((root / DATA).read_text(encoding="utf-8"))
    rows = [{"covered_by": [], "refused": "", "position": "", **row} for row in data["row"]]
    return Coverage(
        tuple(Row(**{**row, "covered_by": tuple(row["covered_by"])}) for row in rows),
        tuple(Claim(**claim) for claim in data["never"]),
    )


def problems(coverage: Coverage, root: Path = ROOT) -> Iterator[str]:
    """What is wrong with the table, in words; nothing when all is well."""
    wanted = [f"{series}-{number:02}" for series, (_, last) in SERIES.items() for number in range(1, last + 1)]
    ids = [row.id for row in coverage.rows]
    yield from (f"{one} is missing" for one in wanted if one not in ids)
    yield from (f"{one} occurs twice" for one in dict.fromkeys(ids) if ids.count(one) > 1)
    yield from (f"{one} is no id of a series" for one in ids if one not in wanted)
    existing = existing_names(root)
    for row in coverage.rows:
        if bool(row.covered_by) == bool(row.refused):
            yield f"{row.id}: is either covered or refused"
        for reference in row.covered_by:
            kind, _, name = reference.partition(":")
            if name not in existing.get(kind, ()):
                yield f"{row.id}: there is no {reference}"
    for claim in coverage.claims:
        if claim.row not in ids:
            yield f"a claim names {claim.row}, which is no row"
        if not claim.made_in(claim.catches):
            yield f"{claim.row}: the pattern does not catch its own sentence"


def existing_names(root: Path = ROOT) -> Mapping[str, frozenset[str]]:
    """Everything that a row may refer to, by kind, as the pack, the Questionnaire and the requirements name it."""
    flags = _table(root / PACK / "red_flags.toml")["flag"]
    rules = _table(root / PACK / "safety_rules.toml")
    questionnaire = json.loads((root / QUESTIONNAIRE).read_text(encoding="utf-8"))
    conditions = [_table(path)["condition"] for path in sorted((root / PACK / "conditions").glob("*.toml"))]
    return {
        "condition": _ids(table for tables in conditions for table in tables),
        "flag": _ids([*flags, *(line for flag in flags for line in flag["line"])]),
        "score": _ids(_table(root / PACK / "scores.toml")["score"]),
        "item": frozenset(_link_ids(questionnaire["item"])),
        "advice": _ids(_table(root / PACK / "advice.toml")["advice"]),
        "text": frozenset(_table(root / PACK / "texts.en.toml")["text"]),
        "evidence": frozenset(one["key"] for one in _table(root / PACK / "evidence.toml")["evidence"]),
        "contradiction": _ids(rules["contradiction"]),
        "floor": _ids(rules["floor"]),
        "rule": _ids(_table(root / "docs/safety/requirements.toml")["requirement"]),
    }


def sentences(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Every string of the pack, sentences among them, with the file that holds it. Cases are left out."""
    for path in sorted([*(root / PACK).glob("*.toml"), *(root / PACK / "conditions").glob("*.toml")]):
        for text in _strings(_table(path)):
            yield path.name, text


def page(coverage: Coverage) -> str:
    """The table as Markdown."""
    parts = [HEAD, f"Made from `{DATA.name}` by `{COMMAND}`; a test compares them.\n"]
    for series, (title, last) in SERIES.items():
        rows = [row for row in coverage.rows if row.id.rpartition("-")[0] == series]
        refused = sum(bool(row.refused) for row in rows)
        parts.append(f"## {series}: {title}\n\n{last} statements, {last - refused} covered, {refused} refused.\n")
        lines = ["| id | about | covered by | what is held here |", "|---|---|---|---|"]
        lines += [f"| {row.id} | {row.says} | {_covered(row)} | {row.position} |" for row in rows]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _covered(row: Row) -> str:
    if row.refused:
        return f"*Refused.* {row.refused}"
    by_kind: dict[str, list[str]] = {}
    for reference in row.covered_by:
        kind, _, name = reference.partition(":")
        by_kind.setdefault(kind, []).append(f"`{name}`")
    return "; ".join(
        f"{PLURALS[kind] if len(by_kind[kind]) > 1 else SINGULARS.get(kind, kind)} {', '.join(by_kind[kind])}"
        for kind in PLURALS
        if kind in by_kind
    )


def _table(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _ids(tables: Any) -> frozenset[str]:
    return frozenset(table["id"] for table in tables)


def _link_ids(items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for item in items:
        yield item["linkId"]
        yield from _link_ids(item.get("item", ()))


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for part in value.values():
                yield from _strings(part)
        case list():
            for part in value:
                yield from _strings(part)


def main(arguments: Sequence[str]) -> int:
    """Check, and write the page when asked to."""
    coverage = read_coverage()
    wrong = list(problems(coverage))
    sys.stdout.write("\n".join(wrong or [f"{DATA}: nothing is wrong"]) + "\n")
    if "--write" in arguments:
        (ROOT / PAGE).write_text(page(coverage), encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

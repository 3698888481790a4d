"""From the tables of advice.toml to the engine's nouns."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from services.triage.engine.advice import Advice, AdviceKind, Audience
from services.triage.engine.conditions import Condition
from services.triage.knowledge.advice_schema import AdviceFile, AdviceTable
from services.triage.knowledge.assemble import Assembler
from services.triage.knowledge.files import read_table

ADVICE = "advice.toml"


def assemble_advice(folder: Path, assembler: Assembler, conditions: Iterable[Condition]) -> tuple[Advice, ...]:
    """The advice of the pack in this folder, every id once; none when there is no such file.

    What does not fit is added to the problems of the pack's assembler. Raises PackError for a file that is not TOML
    or has another shape.
    """
    if not (folder / ADVICE).is_file():
        return ()
    tables = read_table(folder / ADVICE, AdviceFile).advice
    ids = [table.id for table in tables]
    known = frozenset(condition.id for condition in conditions)
    assembler.problems += [f"{ADVICE}: {one} occurs twice" for one in dict.fromkeys(ids) if ids.count(one) > 1]
    assembler.problems += [
        f"{ADVICE}: {table.id}: no condition {one!r}"
        for table in tables
        for one in table.conditions
        if one not in known
    ]
    return tuple(_advice(assembler, table) for table in tables)


def _advice(assembler: Assembler, table: AdviceTable) -> Advice:
    place = f"{ADVICE}: {table.id}"
    assembler.named_texts.setdefault(table.text, frozenset())
    return Advice(
        id=table.id,
        kind=AdviceKind(table.kind),
        audience=Audience(table.audience),
        text=table.text,
        when=None if table.when is None else assembler.criterion(place, table.when),
        unless=tuple(assembler.criterion(place, caution) for caution in table.unless),
        conditions=tuple(table.conditions),
        only_when_clear=table.only_when_clear,
        evidence=assembler.cited(place, table.evidence),
    )

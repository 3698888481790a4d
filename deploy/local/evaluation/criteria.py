"""Criteria over the facts of a case record, in the grammar and the three-valued logic of the knowledge packs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from deploy.local.evaluation.cases import Facts
from deploy.local.evaluation.table import MappingFile, NamedTable
from services.triage.engine.compile import Compiler, Test
from services.triage.engine.model import FactKind, Missing
from services.triage.engine.truth import NO, UNKNOWN, UNKNOWN_IS_NO, YES
from services.triage.knowledge.criteria_language import Vocabulary, parse_criterion


class RecordCriteria:
    """Every criterion of the mapping, compiled once. A fact that a record does not name is unknown."""

    def __init__(self, file: MappingFile) -> None:
        """Raises CriterionError for a criterion that cannot be read."""
        self._kinds: dict[str, FactKind] = dict.fromkeys(
            (*file.same, *file.opposite, *file.yes_no, *(one.name for one in file.named)), FactKind.PRESENCE
        )
        self._kinds |= dict.fromkeys(file.number, FactKind.QUANTITY)
        self._kinds |= dict.fromkeys(file.choice, FactKind.CHOICE)
        codes = {name: frozenset(table.codes) for name, table in file.choice.items()}
        self._vocabulary = Vocabulary(self._kinds, codes)
        self._slots = {name: slot for slot, name in enumerate(self._kinds)}
        self._compiler = Compiler(self._slots)
        self._named = [(one, self.compile(one.when)) for one in file.named]

    def compile(self, text: str) -> Test:
        """The criterion as a function of what `values` gives. Raises CriterionError."""
        return self._compiler.compile(parse_criterion(text, self._vocabulary))

    def values(self, facts: Facts) -> Sequence[Any]:
        """The facts of one record, laid out for the criteria."""
        values = [self._value(name, facts) for name in self._slots]
        for table, test in self._named:
            values[self._slots[table.name]] = _named(table, test(values))
        return values

    def _value(self, name: str, facts: Facts) -> Any:
        fact = facts.get(name)
        if self._kinds[name] is FactKind.PRESENCE:
            return UNKNOWN if fact is None else YES if fact is True else NO
        if isinstance(fact, str):
            return (frozenset({fact}),)
        if isinstance(fact, tuple):
            return (frozenset(fact),) if fact else (Missing.UNKNOWN,)
        return (fact if isinstance(fact, Decimal) else Missing.UNKNOWN,)

    @property
    def kinds(self) -> Mapping[str, FactKind]:
        """Every fact of the vocabulary, and the named criteria, with its kind."""
        return self._kinds


def _named(table: NamedTable, truths: int) -> int:
    return UNKNOWN_IS_NO[truths] if table.unknown_is_no else truths

"""From the tables of conditions to the engine's nouns: likelihood ratios and priors become weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import log
from types import MappingProxyType

from services.triage.engine.conditions import Code, Condition, ConditionFinding, RankingMethod
from services.triage.engine.model import Flag, Urgency
from services.triage.knowledge.assemble import Assembler
from services.triage.knowledge.conditions_schema import ConditionTable, DifferentialFile, FindingTable

SYSTEMS = {
    "snomed": "http://snomed.info/sct",
    "icd-10": "http://hl7.org/fhir/sid/icd-10",
    "icd-10-cm": "http://hl7.org/fhir/sid/icd-10-cm",
}
ANY_SITE = "any"


def weight(ratio: int | Decimal) -> int:
    """A likelihood ratio or factor as its natural logarithm in thousandths, rounded to a whole number."""
    return round(1000 * log(ratio))


def ranking_method(file: DifferentialFile) -> RankingMethod:
    """The numbers that the engine needs."""
    method = file.method
    return RankingMethod(
        site_fact=method.site,
        other_sites_fact=method.other_sites,
        other_site=round(float(method.prior_weight) * weight(method.other_site)),
        support_at_least=weight(file.support.at_least),
        strong_at_least=weight(file.support.strong_at_least),
        support_rank=file.support.rank,
        support_within=weight(file.support.within),
        shown=method.shown,
        background=tuple(method.background),
    )


class ConditionAssembler:
    """Turns tables of conditions into nouns; what does not fit is added to the problems of the pack's assembler."""

    def __init__(self, assembler: Assembler, file: DifferentialFile, flags: Iterable[Flag]) -> None:
        self._assembler = assembler
        self._problems = assembler.problems
        self._file = file
        self._flags = frozenset(flag.id for flag in flags)
        self._sites = assembler.codes_of(file.method.site)
        for fact in (file.method.site, file.method.other_sites):
            if fact is not None and not assembler.codes_of(fact):
                self._problems.append(f"differential.toml: {fact!r} is not a choice that is read from an answer")
        named = {*file.sites, *(part for parts in file.sites.values() for part in parts)}
        self._problems += [f"differential.toml: no site {one!r}" for one in sorted(named - self._sites)]

    def conditions(self, tables: Sequence[ConditionTable]) -> tuple[Condition, ...]:
        """All conditions, every id once."""
        ids = [table.id for table in tables]
        self._problems += [f"conditions: {one} occurs twice" for one in dict.fromkeys(ids) if ids.count(one) > 1]
        return tuple(self._condition(table) for table in tables)

    def _condition(self, table: ConditionTable) -> Condition:
        place = f"conditions: {table.id}"
        assembler = self._assembler
        self._problems += [f"{place}: no flag {one!r}" for one in table.guarded_by if one not in self._flags]
        unknown_sites = sorted(table.prior.keys() - self._sites - {ANY_SITE})
        self._problems += [f"{place}: no site {one!r}" for one in unknown_sites]
        largest = max(table.prior.values())
        elsewhere = table.prior.get(ANY_SITE, largest * self._file.method.unlisted_site)
        return Condition(
            id=table.id,
            title=table.title,
            urgency=Urgency(table.urgency),
            next_step=table.next_step,
            never_excluded_by=table.never_excluded_by or "",
            findings=tuple(self._finding(place, one) for one in table.finding),
            prior=MappingProxyType({site: self._prior(prior) for site, prior in self._priors(table).items()}),
            prior_elsewhere=self._prior(elsewhere),
            prior_unknown=self._prior(largest),
            codes=tuple(_code(one) for one in table.codes),
            raises=tuple(table.raises),
            guarded_by=tuple(table.guarded_by),
            unguarded=table.unguarded or "",
            flagged=weight(table.flagged_ratio),
            confidential=table.confidential,
            evidence=assembler.cited(place, table.evidence),
            only_when=None if table.only_when is None else assembler.criterion(place, table.only_when),
        )

    def _priors(self, table: ConditionTable) -> Mapping[str, int | Decimal]:
        """Priors of all sites that have one, their own or through the tree of sites."""
        given = {site: prior for site, prior in table.prior.items() if site != ANY_SITE}
        found = dict(given)
        for whole, parts in self._file.sites.items():
            if whole in given:
                for part in parts:
                    found[part] = max(given.get(part, 0), found.get(part, 0)) or given[whole]
        for whole, parts in self._file.sites.items():
            of_parts = [given[part] for part in parts if part in given]
            if of_parts and whole not in given:
                found[whole] = max(of_parts) * self._file.method.whole_of_parts
        return found

    def _prior(self, prior: int | Decimal) -> int:
        return round(float(self._file.method.prior_weight) * weight(prior))

    def _finding(self, place: str, table: FindingTable) -> ConditionFinding:
        yes, no, unknown = self._weights(place, table)
        return ConditionFinding(
            when=self._assembler.criterion(f"{place}: {table.when}", table.when),
            yes=yes,
            no=no,
            unknown=unknown,
            group=table.group,
            evidence=self._assembler.cited(place, table.evidence),
        )

    def _weights(self, place: str, table: FindingTable) -> tuple[int, int, int]:
        if table.mark is None:
            return weight(table.yes or 1), weight(table.no or 1), 0
        name = table.mark.rstrip("!")
        mark = self._file.marks.get(name)
        if mark is None:
            self._problems.append(f"{place}: no mark {name!r} in differential.toml")
            return 0, 0, 0
        match table.mark.count("!"):
            case 0:
                return weight(mark.yes), weight(mark.no), 0
            case 1:
                return weight(mark.yes), weight(mark.no_key), weight(self._file.unknown.key)
            case _:
                return weight(mark.yes), weight(mark.no_essential), weight(self._file.unknown.essential)


def _code(text: str) -> Code:
    system, code, *display = text.split(" ", 2)
    return Code(SYSTEMS[system], code, *display)

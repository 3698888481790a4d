"""From the tables of a pack to the engine's nouns, collecting everything that does not fit on the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from types import MappingProxyType

from services.triage.engine.criteria import All, Criterion
from services.triage.engine.model import (
    AnsweredBy,
    Contradiction,
    DerivedFact,
    Exclusion,
    FactDefinition,
    FactKind,
    Flag,
    FlagLine,
    Floor,
    Missing,
    Presence,
    SafetyRules,
    ScoreClass,
    ScoreDefinition,
    ScoreItem,
    Screen,
    ScreenRule,
    TextMatch,
    Urgency,
    Value,
    Withholds,
)
from services.triage.knowledge.criteria_language import CriterionError, Vocabulary, parse_criterion
from services.triage.knowledge.safety_schema import ContradictionTable, FloorTable, SafetyRulesFile
from services.triage.knowledge.schema import (
    FactsFile,
    FactTable,
    LineTable,
    RedFlagsFile,
)
from services.triage.knowledge.scores_schema import ScoreClassTable, ScoreItemTable, ScoresFile, ScoreTable
from services.triage.knowledge.texts import SCREEN_WORDS

_NOTHING: Criterion = All(())
_PRESENCE = {"yes": Presence.PRESENT, "no": Presence.ABSENT, "unknown": Presence.UNKNOWN}


class Assembler:
    """Turns the tables of one pack into the engine's nouns.

    `problems`: what does not fit. `named_texts`: every text key that a table names, with the words it may
    use.
    """

    def __init__(self, facts: FactsFile, scores: ScoresFile, evidence: Iterable[str]) -> None:
        self.problems: list[str] = []
        self.named_texts: dict[str, frozenset[str]] = {}
        self._evidence = frozenset(evidence)
        self.facts = tuple(self._fact(table) for table in facts.fact)
        self._by_name = {fact.name: fact for fact in self.facts}
        self.text_matches = tuple(
            TextMatch(f"text_match({table.fact})", self._text_fact(table.fact), tuple(table.words))
            for table in facts.text_match
        )
        kinds = {fact.name: fact.kind for fact in self.facts}
        kinds |= {match.name: FactKind.PRESENCE for match in self.text_matches}
        kinds |= {table.name: FactKind.PRESENCE for table in facts.derived}
        kinds |= {one.known_points_fact: FactKind.QUANTITY for one in scores.score if one.known_points_fact is not None}
        self._vocabulary = Vocabulary(kinds, {fact.name: fact.codes for fact in self.facts})
        self.derived = tuple(
            DerivedFact(
                name=table.name,
                when=self.criterion(f"facts.toml: {table.name}", table.when),
                label=table.meaning,
                unknown_is_no=table.unknown_is_no,
            )
            for table in facts.derived
        )
        self.scores = self._scores(scores.score)

    def codes_of(self, name: str) -> frozenset[str]:
        """The codes of a choice that is read from an answer; none for anything else."""
        fact = self._by_name.get(name)
        return frozenset() if fact is None else fact.codes

    def flags(self, file: RedFlagsFile) -> tuple[Flag, ...]:
        """The red flags, every id once."""
        self._once("red_flags.toml", [flag.id for flag in file.flag])
        self._once("red_flags.toml", [line.id for flag in file.flag for line in flag.line])
        return tuple(
            Flag(
                id=table.id,
                guards=table.guards,
                rationale=table.rationale,
                evidence=self.cited(f"red_flags.toml: {table.id}", table.evidence),
                lines=tuple(self._line(line) for line in table.line),
            )
            for table in file.flag
        )

    def safety(self, file: SafetyRulesFile) -> SafetyRules:
        """The rules over all flags."""
        self._once(
            "safety_rules.toml",
            [*(one.id for one in file.contradiction), *(floor.id for floor in file.floor)],
        )
        screen = file.screen
        for key in (screen.page_1_text, screen.required_text, screen.raised_text):
            self.named_texts[key] = SCREEN_WORDS
        return SafetyRules(
            screen=ScreenRule(
                page_1_floor=Urgency(screen.page_1_floor),
                page_1_text=screen.page_1_text,
                required_floor=Urgency(screen.required_floor),
                required_text=screen.required_text,
                raised_floor=Urgency(screen.raised_floor),
                raised_at=screen.raised_at,
                raised_when=self.criterion("safety_rules.toml: screen", screen.raised_when),
                raised_text=screen.raised_text,
            ),
            contradictions=tuple(self._contradiction(table) for table in file.contradiction),
            contradiction_floor=Urgency(file.contradictions.floor),
            conflict_text=self._text(file.contradictions.two_answers_text),
            conflict_raises=tuple(file.contradictions.two_answers_raises),
            floors=tuple(self._floor(table) for table in file.floor),
            default=Urgency(file.default.urgency),
            default_undecided=Urgency(file.default.undecided),
        )

    def _fact(self, table: FactTable) -> FactDefinition:
        place = f"facts.toml: {table.name}"
        kind = FactKind(table.kind)
        if bool(table.codes) != (kind is FactKind.CHOICE):
            self.problems.append(f"{place}: a choice lists its codes, any other kind has none")
        if (table.unit is not None) != (kind is FactKind.QUANTITY):
            self.problems.append(f"{place}: a quantity has a unit, any other kind has none")
        if kind is not FactKind.QUANTITY and (table.minimum, table.maximum) != (None, None):
            self.problems.append(f"{place}: only a quantity has a range")
        if table.negated and kind is not FactKind.PRESENCE:
            self.problems.append(f"{place}: only a presence fact can be negated")
        return FactDefinition(
            name=table.name,
            link_id=table.link_id or table.name,
            kind=kind,
            label=table.label or table.name.replace("_", " "),
            negated=table.negated,
            codes=frozenset(table.codes),
            unit=table.unit,
            minimum=_decimal(table.minimum),
            maximum=_decimal(table.maximum),
            screen=Screen(table.screen),
            clinician=table.clinician,
        )

    def _text_fact(self, name: str) -> str:
        fact = self._by_name.get(name)
        if fact is None or fact.kind is not FactKind.TEXT:
            self.problems.append(f"facts.toml: text_match: {name} is not a fact of kind text")
        return name

    def _line(self, table: LineTable) -> FlagLine:
        review = table.urgency == "clinician_review"
        return FlagLine(
            id=table.id,
            urgency=None if review else Urgency(table.urgency),
            when=self.criterion(f"red_flags.toml: {table.id}", table.when),
            raises=tuple(table.raises),
            text=self._text(table.text),
            clinician_only=table.clinician_only,
        )

    def _scores(self, tables: Sequence[ScoreTable]) -> tuple[ScoreDefinition, ...]:
        """The scores, each with its items."""
        items = {table.id: table.item for table in tables}
        self.problems += [
            f"scores.toml: {table.id}: items_of names no score with items of its own"
            for table in tables
            if table.items_of is not None and not items.get(table.items_of)
        ]
        return tuple(self._score(table, items.get(table.items_of or table.id, [])) for table in tables)

    def _score(self, table: ScoreTable, items: Sequence[ScoreItemTable]) -> ScoreDefinition:
        place = f"scores.toml: {table.id}"
        return ScoreDefinition(
            id=table.id,
            title=table.title,
            purpose=table.purpose,
            population=table.population,
            performance=table.performance,
            known_points_fact=table.known_points_fact,
            items=tuple(self._item(place, item) for item in items),
            classes=tuple(self._class(place, one) for one in table.class_),
            evidence=self.cited(place, table.evidence),
            applies_when=None if table.applies_when is None else self.criterion(place, table.applies_when),
            exclusions=tuple(
                Exclusion(
                    when=self.criterion(place, one.when),
                    text=self._text(one.text),
                    withholds=Withholds(one.withholds),
                    unknown_counts=one.unknown_counts,
                )
                for one in table.exclusion
            ),
            clinician_only=table.clinician_only,
            indeterminate=None if table.indeterminate is None else self._text(table.indeterminate),
            coded_only=table.coded_only,
        )

    def _item(self, place: str, table: ScoreItemTable) -> ScoreItem:
        return ScoreItem(
            id=table.id,
            when=self.criterion(f"{place}: {table.id}", table.when),
            points=Decimal(table.points),
            answered_by=AnsweredBy(table.answered_by),
            label=table.label,
        )

    def _class(self, place: str, table: ScoreClassTable) -> ScoreClass:
        return ScoreClass(
            code=table.code,
            at_least=_decimal(table.at_least),
            at_most=_decimal(table.at_most),
            text=self._text(table.text),
            when=None if table.when is None else self.criterion(f"{place}: {table.code}", table.when),
            reassures=table.reassures,
        )

    def _contradiction(self, table: ContradictionTable) -> Contradiction:
        place = f"safety_rules.toml: {table.id}"
        readings = [
            MappingProxyType({name: self._reading(place, name, given) for name, given in reading.items()})
            for reading in table.readings
        ]
        return Contradiction(
            id=table.id,
            when=self.criterion(place, table.when),
            readings=tuple(readings),
            guards_emergency=table.guards_emergency,
            text=self._text(table.text),
            raises=tuple(table.raises),
        )

    def _reading(self, place: str, name: str, given: str | int | Decimal) -> Value:
        fact = self._by_name.get(name)
        if fact is None:
            self.problems.append(f"{place}: reading: {name!r} is not a fact that is read from an answer")
            return Missing.UNKNOWN
        if fact.kind is FactKind.PRESENCE and isinstance(given, str) and given in _PRESENCE:
            return _PRESENCE[given]
        if fact.kind is FactKind.CHOICE and isinstance(given, str) and given in fact.codes:
            return frozenset((given,))
        if fact.kind is FactKind.QUANTITY and not isinstance(given, str):
            return Decimal(given)
        if given == "unknown":
            return Missing.UNKNOWN
        self.problems.append(f"{place}: reading: {name} cannot be {given!r}")
        return Missing.UNKNOWN

    def _floor(self, table: FloorTable) -> Floor:
        place = f"safety_rules.toml: {table.id}"
        return Floor(
            id=table.id,
            when=self.criterion(place, table.when),
            urgency=Urgency(table.urgency),
            text=self._text(table.text),
            raises=tuple(table.raises),
            evidence=self.cited(place, table.evidence),
            withholds_ranking=table.withholds_ranking,
        )

    def criterion(self, place: str, text: str) -> Criterion:
        """The parsed criterion; an empty one, and a problem, when it cannot be read."""
        try:
            return parse_criterion(text, self._vocabulary)
        except CriterionError as error:
            self.problems.append(f"{place}: {error}")
            return _NOTHING

    def _text(self, key: str) -> str:
        self.named_texts.setdefault(key, frozenset())
        return key

    def cited(self, place: str, keys: Iterable[str]) -> tuple[str, ...]:
        """The keys; a problem for each that is not in evidence.toml."""
        cited = tuple(keys)
        self.problems += [f"{place}: no evidence {key!r}" for key in cited if key not in self._evidence]
        return cited

    def _once(self, file: str, ids: list[str]) -> None:
        self.problems += [f"{file}: {one} occurs twice" for one in dict.fromkeys(ids) if ids.count(one) > 1]


def _decimal(number: int | Decimal | None) -> Decimal | None:
    return None if number is None else Decimal(number)

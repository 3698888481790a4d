"""The urgency if some yes/no answers were others: only what reads them is worked out once more.

It is what `urgency_of` says of the changed answers; tests compare both. Only for answers that leave no doubt how to
read them: with contradictions, conflicting or unusable answers everything is evaluated anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.triage.engine.assess import Outcome, urgency_of
from services.triage.engine.compile import Values
from services.triage.engine.deciding import Deciding
from services.triage.engine.differential import Differential, rank_again
from services.triage.engine.model import Urgency, Value, most_urgent
from services.triage.engine.pack import Pack
from services.triage.engine.red_flags import flag_result
from services.triage.engine.results import AppliedFloor, Assessment, Scope
from services.triage.engine.safety import applied_floors
from services.triage.engine.state import State
from services.triage.engine.truth import YES


@dataclass(frozen=True, slots=True)
class Imagining:
    """A full assessment and the values that it was computed from, free of doubt. `floors`: those from outside."""

    pack: Pack
    assessment: Assessment
    state: State
    floors: Sequence[AppliedFloor]

    def urgency(self, changed: Mapping[str, Value], *, enough: Urgency) -> Urgency | None:
        """The urgency if these yes/no answers were others. At `enough`, see `urgency_of`."""
        pack, imagined = self.pack, self.state.changed(changed)
        slots = self.state.moved_to(imagined.values, changed)
        tests = pack.contradiction_tests
        if any(tests[one](imagined.values) & YES for one in _among(pack.contradictions_reading, slots)):
            return urgency_of(imagined, floors=self.floors, enough=enough)
        deciding = Deciding(imagined)
        truths = self._line_truths(imagined.values, slots)
        fired = [pack.lines[place] for place, truth in enumerate(truths) if truth & YES]
        applied = (*applied_floors(imagined, self.assessment.quality, deciding), *self.floors)
        told = [line.urgency for _, line in fired]
        found = most_urgent(*told, *(floor.urgency for floor in applied))
        if found is not None and found.rank <= enough.rank:
            return found
        flags = frozenset(flag.id for flag, _ in fired)

        def all_clear() -> bool:
            return not fired and self._only_examination_open(truths, slots, imagined, deciding)

        outcome = Outcome(
            pack,
            Scope.FULL,
            told,
            all_clear,
            self._ranked(imagined, changed, flags),
            withheld=any(floor.withholds_ranking for floor in applied),
            trusted=True,
        )
        return outcome.urgency(applied)

    def _line_truths(self, values: Values, slots: Sequence[int]) -> list[int]:
        truths = self.state.line_truths().copy()
        for place in _among(self.pack.lines_reading, slots):
            truths[place] = self.pack.line_tests[place](values)
        return truths

    def _ranked(self, imagined: State, changed: Mapping[str, Value], flags: frozenset[str]) -> Differential:
        ranking, moving, weights = self.pack.ranking, self.pack.moving, self.assessment.weights
        if ranking is None or moving is None or weights is None:
            return Differential()
        before, values = self.state.of_what_was_asked(), imagined.of_what_was_asked()
        slots = self.state.moved_to(values, changed, before)
        return rank_again(ranking, moving, weights, values, slots, flags)

    def _only_examination_open(
        self, truths: Sequence[int], slots: Sequence[int], imagined: State, deciding: Deciding
    ) -> bool:
        """`Assessment.all_clear`, where no flag fires: of those that read a changed value, anew."""
        pack = self.pack
        touched = {pack.flag_of_line[place] for place in _among(pack.lines_reading, slots)}
        anew = [flag_result(pack.flag_plans[number], truths, imagined, deciding, keep=False) for number in touched]
        again = {pack.flag_plans[number].flag.id for number in touched}
        kept = [result for result in self.assessment.undecided if result.flag.id not in again]
        return all(result.examination_only for result in (*anew, *kept) if result is not None)


def _among(reading: Mapping[int, tuple[int, ...]], slots: Iterable[int]) -> dict[int, None]:
    """The numbers of all that read one of the slots."""
    return dict.fromkeys([number for slot in slots for number in reading.get(slot, ())])

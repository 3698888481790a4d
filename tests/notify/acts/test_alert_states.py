"""docs/alert-states.md is the state machine: every table of the page is compared with the code, and a machine that is
driven at random keeps what the page promises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.notify.acts.outcomes import Outcome, needs_reason
from services.notify.acts.snoozing import SNOOZE
from services.notify.alert import (
    BY_PERSON,
    LEADS_TO,
    Act,
    Arrival,
    Effect,
    OpenAlert,
    Seen,
    State,
    act_between,
    after_delivery,
    after_snooze,
    after_withdrawal,
    effect_of,
)
from shared.fhir.codes import Urgency
from tests.notify.test_alert import EMERGENCY, ROUTINE, SAME_DAY, heard, withdrawn

PAGE = (Path(__file__).parents[3] / "docs" / "alert-states.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")


def table(first: str) -> list[list[str]]:
    """The rows of the table whose head begins with this cell, without head."""
    lines = [line.strip() for line in PAGE.splitlines()]
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return [rows[0], *rows[2:]]


def codes(cell: str) -> set[str]:
    return set(CODE.findall(cell))


def test_the_page_says_what_people_may_do_in_each_state() -> None:
    head, *rows = table("state")

    said = {
        State(min(codes(row[0]))): {
            Act(act.replace(" ", "-")): codes(cell) for act, cell in zip(head[1:], row[1:], strict=True) if cell
        }
        for row in rows
    }
    assert said == {state: {act: set(LEADS_TO[act]) for act in BY_PERSON[state]} for state in State}


def test_the_page_says_what_happens_by_itself() -> None:
    said = [(codes(row[1]), codes(row[2])) for row in table("event")[1:]]

    assert said == [
        ({one for one in State if after_delivery(one) is not one}, {State.RECEIVED}),
        ({one for one in State if after_snooze(one) is not one}, {State.REQUESTED}),
        ({one for one in State if after_withdrawal(one, others_stand=False) is not one}, {State.CANCELLED}),
    ]


THIS = UUID(int=41)
BEFORE = [Seen(1, EMERGENCY, THIS)]
ARRIVALS: Mapping[str, tuple[Arrival, list[Seen], int, int]] = {
    "urgent, not more than the alert": (heard(1, SAME_DAY), [], SAME_DAY, 0),
    "more urgent than the alert": (heard(1, EMERGENCY), [], SAME_DAY, 0),
    "new version, urgent but less so than before": (heard(2, SAME_DAY), BEFORE, EMERGENCY, 0),
    "new version, not urgent any more": (heard(2, ROUTINE), BEFORE, EMERGENCY, 0),
    "new version, as urgent again as before it was told as less urgent": (
        heard(3, EMERGENCY),
        [*BEFORE, Seen(2, SAME_DAY, THIS)],
        EMERGENCY,
        0,
    ),
    "new version, entered in error": (withdrawn(2), BEFORE, EMERGENCY, 0),
    "a version that was heard of before": (heard(1, EMERGENCY), BEFORE, EMERGENCY, 0),
    "a version older than a withdrawal": (heard(1, EMERGENCY), [], EMERGENCY, 2),
}


def test_the_page_says_what_a_further_assessment_does() -> None:
    rows = table("arrives")[1:]

    assert {row[0] for row in rows} == ARRIVALS.keys()
    for arrives, *cells in rows:
        arrival, seen, rank, withdrawn_version = ARRIVALS[arrives]
        alerts = (OpenAlert(THIS, rank), OpenAlert(THIS, rank, snoozed=True), None)
        effects = [effect_of(arrival, seen=seen, open_alert=one, withdrawn_version=withdrawn_version) for one in alerts]
        assert [codes(cell) for cell in cells[:3]] == [{effect.name} for effect in effects], arrives
    assert {name for row in rows for cell in row for name in codes(cell)} == {effect.name for effect in Effect}


def test_the_page_says_how_long_and_how_often_an_alert_may_be_snoozed() -> None:
    said = {min(codes(row[0])): (row[1], row[2]) for row in table("urgency")[1:]}

    assert said == {urgency: (f"{limit.minutes} min", str(limit.times)) for urgency, limit in SNOOZE.items()}
    assert SNOOZE[Urgency.EMERGENCY].longest == timedelta(minutes=10)


def test_the_page_says_how_an_outcome_closes_and_when_it_needs_a_reason() -> None:
    said = {min(codes(row[0])): (min(codes(row[1])), codes(row[2])) for row in table("outcome")[1:]}

    urgencies = (Urgency.EMERGENCY, Urgency.SAME_DAY)
    assert said == {one: (one.state, {each for each in urgencies if needs_reason(one, each)}) for one in Outcome}


def test_no_way_leads_to_an_end_around_the_acknowledgement() -> None:
    for state in State:
        for wanted in State:
            act = act_between(state, wanted)
            if wanted.is_closed and not state.is_closed:
                assert (act is Act.RESOLVE) == (state in (State.ACCEPTED, State.IN_PROGRESS)), (state, wanted)
            if state.is_closed:
                assert act is None


@dataclass
class Life:
    """One alert of the model: what a database would hold of it."""

    id: UUID
    rank: int
    state: State = State.REQUESTED
    due: bool = True
    told: set[str] = field(default_factory=set)
    heard_withdrawn: set[str] = field(default_factory=set)


class Episodes(RuleBasedStateMachine):
    """Assessments of one patient arrive, people act, messages go out, clocks run: in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.alerts: list[Life] = []
        self.versions: dict[int, int] = {}
        self.seen: dict[int, list[Seen]] = {}
        self.withdrawn_at: dict[int, int] = {}

    @property
    def open(self) -> Life | None:
        return next((alert for alert in self.alerts if alert.state.absorbs), None)

    def arrives(self, which: int, arrival: Arrival) -> None:
        seen = self.seen.setdefault(which, [])
        alert = self.open
        before = alert.rank if alert else None
        given = OpenAlert(alert.id, alert.rank, alert.state is State.ON_HOLD) if alert else None
        closed = [(one.id, one.state, one.rank) for one in self.alerts if not one.state.absorbs]
        effect = effect_of(arrival, seen=seen, open_alert=given, withdrawn_version=self.withdrawn_at.get(which, 0))
        if arrival.withdrawn:
            self.withdrawn_at[which] = max(self.withdrawn_at.get(which, 0), arrival.version)
        match effect:
            case Effect.NOTHING:
                return
            case Effect.OPEN:
                assert alert is None
                alert = Life(UUID(int=1000 + len(self.alerts)), arrival.rank)
                self.alerts.append(alert)
            case Effect.JOIN:
                assert alert is not None
                assert alert.state is not State.ON_HOLD, "a snoozed alert is woken, not joined"
            case Effect.WAKE | Effect.RAISE:
                assert alert is not None
                alert.state = after_snooze(alert.state)
                alert.due = True
                alert.rank = min(alert.rank, arrival.rank)
            case Effect.WITHDRAW:
                self.takes_back(which, arrival)
        holder = alert if effect not in (Effect.WITHDRAW, Effect.CHANGE) else self.holder(which) or alert
        if holder is not None:
            seen.append(Seen(arrival.version, arrival.rank, holder.id))
        if before is not None and alert is not None:
            assert alert.rank <= before, "nothing lowers the urgency of an alert"
        if effect is not Effect.WITHDRAW:
            still = [(one.id, one.state, one.rank) for one in self.alerts if not one.state.absorbs]
            assert still == closed, "acknowledged and closed alerts absorb nothing"

    def holder(self, which: int) -> Life | None:
        newest = max(self.seen.get(which, []), key=lambda seen: seen.version, default=None)
        return next((one for one in self.alerts if newest and one.id == newest.alert_id), None)

    def takes_back(self, which: int, arrival: Arrival) -> None:
        for alert in self.alerts:
            if any(seen.alert_id == alert.id for seen in self.seen[which]):
                others = any(
                    any(seen.alert_id == alert.id for seen in seens) and other not in self.withdrawn_at
                    for other, seens in self.seen.items()
                    if other != which
                )
                alert.state = after_withdrawal(alert.state, others_stand=others)
                alert.due = alert.due and alert.state.absorbs
                alert.heard_withdrawn |= alert.told

    @rule(which=st.integers(0, 2), rank=st.sampled_from([EMERGENCY, SAME_DAY, ROUTINE]), late=st.integers(0, 2))
    def an_assessment_arrives(self, which: int, rank: int, late: int) -> None:
        version = max(self.versions.get(which, 0) + 1 - late, 1)
        self.versions[which] = max(self.versions.get(which, 0), version)
        self.arrives(which, heard(version, rank))

    @rule(which=st.integers(0, 2))
    def an_assessment_is_withdrawn(self, which: int) -> None:
        self.versions[which] = self.versions.get(which, 0) + 1
        told = {one.id: set(one.told) for one in self.alerts}
        stood = {seen.alert_id for seen in self.seen.get(which, [])}
        self.arrives(which, withdrawn(self.versions[which]))
        for alert in self.alerts:
            if alert.id in stood:
                assert told[alert.id] <= alert.heard_withdrawn, "every told person hears of the withdrawal"

    @rule(who=st.sampled_from("abc"))
    def a_message_goes_out(self, who: str) -> None:
        alert = self.open
        if alert is not None and alert.state.is_open:
            alert.state = after_delivery(alert.state)
            alert.told.add(who)

    @precondition(lambda self: self.alerts)
    @rule(data=st.data(), act=st.sampled_from(Act))
    def a_person_acts(self, data: st.DataObject, act: Act) -> None:
        alert = data.draw(st.sampled_from(self.alerts))
        if act not in BY_PERSON[alert.state]:
            return
        state = data.draw(st.sampled_from(sorted(LEADS_TO[act])))
        if state.absorbs and not alert.state.absorbs and self.open is not None:
            return  # refused: the patient has another open alert
        alert.state = state
        alert.due = state.absorbs

    @rule()
    def the_clock_runs(self) -> None:
        for alert in self.alerts:
            if alert.due:
                alert.state = after_snooze(alert.state)

    @invariant()
    def one_episode_is_open(self) -> None:
        assert sum(alert.state.absorbs for alert in self.alerts) <= 1

    @invariant()
    def acknowledged_never_pages_and_what_waits_always_comes_back(self) -> None:
        for alert in self.alerts:
            assert alert.due == alert.state.absorbs

    @invariant()
    def every_urgent_assessment_is_in_an_alert(self) -> None:
        for which, seens in self.seen.items():
            assert all(any(alert.id == seen.alert_id for alert in self.alerts) for seen in seens), which


TestEpisodes = Episodes.TestCase
TestEpisodes.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)

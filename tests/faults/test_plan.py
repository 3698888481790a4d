"""A seed says everything that is done, and the same seed says the same."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from deploy.local.faults.actions import ACTIONS
from deploy.local.faults.command import LONG_DEMANDS
from deploy.local.faults.duration import whole_s
from deploy.local.faults.plan import ALWAYS, NOT_HERE, PROCESSES, TITLES, make_plan
from deploy.local.faults.receivers import Manner
from deploy.local.faults.samples import Sample, grown
from deploy.local.faults.soak import FAULTS
from deploy.local.faults.workload import EXPECTED_SHARES, MARK, SHARES, rank, submissions
from shared.failpoint import NAMES


@pytest.mark.parametrize("long", [False, True])
def test_the_same_seed_makes_the_same_plan(long: bool) -> None:
    assert make_plan(7, long=long) == make_plan(7, long=long)
    assert make_plan(7, long=long) != make_plan(8, long=long)


def test_the_same_seed_makes_the_same_patients() -> None:
    assert list(islice(submissions(3), 200)) == list(islice(submissions(3), 200))
    assert list(islice(submissions(3), 200)) != list(islice(submissions(4), 200))


@pytest.mark.requirement("REQ-43")
def test_every_fault_of_the_list_is_in_the_long_plan_or_said_to_be_missing() -> None:
    planned = {step.fault for step in make_plan(1, long=True)}
    assert planned | set(NOT_HERE) == {f"F{number}" for number in range(1, 15)}
    assert planned == set(TITLES)


def test_a_short_run_has_the_most_telling_faults_and_many_runs_have_all() -> None:
    runs = [make_plan(seed, long=False) for seed in range(60)]
    assert all({step.action for step in run} >= ALWAYS for run in runs)
    everything = {step.title for fault in TITLES for step in make_plan(1, long=False, only=[fault])}
    assert {step.title for run in runs for step in run} == everything


def test_every_step_names_something_that_can_be_done() -> None:
    steps = make_plan(1, long=True) + make_plan(1, long=False)
    assert {step.action for step in steps} <= set(ACTIONS)
    for step in steps:
        assert set(step.settings.get("among", ())) <= set(FAULTS)
        for manner in step.settings.get("manners", ()):
            Manner(manner)


def test_the_long_plan_sets_a_trap_at_every_failpoint_that_the_workload_reaches_and_kills_200_times() -> None:
    steps = make_plan(1, long=True)
    places = [place for step in steps for place in step.settings.get("places", ())]
    assert set(places) == {place for of_process in PROCESSES.values() for place in of_process}
    assert set(places) <= NAMES
    kills = sum(step.settings.get("kills", 0) for step in steps)
    workers = sum(2 * step.settings["times"] for step in steps if step.action == "kill_workers")
    by_chance = 30
    assert kills + len(places) + workers + by_chance >= LONG_DEMANDS.kills, "and the soak adds to these"


def test_the_long_run_takes_about_fifty_minutes_of_which_thirty_are_soak() -> None:
    plan = make_plan(1, long=True)
    assert [step.settings["seconds"] for step in plan if step.action == "soak"] == [LONG_DEMANDS.soak_s]
    assert 45 * 60 < whole_s(plan) < 53 * 60


def test_only_the_faults_that_were_asked_for_are_planned_and_a_wrong_name_is_refused() -> None:
    assert {step.fault for step in make_plan(1, long=False, only=["F3", "F7"])} == {"F3", "F7"}
    with pytest.raises(ValueError, match="F99"):
        make_plan(1, long=False, only=["F99"])


def test_a_soak_of_a_length_of_ones_own() -> None:
    [soak] = make_plan(1, long=False, only=["F14"], soak_minutes=0.5)
    assert soak.settings["seconds"] == 30


def test_the_workload_has_every_kind_and_marks_every_patient() -> None:
    drawn = list(islice(submissions(5), 1000))
    assert set(Counter(one.kind for one in drawn)) == set(SHARES)
    assert all(MARK.encode() in version.body for one in drawn for version in one.versions)
    assert any(one.copies > 1 for one in drawn)
    alerting = [one for one in drawn if one.valid and rank(one.versions[0].urgency) <= 1]
    assert 0.08 < len(alerting) / len(drawn) < 0.3


def test_over_a_long_time_one_in_nine_alerts_and_every_kind_comes() -> None:
    assert set(EXPECTED_SHARES) == set(SHARES)
    assert round(sum(EXPECTED_SHARES.values()), 6) == round(sum(SHARES.values()), 6) == 1
    drawn = list(islice(submissions(5, shares=EXPECTED_SHARES), 10_000))
    alerting = [one for one in drawn if any(rank(version.urgency) <= 1 for version in one.versions)]
    assert 0.09 < len(alerting) / len(drawn) < 0.13


@pytest.mark.requirement("REQ-30")
def test_some_emergencies_come_in_forms_that_are_refused() -> None:
    one = next(one for one in submissions(5) if one.kind == "invalid_emergency")
    assert not one.valid
    assert rank(one.versions[0].urgency) == 0
    assert b'"status":"finished"' in one.versions[0].body


def test_what_is_withdrawn_is_the_same_form_of_the_same_patient() -> None:
    one = next(one for one in submissions(5) if one.kind == "withdrawn")
    before, after = one.versions
    assert after.urgency is None
    assert before.body.replace(b'"status":"completed"', b'"status":"entered-in-error"') == after.body


def samples(memory: float, more: float) -> list[Sample]:
    return [Sample(10.0 * n, memory + more * n, 100, 3, 5) for n in range(40)]


def test_memory_that_grows_all_the_time_is_found_and_a_flat_one_is_not() -> None:
    assert grown(samples(600, 0)) == []
    assert grown(samples(600, 5)) == ["memory grew from 672 to 772"]

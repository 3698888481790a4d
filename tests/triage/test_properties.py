"""What must hold for every patient, tried on patients that nobody thought of.

The rules (red flags, floors, contradictions, screen) are monotone in the order no < unknown < yes of every fact that
only speaks for danger, and these tests say so without exceptions. Where an answer may keep a line from firing, or where
the candidates have a say, the exact extent is written down here: a table that is wrong in either direction fails.
Faults that are known are named as faults.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.triage.basis import Basis, Run
from services.triage.engine.assess import evaluate
from services.triage.engine.model import Finding, Findings, Respondent, Screen, Urgency
from services.triage.engine.pack import Pack
from services.triage.engine.results import Scope, Verdict
from services.triage.knowledge.cases import case_findings, line_verdict
from services.triage.risk_assessment import build_resources
from tests.triage.narrowing import COMMAND, PAGE, REAL, changed, fired, page, rank
from tests.triage.packs import HEALTHY, NO, NOT_SURE, YES, example_pack
from tests.triage.people import World
from tests.triage.polarity import (
    counted_as_yes_when_unknown,
    counted_only_when_known,
    dangers,
    unused_by_rules,
)
from tests.triage.test_pack_cases import CASES, PACK

EXAMPLE = World("example", example_pack(), HEALTHY)
both_packs = pytest.mark.parametrize("world", [EXAMPLE, REAL], ids=lambda world: world.name)

BASIS = Basis.of({"id": "qr-1", "subject": {"reference": "Patient/p-1"}}, version=1, sha256="")
RUN = Run("a-1", 1, datetime(2026, 11, 22, 8, 0, tzinfo=UTC))


def bounded(examples: int) -> settings:
    """The same patients in every run, and as many as fit into a minute."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(derandomize=True, database=None, deadline=None, max_examples=examples, suppress_health_check=slow)


def somebody(world: World, data: st.DataObject) -> Findings:
    facts, respondent = data.draw(world.people())
    return world.findings(facts, respondent)


def written(pack: Pack, findings: Findings, scope: Scope = Scope.FULL) -> bytes:
    """The resources of an assessment as they are stored."""
    return orjson.dumps(build_resources(evaluate(pack, findings, scope=scope), pack, basis=BASIS, run=RUN))


@cache
def known_dangers(world: World) -> list[str]:
    return dangers(world.pack)


# --- adding a red flag ---------------------------------------------------------------------------


@pytest.mark.requirement("SR-01")
@both_packs
@given(data=st.data())
@bounded(60)
def test_a_danger_that_is_reported_never_lowers_what_the_rules_say(world: World, data: st.DataObject) -> None:
    """For every fact whose yes only speaks for red-flag lines, whatever else was answered.

    From no to yes: no line falls silent, and the urgency of the rules does not fall. From unknown to yes the same holds
    without the floors of an incomplete screen (SR-04), which say that something is not known: they end when it is.
    """
    findings, name = somebody(world, data), data.draw(st.sampled_from(known_dangers(world)))
    denied, unsure, reported = (evaluate(world.rules, changed(findings, name, one)) for one in (NO, NOT_SURE, YES))

    assert fired(denied) <= fired(reported)
    assert fired(unsure) <= fired(reported)
    assert rank(reported.urgency) <= rank(denied.urgency)
    assert rank(reported.clinical_urgency) <= rank(unsure.clinical_urgency)


@pytest.mark.requirement("SR-02", "SR-03", "SR-04")
def test_the_answers_that_make_a_result_less_urgent_are_on_their_page_and_no_others() -> None:
    """Which yes may silence which line, which forgotten No lowers what, which danger is less urgent when sure.

    A row that appears is a fault until a clinician has agreed to it; a row that goes is one less.
    """
    assert PAGE.read_text(encoding="utf-8") == page(), f"run: {COMMAND}"


# --- forgetting an answer ------------------------------------------------------------------------


@pytest.mark.requirement("SR-03")
@both_packs
@given(data=st.data())
@bounded(60)
def test_forgetting_a_denied_danger_is_never_less_urgent_than_denying_it(world: World, data: st.DataObject) -> None:
    """For every fact whose yes only speaks for red-flag lines: not sure is at least as urgent as no.

    But where the no contradicts another answer: that is reported, and more urgent than silence (SR-05).
    """
    findings, name = somebody(world, data), data.draw(st.sampled_from(known_dangers(world)))
    denied, unsure = (evaluate(world.rules, changed(findings, name, one)) for one in (NO, NOT_SURE))
    if denied.quality.contradictions != unsure.quality.contradictions:
        return

    assert fired(denied) <= fired(unsure)
    assert rank(unsure.urgency) <= rank(denied.urgency)


@pytest.mark.requirement("SR-03")
@both_packs
@given(data=st.data())
@bounded(60)
def test_forgetting_any_answer_opens_a_line_and_never_silences_it(world: World, data: st.DataObject) -> None:
    """For every fact: a line that fired is fired or undecided afterwards, and so is reported.

    Not for the yes behind points that are known, or behind a fact that is two-valued by clinical decision.
    """
    findings = somebody(world, data)
    name, answer = data.draw(st.sampled_from(world.yes_no)), data.draw(st.sampled_from((YES, NO)))
    known = evaluate(world.rules, changed(findings, name, answer))
    forgotten = evaluate(world.rules, changed(findings, name, NOT_SURE))

    if answer is NO or name not in counted_only_when_known(world.pack):
        lost = fired(known) - fired(forgotten)
        assert {line_verdict(forgotten, line) for line in lost} <= {Verdict.UNDECIDED}


# --- order, candidates, bytes --------------------------------------------------------------------


@pytest.mark.requirement("SR-20")
@both_packs
@given(data=st.data())
@bounded(15)
def test_the_order_of_the_answers_changes_no_byte(world: World, data: st.DataObject) -> None:
    findings, rng = somebody(world, data), data.draw(st.randoms(use_true_random=False))
    names = list(findings.by_name)
    rng.shuffle(names)
    shuffled = Findings({name: findings.by_name[name] for name in names}, findings.respondent)

    assert written(world.pack, findings) == written(world.pack, shuffled)


@pytest.mark.requirement("SR-02", "SR-01")
@both_packs
@given(data=st.data())
@bounded(40)
def test_the_candidates_take_nothing_away_from_the_rules(world: World, data: st.DataObject) -> None:
    """With and without conditions in the pack: same flags, same floors, and at least the same urgency.

    Candidates may make it less urgent in one case only: nothing fired or is open, no floor holds, and the first
    candidate allows self-care where the rules alone would say routine.
    """
    findings = somebody(world, data)
    with_candidates, rules = evaluate(world.pack, findings), evaluate(world.rules, findings)

    for part in ("fired", "undecided", "not_fired", "floors", "quality"):
        assert getattr(with_candidates, part) == getattr(rules, part)
    if rank(with_candidates.urgency) > rank(rules.urgency):
        assert (with_candidates.urgency, rules.urgency) == (Urgency.SELF_CARE, Urgency.ROUTINE)
        assert (rules.fired, rules.floors) == ((), ())
        assert all(result.examination_only for result in rules.undecided)


@pytest.mark.requirement("SR-02")
@both_packs
@given(data=st.data())
@bounded(40)
def test_an_answer_that_no_rule_uses_changes_no_flag_and_no_floor(world: World, data: st.DataObject) -> None:
    findings = somebody(world, data)
    unused = [name for name in unused_by_rules(world.pack) if name in world.yes_no]
    more = data.draw(st.dictionaries(st.sampled_from(unused), st.sampled_from((YES, NO, NOT_SURE)))) if unused else {}
    benign = Findings({**findings.by_name, **{name: Finding(value) for name, value in more.items()}})
    before, after = (
        evaluate(world.rules, replace(findings, respondent=benign.respondent)),
        evaluate(world.rules, benign),
    )

    for part in ("fired", "undecided", "not_fired", "floors", "urgency"):
        assert getattr(before, part) == getattr(after, part)


PRINT_DIGEST = """
from tests.triage.test_properties import REAL, digest
print(digest(REAL))
"""


def digest(world: World) -> str:
    """Of the resources of every firing case."""
    found = hashlib.sha256()
    for case in [case for case in CASES if case.kind == "firing"][:40]:
        found.update(written(world.pack, case_findings(world.pack, case)))
    return found.hexdigest()


@pytest.mark.requirement("SR-20")
def test_SR_20_another_process_with_other_hashes_writes_the_same_bytes() -> None:
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(root)}
    other = subprocess.run(
        [sys.executable, "-c", PRINT_DIGEST], cwd=root, env=environment, capture_output=True, text=True, check=True
    )

    assert other.stdout.strip() == digest(REAL)


@pytest.mark.requirement("SR-20", "REQ-07")
@both_packs
@given(data=st.data())
@bounded(40)
def test_whatever_is_found_is_assessed_and_written(world: World, data: st.DataObject) -> None:
    """Doubtful, hidden, contradictory, missing answers: always an assessment, and an urgency when the form is whole."""
    findings = Findings(dict(data.draw(world.anything())), data.draw(st.sampled_from(Respondent)))

    assert evaluate(world.pack, findings).urgency is not None
    assert written(world.pack, findings)
    assert written(world.pack, findings, Scope.PAGE_1)


# --- page 1 alone --------------------------------------------------------------------------------


@pytest.mark.requirement("SR-10", "SR-21")
@both_packs
@given(data=st.data())
@bounded(60)
def test_page_1_alone_is_never_more_urgent_than_a_form_with_nothing_else_answered(
    world: World, data: st.DataObject
) -> None:
    """Page 1 alone never says more than the same answers in a finished form whose other questions stay unanswered.

    Against a form whose other questions are answered it may: what can narrow a danger down (its age, above all) is
    then still to be asked, and counts as the more urgent of the two.
    """
    findings = somebody(world, data)
    page_1 = {fact.name for fact in world.pack.content.facts if fact.screen is Screen.PAGE_1}
    only = Findings({name: one for name, one in findings.by_name.items() if name in page_1}, findings.respondent)

    alone, whole = (evaluate(world.rules, only, scope=scope) for scope in (Scope.PAGE_1, Scope.FULL))

    assert rank(whole.urgency) <= rank(alone.urgency)
    assert fired(alone) <= fired(whole)


@pytest.mark.requirement("SR-21")
@given(data=st.data())
@bounded(100)
def test_what_page_1_alone_takes_for_urgent_only_a_later_answer_that_was_counted_as_yes_takes_back(
    data: st.DataObject,
) -> None:
    findings = somebody(REAL, data)
    alone, whole = (evaluate(REAL.rules, findings, scope=scope) for scope in (Scope.PAGE_1, Scope.FULL))

    lost = fired(alone) - fired(whole)
    assert all(counted_as_yes_when_unknown(PACK, line) for line in lost)

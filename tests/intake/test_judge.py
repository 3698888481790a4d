"""One judgement whichever way a response takes: at once, or by those who explain."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from services.intake import judge as judging
from services.intake.acceptor import Acceptor
from services.intake.catalogue import Catalogue
from services.intake.judge import Judged, judge, recognise
from services.intake.store import Published
from shared.fhir.questionnaire import QuestionnaireIndex
from shared.ids import DEFAULT_TENANT
from shared.postgres import open_pool
from shared.problems import ProblemError
from tests.builders import a_response
from tests.conftest import Database
from tests.forms import answered, index, question, response, when

SOUND = json.dumps(a_response(identifier="judge-4711")).encode()


@pytest.fixture
def catalogue(database: Database) -> Iterator[Catalogue]:
    pool = open_pool(database.intake_url, schema="intake", size=1, name="judge")
    yield Catalogue(pool)
    pool.close()


def judged(catalogue: Catalogue, body: bytes) -> Judged:
    return judge(body, catalogue=catalogue, tenant=DEFAULT_TENANT)


def test_a_sound_response_to_a_known_questionnaire_needs_no_explanation(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    explained = judged(catalogue, SOUND)

    monkeypatch.delattr(judging, "parse_resource")
    monkeypatch.delattr(judging, "check_conformance")

    assert judged(catalogue, SOUND) == explained


def test_a_response_that_names_a_part_of_its_form_is_recognised_as_one_that_names_the_form(
    catalogue: Catalogue,
) -> None:
    canonical = judged(catalogue, SOUND).index.canonical
    part = SOUND.replace(canonical.encode(), f"{canonical}#page-1".encode())

    found = recognise(part, catalogue=catalogue, tenant=DEFAULT_TENANT)

    assert found is not None
    assert (found.index.canonical, found.warnings) == (canonical, judged(catalogue, part).warnings)


def test_a_response_with_something_wrong_is_explained_every_time(catalogue: Catalogue) -> None:
    wrong = SOUND.replace(b'"completed"', b'"finished"')

    for body in (wrong, SOUND, wrong):
        if body is SOUND:
            judged(catalogue, body)
            continue
        with pytest.raises(ProblemError) as refused:
            judged(catalogue, body)
        assert [problem.code for problem in refused.value.problems] == ["unknown-code"]


def test_an_acceptor_of_another_text_of_the_form_decides_nothing(catalogue: Catalogue) -> None:
    index = judged(catalogue, SOUND).index
    acceptor = catalogue.acceptor(DEFAULT_TENANT, index.canonical)
    assert acceptor is not None
    pain = next(item for item in index.items.values() if item.required and item.parent == "page-1")
    stricter = replace(index, items={**index.items, pain.link_id: replace(pain, options=(), option_keys=frozenset())})

    for key in catalogue._compiled:
        catalogue._compiled[key] = stricter

    with pytest.raises(ProblemError):
        judged(catalogue, SOUND)


@pytest.mark.parametrize(("repeats", "at_once"), [(False, True), (True, False)])
def test_a_form_that_compares_every_answer_in_every_condition_never_holds_up_the_other_requests(
    catalogue: Catalogue, *, repeats: bool, at_once: bool
) -> None:
    """2,000 answers in 2,000 conditions take seconds: in a thread, while everybody else is served."""
    later = question("later", "integer", enableWhen=[when("scores", ">", answerInteger=99)], required=True)
    form = index(question("scores", "integer", repeats=repeats), later)
    know(catalogue, form)
    answers = response(answered("scores", *([1, 2, 3] if repeats else [1])))
    body = json.dumps({**answers, "questionnaire": form.canonical, "subject": {"reference": "Patient/1"}}).encode()

    assert (recognise(body, catalogue=catalogue, tenant=DEFAULT_TENANT) is not None) is at_once
    assert judged(catalogue, body).index is form


def know(catalogue: Catalogue, form: QuestionnaireIndex) -> None:
    """As if this form had been resolved just now."""
    url, _, version = form.canonical.partition("|")
    entry = Published(url, version, "form", "active", DEFAULT_TENANT)
    catalogue._entries[DEFAULT_TENANT] = (time.monotonic(), [entry])
    catalogue._compiled[DEFAULT_TENANT, entry.id, entry.version_id] = form
    catalogue._acceptors[DEFAULT_TENANT, form.canonical] = Acceptor(form)

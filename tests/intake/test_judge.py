"""One judgement whichever way a response takes: at once, or by those who explain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from services.intake import judge as judging
from services.intake.catalogue import Catalogue
from services.intake.judge import Judged, judge
from shared.ids import DEFAULT_TENANT
from shared.postgres import open_pool
from shared.problems import ProblemError
from tests.builders import a_response
from tests.conftest import Database

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

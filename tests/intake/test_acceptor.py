"""The acceptor never takes what the walkers that explain would remark on; and takes what usually comes."""

from __future__ import annotations

from dataclasses import fields, make_dataclass, replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local.benchmark.form import sixty_items
from deploy.local.triage import shipped_form
from services.intake.acceptor import Acceptor
from services.intake.acceptor_form import KNOWN, _comparison
from services.intake.conformance import check_conformance
from shared.fhir.answer_values import COMPARISONS, AnswerValue, Coding, compare
from shared.fhir.parse import parse_resource
from shared.fhir.plain_json import read_plain_json
from shared.fhir.questionnaire import Condition, QuestionnaireIndex
from shared.problems import ProblemError
from tests.forms import answered, coding, extension, group, index, inside, question, response, yes_no
from tests.intake.generated import a_questionnaire, a_response
from tests.intake.mutations import mutants, written

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
REMARKED = {EXAMPLES / "invalid.json", EXAMPLES / "page-1-chest-pain.json"}
"""One is wrong; the other is in progress, and each question that is still open is told."""
SOUND = sorted(set(EXAMPLES.glob("*.json")) - REMARKED)
FORM = "https://sural.example/fhir/Questionnaire/posterior-lower-limb|1.0.0"
MUTANTS = 40


def remarks(form: QuestionnaireIndex, body: bytes) -> list[str]:
    """What the walkers say: the codes of all problems and warnings."""
    try:
        content = parse_resource(body, resource_type="QuestionnaireResponse").resource
    except ProblemError as refused:
        return [problem.code for problem in refused.problems]
    return [problem.code for problem in check_conformance(form, content)]


def read(acceptor: Acceptor, body: bytes) -> dict[str, Any] | None:
    """The content that is accepted at once, None when somebody has to look closer."""
    plain = read_plain_json(body)
    return plain.content if plain is not None and acceptor.accepts(plain) else None


def assert_nothing_wrong_is_accepted(acceptor: Acceptor, body: bytes) -> bool:
    """Whether it was accepted, and if so rightly, with the same content."""
    accepted = read(acceptor, body)
    if accepted is None:
        return False
    assert remarks(acceptor.index, body) == [], body
    assert repr(accepted) == repr(parse_resource(body, resource_type="QuestionnaireResponse").resource)
    return True


@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.stem)
def test_every_sound_example_is_accepted_at_once(path: Path) -> None:
    assert assert_nothing_wrong_is_accepted(Acceptor(shipped_form(FORM)), path.read_bytes())


@pytest.mark.parametrize("path", sorted(REMARKED), ids=lambda path: path.stem)
def test_an_example_with_remarks_is_looked_at_closer(path: Path) -> None:
    assert read(Acceptor(shipped_form(FORM)), path.read_bytes()) is None


def test_a_response_of_sixty_items_is_accepted_at_once() -> None:
    questionnaire, body = sixty_items()

    assert body.count(b'"linkId"') == 60
    assert assert_nothing_wrong_is_accepted(Acceptor(QuestionnaireIndex.build(questionnaire)), body)


@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.stem)
def test_no_damaged_example_is_accepted(path: Path) -> None:
    acceptor = Acceptor(shipped_form(FORM))
    content = parse_resource(path.read_bytes(), resource_type="QuestionnaireResponse").resource

    for body in mutants(Random(path.stem), content, MUTANTS):
        assert_nothing_wrong_is_accepted(acceptor, body)


def test_no_damaged_response_of_sixty_items_is_accepted() -> None:
    questionnaire, body = sixty_items()
    acceptor = Acceptor(QuestionnaireIndex.build(questionnaire))
    content = parse_resource(body, resource_type="QuestionnaireResponse").resource

    accepted = [assert_nothing_wrong_is_accepted(acceptor, each) for each in mutants(Random(60), content, 400)]

    assert 10 < sum(accepted) < 200, "most damages do harm, and those that do none must not all be feared"


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_with_any_questionnaire_nothing_wrong_is_accepted(seed: int) -> None:
    random = Random(seed)
    form = a_questionnaire(random)
    try:
        acceptor = Acceptor(QuestionnaireIndex.build(form))
    except ProblemError:
        return
    for _ in range(6):
        content = a_response(random, form, answered=random.choice((0.5, 0.8, 0.95, 1)))
        assert_nothing_wrong_is_accepted(acceptor, written(content).encode())
        for body in mutants(random, content, 3):
            assert_nothing_wrong_is_accepted(acceptor, body)


def test_of_generated_responses_without_remarks_many_are_accepted() -> None:
    """The others have answers of kinds that are looked at closer by design."""
    sound = accepted = 0
    for seed in range(200):
        random = Random(seed)
        form = a_questionnaire(random)
        try:
            acceptor = Acceptor(QuestionnaireIndex.build(form))
        except ProblemError:
            continue
        for _ in range(10):
            body = written({**a_response(random, form), "status": "completed"}).encode()
            if not remarks(acceptor.index, body):
                sound += 1
                accepted += read(acceptor, body) is not None

    assert sound > 100
    assert accepted > sound / 3


def test_an_item_with_a_property_that_is_not_known_here_is_looked_at_closer() -> None:
    form = index(yes_no("pain"))
    body = written(response(answered("pain", "Y"))).encode()
    assert read(Acceptor(form), body) is not None
    pain = form.items["pain"]
    strict = make_dataclass("strict", [("invented", str, "")], bases=(type(pain),), frozen=True, slots=True)
    KNOWN[strict] = KNOWN[type(pain)]
    try:
        values = {each.name: getattr(pain, each.name) for each in fields(pain)}
        for pattern, accepted in (("", True), ("Y+", False)):
            changed = replace(form, items={"pain": strict(**values, invented=pattern)})
            assert (read(Acceptor(changed), body) is not None) is accepted
    finally:
        del KNOWN[strict]


def test_a_decimal_keeps_its_digits() -> None:
    form = index(question("fever", "decimal"))

    accepted = read(
        Acceptor(form),
        b'{"resourceType": "QuestionnaireResponse", "status": "completed", '
        b'"item": [{"linkId": "fever", "answer": [{"valueDecimal": 36.60}]}]}',
    )

    assert accepted is not None
    assert str(accepted["item"][0]["answer"][0]["valueDecimal"]) == "36.60"


def test_repeated_groups_are_accepted() -> None:
    form = index(group("attack", yes_no("pain", required=True), repeats=True))
    body = written(response(inside("attack", answered("pain", "Y")), inside("attack", answered("pain", "N")))).encode()

    assert assert_nothing_wrong_is_accepted(Acceptor(form), body)


def test_a_group_that_comes_again_after_a_later_question_is_looked_at_closer() -> None:
    form = index(group("attack", yes_no("pain"), repeats=True), yes_no("end"))
    attack, end = inside("attack", answered("pain", "Y")), answered("end", "N")

    assert read(Acceptor(form), written(response(attack, attack, end)).encode()) is not None
    assert read(Acceptor(form), written(response(attack, end, attack)).encode()) is None


def test_an_answer_that_excludes_all_others_is_accepted_alone() -> None:
    alone = extension("questionnaire-optionExclusive", valueBoolean=True)
    options = [{"valueCoding": coding("none"), "extension": [alone]}, *({"valueCoding": coding(c)} for c in ("a", "b"))]
    form = index(question("signs", "choice", repeats=True, answerOption=options))

    for given_answers, accepted in ((("none",), True), (("a", "b"), True), (("a", "none"), False)):
        body = written(response(answered("signs", *given_answers))).encode()
        assert (read(Acceptor(form), body) is not None) is accepted


@pytest.mark.parametrize("escape", ["\\u0007", "\\b", "\\u0000"])
def test_an_escaped_control_character_is_looked_at_closer(escape: str) -> None:
    form = index(question("words", "string"))
    body = written(response(answered("words", {"valueString": "it tore"}))).replace("tore", f"tore{escape}").encode()

    assert read(Acceptor(form), body) is None
    assert read(Acceptor(form), body.replace(escape.encode(), b"\\n\\u00e9")) is not None


@pytest.mark.parametrize("number", ["36.60e0", "1e2", "36.6000000000000000001", f"36.{'6' * 64}"])
def test_a_number_keeps_every_digit_or_is_looked_at_closer(number: str) -> None:
    form = index(question("fever", "decimal"))
    body = written(response(answered("fever", {"valueDecimal": 7}))).replace("7}", f"{number}}}").encode()

    accepted = read(Acceptor(form), body)

    assert accepted is None or str(accepted["item"][0]["answer"][0]["valueDecimal"]) == number


@pytest.mark.parametrize("operator", sorted(COMPARISONS))
@pytest.mark.parametrize(("kind", "expected"), [("Integer", 3), ("Decimal", Decimal("3.0")), ("Boolean", True)])
def test_a_condition_on_numbers_holds_for_the_same_answers_as_everywhere(
    operator: str, kind: str, expected: AnswerValue
) -> None:
    fits = _comparison(Condition("pain", operator, kind, expected, {}))
    answers: list[tuple[str, AnswerValue]] = [
        *(("Integer", number) for number in range(6)),
        *(("Decimal", Decimal(text)) for text in ("2.9", "3", "3.0", "3.1")),
        *(("Boolean", truth) for truth in (True, False)),
        ("String", "3"),
        ("Coding", Coding(None, "3", None)),
        ("Integer", True),
    ]

    for actual_kind, actual in answers:
        assert fits(actual_kind, actual) is (compare(actual_kind, actual, operator, kind, expected) is True)

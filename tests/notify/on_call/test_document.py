"""An on-call document that cannot be meant is refused with every mistake at once: where, and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.notify.on_call import shape
from services.notify.on_call.document import Contact, Kind, Target
from services.notify.on_call.flaw import DocumentFlawed
from services.notify.on_call.read import LONGEST_TEXT, read_document
from shared.fhir.codes import Urgency

EXAMPLE = (Path(__file__).parents[3] / "examples" / "on-call.toml").read_text(encoding="utf-8")


def flaws_of(text: str) -> dict[str, str]:
    """Where something is wrong, and the whole sentence."""
    with pytest.raises(DocumentFlawed) as refused:
        read_document(text)
    return {flaw.where: str(flaw) for flaw in refused.value.flaws}


def test_the_example_says_who_is_told() -> None:
    document = read_document(EXAMPLE, version=3)

    osei, team = document.person("osei"), document.team("vascular")
    assert osei is not None
    assert team is not None
    assert osei.name == "Dr Ama Osei"
    assert Contact("push", "osei") in osei.contacts
    assert osei.time_zone == "Europe/London"
    assert (team.policy, team.rota, team.threshold) == ("standard", "first", Urgency.SAME_DAY)
    assert document.fallback == (Target(Kind.PERSON, "desk"), Target(Kind.PERSON, "osei"))
    assert document.version == 3


def test_every_mistake_is_said_at_once_with_its_place_what_was_expected_and_what_to_do() -> None:
    text = EXAMPLE.replace('"Europe/London"', '"Europe/Lonon"').replace('from = "08:00"', 'from = "8 o\'clock"', 1)
    text = text.replace("repeat = 2", "repeat = -1").replace('name = "Duty desk"', 'nam = "Duty desk"')

    assert flaws_of(text) == {
        "time_zone": 'time_zone: found "Europe/Lonon"; expected a time zone by its IANA name, such as "Europe/London". '
        "Correct the value.",
        "people.desk.name": "people.desk.name: found nothing; expected a name, 1 to 80 characters. Add it.",
        "people.desk.nam": 'people.desk.nam: found the name "nam"; expected one of name, contacts, quiet, time_zone. '
        "Correct the name, or remove it.",
        "rotas.first.slots[1].from": 'rotas.first.slots[1].from: found "8 o\'clock"; expected a time of day, such as '
        '"08:00". Correct the value.',
        "policies.standard.repeat": "policies.standard.repeat: found -1; expected a whole number, 0 to 20. "
        "Correct the value.",
    }


def test_every_id_that_nobody_has_is_named_with_those_that_there_are() -> None:
    text = EXAMPLE.replace('people = ["lind"]', 'people = ["lindt"]', 1).replace('policy = "standard"', 'policy = "x"')
    text = text.replace('tell = ["rota:first"]', 'tell = ["rota:second"]').replace(
        'instead_of = "lind"', 'instead_of = "l"'
    )

    found = flaws_of(text)

    assert list(found) == [
        "teams.vascular.policy",
        "rotas.first.slots[2].people[1]",
        "rotas.first.overrides[1].instead_of",
        "policies.standard.emergency[1].tell[1]",
    ]
    assert "a person (desk, lind, moreau, osei)" in found["rotas.first.slots[2].people[1]"]
    assert "[rotas.second]" in found["policies.standard.emergency[1].tell[1]"]


@pytest.mark.parametrize(
    ("instead_of", "written", "where"),
    [
        ('tell = ["rota:first"]', 'tell = ["first"]', "policies.standard.emergency[1].tell[1]"),
        ("ama.osei@clinic.example", "ama.osei", "people.osei.contacts[1].address"),
        ("ama.osei@clinic.example", "a@clinic.example, b@clinic.example", "people.osei.contacts[1].address"),
        ("ama.osei@clinic.example", "a@clinic.example\\r\\nBcc: x@y.example", "people.osei.contacts[1].address"),
        ('channel = "push", address = "osei"', 'channel = "push", address = "lind"', "people.osei.contacts[2].address"),
        ('channel = "push"', 'channel = "pager"', "people.osei.contacts[2].channel"),
        ('to = "2026-12-27 08:00"', 'to = "2026-12-23 08:00"', "rotas.first.overrides[1].to"),
        ('to = "2026-12-27 08:00"', 'to = "27 December"', "rotas.first.overrides[1].to"),
        ('days = ["sat", "sun"]', 'days = ["weekend"]', "rotas.first.slots[3].days"),
        ('days = ["mon-fri"]', 'days = ["fri-mon"]', "rotas.first.slots[1].days"),
        ('members = ["osei", "lind", "moreau"]', "members = []", "teams.vascular.members"),
        ('threshold = "same_day"', 'threshold = "routine"', "teams.vascular.threshold"),
        ("after_minutes = 5", "after_minutes = nan", "policies.standard.emergency[2].after_minutes"),
        ("[people.desk]", "[people.Desk]", "people"),
        ("[[policies.standard.emergency]]", "[[policies.standard.urgent]]", "policies.standard.urgent"),
        ("[fallback]", "[fall-back]", "fallback"),
        ('time_zone = "Europe/London"', 'time_zone = "../../etc/passwd"', "time_zone"),
        ("[fallback]", "[fallback", "document"),
        ("[fallback]", f"x = {'[' * 5000}\n[fallback]", "document"),
        ("[fallback]", "#" * LONGEST_TEXT + "\n[fallback]", "document"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_place(instead_of: str, written: str, where: str) -> None:
    assert instead_of in EXAMPLE

    assert where in flaws_of(EXAMPLE.replace(instead_of, written, 1))


def test_a_time_without_an_offset_is_on_the_clock_of_the_rota() -> None:
    there = EXAMPLE.replace('name = "First on call"', 'name = "First on call"\ntime_zone = "America/New_York"')

    (here_override,), (there_override,) = (read_document(text).rotas[0].overrides for text in (EXAMPLE, there))

    assert here_override.start.isoformat() == "2026-12-24T08:00:00+00:00"
    assert there_override.start.isoformat() == "2026-12-24T13:00:00+00:00"


def test_times_may_be_written_as_toml_writes_them() -> None:
    text = EXAMPLE.replace('from = "08:00"', "from = 08:00:00").replace('"2026-12-24 08:00"', "2026-12-24T08:00:00Z")

    assert read_document(text) == read_document(EXAMPLE)


@pytest.mark.parametrize("table", shape.Table.__subclasses__())
def test_docs_on_call_explains_every_word_of_the_document(table: type[shape.Table]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "on-call.md").read_text(encoding="utf-8")

    for name, field in table.model_fields.items():
        assert re.search(rf"`[^`]*\b{field.alias or name}\b[^`]*`", page), (table.__name__, name)

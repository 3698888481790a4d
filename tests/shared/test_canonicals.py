"""Knowledge is found by what names it: url, version, name, title."""

from __future__ import annotations

import pytest

from shared.fhir.canonicals import Canonical, answering, apart
from shared.problems import ProblemError

CALF = "https://sural.example/fhir/Library/calf"
ENTRIES = (
    Canonical("calf-1", CALF, "1.0.0", "Calf", "Pain in the calf, and behind the knee"),
    Canonical("calf-2", CALF, "1.1.0", "Calf", "Pain in the calf, and behind the knee"),
    Canonical("heel-1", "https://sural.example/fhir/Library/heel", "1.0.0", "Heel", "Achilles’ tendon and Fußschmerz"),
)


@pytest.mark.parametrize(
    ("pairs", "ids"),
    [
        ([("url", CALF)], ("calf-1", "calf-2")),
        ([("url", f"{CALF}|1.1.0")], ("calf-2",)),
        ([("url", CALF), ("version", "1.0.0")], ("calf-1",)),
        ([("version", "1.0.0")], ("calf-1", "heel-1")),
        ([("version", "|1.1.0,9.9.9")], ("calf-2",)),
        ([("url", CALF.upper())], ()),
        ([("url", CALF[:-1])], ()),
        ([("name", "cal")], ("calf-1", "calf-2")),
        ([("name", "alf")], ()),
        ([("name:contains", "EE")], ("heel-1",)),
        ([("name:exact", "heel")], ()),
        ([("name:exact", "Heel")], ("heel-1",)),
        ([("title", r"pain in the calf\, and")], ("calf-1", "calf-2")),
        ([("title", "nothing,achilles")], ("heel-1",)),
        ([("title:contains", "FUSSSCHMERZ")], ("heel-1",)),
    ],
)
def test_canonical_resources_are_found_as_r4_says(pairs: list[tuple[str, str]], ids: tuple[str, ...]) -> None:
    assert answering(ENTRIES, pairs) == ids


@pytest.mark.parametrize("value", ["", ","])
def test_an_empty_value_is_refused(value: str) -> None:
    with pytest.raises(ProblemError, match="empty"):
        answering(ENTRIES, [("url", value)])


def test_only_parameters_that_the_type_has_are_answered_here() -> None:
    pairs = [("url", "u"), ("name:contains", "n"), ("url:below", "u"), ("status", "draft")]

    assert apart(pairs, {"url", "version", "status"}) == ([pairs[0]], pairs[1:])
    assert apart(pairs, {"url", "name", "status"}) == (pairs[:2], pairs[2:])

"""SMART scopes: what is understood, and that nothing is ever widened."""

from __future__ import annotations

import pytest

from shared.access.scopes import EVERYTHING, NOTHING, Scope, ScopeError, Scopes, parse_scopes, understood


def test_a_scope_grants_its_permissions_on_its_type_and_nothing_else() -> None:
    scopes = parse_scopes("system/QuestionnaireResponse.c system/RiskAssessment.rs")

    assert scopes.allows("QuestionnaireResponse", "c")
    assert scopes.allows("RiskAssessment", "s")
    assert not scopes.allows("QuestionnaireResponse", "r")
    assert not scopes.allows("RiskAssessment", "u")
    assert not scopes.allows("Task", "r")


def test_a_scope_for_every_type_grants_every_type() -> None:
    assert parse_scopes("system/*.rs").allows("Task", "r")
    assert not parse_scopes("system/*.rs").allows("Task", "u")


def test_only_a_scope_for_every_type_covers_what_is_asked_of_every_type() -> None:
    assert parse_scopes("system/*.rs").covers(Scope("*", "s"))
    assert not parse_scopes("system/Task.rs system/RiskAssessment.rs").covers(Scope("*", "s"))


def test_two_scopes_of_one_type_add_up() -> None:
    assert parse_scopes("system/Task.r system/Task.u").covers(Scope("Task", "ru"))


def test_no_scope_grants_nothing_and_all_scopes_grant_everything() -> None:
    assert not NOTHING.allows("Task", "r")
    assert all(EVERYTHING.allows("Task", permission) for permission in "cruds")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "system/Task.r  system/Task.u",
        "system/Task.",
        "system/Task.sr",
        "system/Task.rr",
        "system/Task.rx",
        "system/task.r",
        "system/Task.r\n",
        "patient/Task.r",
        "user/Task.r",
        "openid",
        "system/*",
        "system/**.r",
        "system/Task.r?status=requested",
        "system/Task.rs?",
        "system/Task.read",
        "system/*.*",
        "SYSTEM/Task.r",
    ],
)
def test_what_is_not_exactly_a_scope_of_version_2_is_refused(text: str) -> None:
    with pytest.raises(ScopeError):
        parse_scopes(text)


def test_a_scope_with_a_query_is_never_read_as_the_scope_without_it() -> None:
    with pytest.raises(ScopeError, match="query"):
        parse_scopes("system/Task.rs?status=requested", v1=True)
    assert understood("system/Task.rs?status=requested") == NOTHING


@pytest.mark.parametrize(("word", "permissions"), [("read", "rs"), ("write", "cud"), ("*", "cruds")])
def test_version_1_is_understood_only_when_it_is_switched_on(word: str, permissions: str) -> None:
    assert parse_scopes(f"system/Task.{word}", v1=True) == Scopes((Scope("Task", permissions),))
    with pytest.raises(ScopeError, match="version 1"):
        parse_scopes(f"system/Task.{word}")


def test_foreign_scopes_of_another_issuer_grant_nothing() -> None:
    assert understood("openid profile system/Task.r user/Task.u") == parse_scopes("system/Task.r")


def test_a_scope_that_cannot_be_printed_is_not_repeated() -> None:
    with pytest.raises(ScopeError) as refused:
        parse_scopes("system/Task.r\x00")
    assert "\x00" not in str(refused.value)

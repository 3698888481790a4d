"""Which role reaches which page, as one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from services.notify.sign_in.reach import reach_of
from services.notify.sign_in.visitor import Role
from tests.notify.signed_in import somebody

Rows = Callable[..., list[dict[str, Any]]]
C, L, AD, AU = Role.CLINICIAN, Role.LEAD, Role.ADMINISTRATOR, Role.AUDITOR
ALERT = "/worklist/alert/0199a0b0-0000-7000-8000-000000000000"

TABLE = [
    ("GET", "/worklist", {C, L}),
    ("GET", "/worklist/events", {C, L}),
    ("GET", "/worklist/handover", {C, L}),
    ("GET", "/worklist/patient", {C, L}),
    ("GET", ALERT, {C, L}),
    ("POST", f"{ALERT}/acknowledge", {C, L}),
    ("POST", f"{ALERT}/resolve", {C, L}),
    ("GET", "/worklist/on-call", {C, L, AD, AU}),
    ("POST", "/worklist/on-call", {L}),
    ("POST", "/worklist/on-call/override", {L}),
    ("GET", "/worklist/measures", {L}),
    ("GET", "/worklist/account", {C, L, AD, AU}),
    ("POST", "/worklist/account/password", {C, L, AD, AU}),
    ("GET", "/worklist/accounts", {AD}),
    ("POST", "/worklist/accounts/add", {AD}),
    ("GET", "/worklist/audit", {AU}),
    ("POST", "/worklist/audit", {C, L}),  # no such page
    ("POST", "/worklist/sign-out", {C, L, AD, AU}),
    ("GET", "/worklist/what-comes-later", {C, L}),
]
THERE = [line for line in TABLE if line[0] == "GET" and line[1] != "/worklist/events"]
"""What a request reaches, if only to be told that there is no such page. Without the stream, which does not end."""


@pytest.mark.requirement("REQ-36")
@pytest.mark.parametrize(("method", "path", "roles"), TABLE)
def test_a_page_is_for_these_roles(method: str, path: str, roles: set[Role]) -> None:
    assert reach_of(method, path).roles == roles


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/worklist/assets/live.js"), ("GET", "/worklist/sign-in"),
     ("POST", "/worklist/sign-in"), ("GET", "/a/one-time"), ("POST", "/a/one-time")],
)  # fmt: skip
def test_a_page_is_for_anybody(method: str, path: str) -> None:
    assert reach_of(method, path).roles is None


@pytest.mark.parametrize("path", ["/worklist/sign-inn", "/worklist/sign-in/code", "/b"])
def test_what_looks_open_is_not(path: str) -> None:
    assert reach_of("GET", path).roles is not None


@pytest.mark.parametrize("role", list(Role))
def test_a_role_that_does_not_reach_a_page_is_told_so(client: httpx.Client, rows: Rows, role: Role) -> None:
    somebody(rows, role).uses(client)
    refused = 0
    for method, path, roles in THERE:
        answer = client.request(method, path)

        denied = "Not for your role" in answer.text
        assert denied is (role not in roles), (method, path)
        if denied:
            refused += 1
            assert answer.status_code == 403
            assert f"you are signed in as {role}" in answer.text
    events = rows("SELECT * FROM audit_event WHERE word = 'page-denied'")
    assert len(events) == refused > 0
    assert {(event["outcome"], event["agent"].partition("/")[0]) for event in events} == {("4", "account")}


@pytest.mark.requirement("REQ-36")
def test_nobody_reaches_them_without_signing_in(client: httpx.Client) -> None:
    for method, path, _ in THERE:
        answer = client.request(method, path)

        assert answer.status_code == 303, (method, path)
        assert answer.headers["Location"].startswith("/worklist/sign-in?")

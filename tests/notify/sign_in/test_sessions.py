"""Sessions: who is let in, for how long, and what ends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.responses import Response

from services.notify.app import create_app
from services.notify.settings import NotifySettings
from services.notify.sign_in.session import Cookies, csrf_of, extends
from services.notify.sign_in.visitor import Role
from shared.access.session_cookie import hashed
from tests.notify.conftest import Service
from tests.notify.neighbours import Triage, an_assessment
from tests.notify.signed_in import somebody
from tests.serving import client_of

Rows = Callable[..., list[dict[str, Any]]]
OURS = {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8123"}
SEEN = {"urgency": "emergency", "assessments": "1"}


@pytest.mark.requirement("REQ-26")
def test_who_is_not_signed_in_is_sent_to_the_sign_in_and_back(client: httpx.Client) -> None:
    answer = client.get("/worklist?urgency=emergency")

    assert answer.status_code == 303
    assert answer.headers["Location"] == "/worklist/sign-in?next=/worklist%3Furgency%3Demergency"
    assert "Waiting" not in answer.text


def test_a_script_is_told_that_nobody_is_signed_in(client: httpx.Client) -> None:
    answer = client.get("/worklist", headers={"Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"})

    assert answer.status_code == 401
    assert "<" not in answer.text


def test_who_is_signed_in_sees_the_worklist(client: httpx.Client, rows: Rows) -> None:
    somebody(rows, Role.CLINICIAN).uses(client)

    assert client.get("/worklist").status_code == 200


def test_an_invented_cookie_opens_nothing(client: httpx.Client, rows: Rows) -> None:
    person = somebody(rows, Role.CLINICIAN)
    for value in ("invented", person.token[:-1], person.token + "a", hashed(person.token).hex(), str(person.session)):
        client.cookies.clear()
        client.cookies.set("sural-session", value, domain="127.0.0.1", path="/")
        assert client.get("/worklist").status_code == 303, value


def test_the_database_does_not_hold_what_the_cookie_holds(rows: Rows) -> None:
    person = somebody(rows, Role.CLINICIAN)

    assert person.token not in str(rows("SELECT * FROM session"))


@pytest.mark.parametrize(
    ("moved", "status"),
    [
        ("used_at = used_at - interval '14 minutes 50 seconds'", 200),
        ("used_at = used_at - interval '15 minutes 1 second'", 303),
        ("begun_at = begun_at - interval '11 hours 59 minutes'", 200),
        ("begun_at = begun_at - interval '12 hours 1 second'", 303),
    ],
)
def test_a_session_is_over_after_15_minutes_without_use_and_after_12_hours(
    client: httpx.Client, rows: Rows, moved: str, status: int
) -> None:
    somebody(rows, Role.CLINICIAN).uses(client)
    rows(f"UPDATE session SET {moved}")

    assert client.get("/worklist").status_code == status


def test_looking_at_a_page_keeps_the_session_and_refreshing_by_itself_does_not(
    client: httpx.Client, rows: Rows
) -> None:
    somebody(rows, Role.CLINICIAN).uses(client)
    rows("UPDATE session SET used_at = used_at - interval '10 minutes'")

    def idle_s() -> float:
        return float(rows("SELECT extract(epoch FROM clock_timestamp() - used_at) AS s FROM session")[0]["s"])

    by_itself = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/worklist", headers=by_itself).status_code == 200
    assert idle_s() >= 600
    assert client.get("/worklist", headers={**by_itself, "Sec-Fetch-User": "?1"}).status_code == 200
    assert idle_s() < 60


def test_a_disabled_account_is_out_at_once(client: httpx.Client, rows: Rows) -> None:
    somebody(rows, Role.CLINICIAN).uses(client)
    assert client.get("/worklist").status_code == 200

    rows("UPDATE account SET disabled_at = now()")

    assert client.get("/worklist").status_code == 303


def test_a_sign_in_that_is_not_complete_shows_no_patient(client: httpx.Client, rows: Rows) -> None:
    somebody(rows, Role.CLINICIAN, complete=False).uses(client)

    assert client.get("/worklist").status_code == 303


def test_a_session_shows_its_own_tenant_only(
    client: httpx.Client, rows: Rows, service: Service, triage: Triage
) -> None:
    service.hears(triage.publish(an_assessment(name="Severe Case")))
    other = somebody(rows, Role.CLINICIAN, tenant=uuid4())
    own = somebody(rows, Role.CLINICIAN)

    assert "Severe Case" not in other.uses(client).get("/worklist").text
    assert "Severe Case" in own.uses(client).get("/worklist").text


@pytest.mark.requirement("REQ-14")
def test_a_form_without_the_token_of_the_session_does_nothing(
    client: httpx.Client, rows: Rows, service: Service, triage: Triage
) -> None:
    service.hears(triage.publish(an_assessment()))
    alert = service.alert()["id"]
    person = somebody(rows, Role.CLINICIAN)
    other = somebody(rows, Role.CLINICIAN)
    person.uses(client)

    def press(**fields: str) -> int:
        form = {"name": "Dr Osei", **SEEN, **fields}
        return client.post(f"/worklist/alert/{alert}/acknowledge", data=form, headers=OURS).status_code

    assert press() == 403
    assert press(csrf="") == 403
    assert press(csrf="ö") == 403
    assert press(csrf=other.csrf) == 403
    assert service.alert()["state"] == "requested"
    assert press(csrf=person.csrf) == 303
    assert service.alert()["state"] == "accepted"


@pytest.mark.requirement("REQ-14")
def test_a_form_of_another_site_does_nothing_even_with_the_token(
    client: httpx.Client, rows: Rows, service: Service, triage: Triage
) -> None:
    service.hears(triage.publish(an_assessment()))
    person = somebody(rows, Role.CLINICIAN)
    form = {"name": "Dr Osei", **SEEN, "csrf": person.csrf}
    person.uses(client)

    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {}):
        answer = client.post(f"/worklist/alert/{service.alert()['id']}/acknowledge", data=form, headers=headers)
        assert answer.status_code == 403
    assert service.alert()["state"] == "requested"


def test_a_form_sent_after_the_session_ended_does_nothing_and_says_so(
    client: httpx.Client, rows: Rows, service: Service, triage: Triage
) -> None:
    service.hears(triage.publish(an_assessment()))
    person = somebody(rows, Role.CLINICIAN)
    person.uses(client)
    rows("UPDATE session SET used_at = used_at - interval '1 hour'")

    form = {"name": "Dr Osei", **SEEN, "csrf": person.csrf}
    answer = client.post(f"/worklist/alert/{service.alert()['id']}/acknowledge", data=form, headers=OURS)

    assert answer.status_code == 303
    assert answer.headers["Location"] == "/worklist/sign-in?why=over"
    assert service.alert()["state"] == "requested"


def test_a_page_cannot_be_framed_or_kept(client: httpx.Client, rows: Rows) -> None:
    page = somebody(rows, Role.CLINICIAN).uses(client).get("/worklist")

    assert page.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"


def test_browsers_come_back_by_https_only(asking: NotifySettings) -> None:
    secure = asking.model_copy(update={"public_url": "https://sural.clinic.example"})
    with client_of(create_app(secure)) as client:
        assert client.get("/worklist").headers["Strict-Transport-Security"] == "max-age=63072000"
    with client_of(create_app(asking)) as client:
        assert "Strict-Transport-Security" not in client.get("/worklist").headers


def test_cookies_say_what_browsers_may_do_with_them() -> None:
    def given(https: bool) -> str:
        response = Response()
        Cookies(https).give(response, "session", "x")
        return response.headers["set-cookie"]

    assert given(https=True) == "__Host-sural-session=x; HttpOnly; Path=/; SameSite=lax; Secure"
    assert given(https=False) == "sural-session=x; HttpOnly; Path=/; SameSite=lax"


def test_the_form_token_does_not_give_the_session_away() -> None:
    assert csrf_of("secret") != csrf_of("Secret")
    assert "secret" not in csrf_of("secret")
    assert csrf_of("secret") != hashed("secret").hex()


@pytest.mark.parametrize(
    ("method", "headers", "somebody_there"),
    [
        ("POST", {"sec-fetch-site": "same-origin"}, True),
        ("GET", {"sec-fetch-site": "same-origin", "sec-fetch-user": "?1"}, True),
        ("GET", {"sec-fetch-site": "same-origin", "sec-fetch-dest": "empty"}, False),
        ("GET", {"sec-fetch-site": "same-origin", "sec-fetch-dest": "document"}, False),
        ("GET", {}, True),
    ],
)
def test_what_shows_that_somebody_is_there(method: str, headers: dict[str, str], somebody_there: bool) -> None:
    assert extends(method, headers) is somebody_there


def test_behind_a_proxy_that_signs_people_in_everybody_is_a_lead_and_nobody_an_administrator(
    settings: NotifySettings,
) -> None:
    given = {
        "mode": "production",
        "pages": "behind-sign-in",
        "public_url": "https://sural.clinic.example",
        "token_keys_url": "http://127.0.0.1:9/keys",
    }
    with client_of(create_app(settings.model_copy(update=given))) as client:
        assert client.get("/worklist").status_code == 200
        assert client.get("/worklist/accounts").status_code == 403
        assert client.get("/worklist/audit").status_code == 403

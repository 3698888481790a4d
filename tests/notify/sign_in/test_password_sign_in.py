"""Signing in with a password: what is asked, what is refused, and that guessing is slow."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from services.notify.app import create_app
from services.notify.settings import NotifySettings
from services.notify.sign_in import password, proving, store
from services.notify.sign_in.totp import recovery_hash
from services.notify.sign_in.visitor import Role
from services.notify.sign_in.way_back import way_back
from shared.access.session_cookie import hashed
from shared.postgres import DatabaseError
from tests.notify.sign_in.visits import OURS, PASSWORD, Keeper, Visit, code_of
from tests.serving import client_of

Rows = Callable[..., list[dict[str, Any]]]
NOT_RIGHT = "The login name or the password is not right."


def words(rows: Rows) -> list[str]:
    return [row["word"] for row in rows("SELECT word FROM audit_event WHERE word IS NOT NULL ORDER BY number")]


def test_the_first_sign_in_asks_for_a_password_of_ones_own(visit: Visit, keeper: Keeper, rows: Rows) -> None:
    first = keeper.adds("osei@clinic.example")

    visit.signs_in("Osei@Clinic.Example ", first)
    assert visit.at == "/worklist/sign-in/password"
    assert visit.opens("/worklist").request.url.path == "/worklist/sign-in/password"

    visit.sends("/worklist/sign-in/password", password=PASSWORD, again=PASSWORD)
    assert visit.at == "/worklist"
    assert "Dr Osei" in visit.page.text
    assert words(rows) == ["account-added", "password-changed", "signed-in"]

    visit.client.cookies.clear()
    assert NOT_RIGHT in visit.signs_in("osei@clinic.example", first).text
    assert visit.signs_in("osei@clinic.example", PASSWORD).status_code == 200


def test_where_a_second_factor_is_required_the_first_sign_in_sets_it_up(
    settings: NotifySettings, keeper: Keeper, rows: Rows
) -> None:
    given = {"mode": "production", "token_keys_url": "http://127.0.0.1:9/keys", "sandbox_sign_in": False}
    keeper.adds_with_password("osei")
    with client_of(create_app(settings.model_copy(update=given))) as client:
        visit = Visit(client)
        visit.signs_in("osei", PASSWORD, next="/worklist/handover")
        assert visit.at == "/worklist/sign-in/second-factor"
        [secret] = re.findall(r"<code>([A-Z2-7 ]+)</code>", visit.page.text)
        picture = client.get("/worklist/sign-in/qr.svg", headers=OURS)
        assert picture.headers["content-type"] == "image/svg+xml"
        assert picture.headers["Cache-Control"] == "no-store"

        assert visit.sends("/worklist/sign-in/second-factor", code="000000").status_code == 422
        assert visit.opens("/worklist").request.url.path == "/worklist/sign-in/second-factor"
        assert secret in visit.page.text
        visit.sends("/worklist/sign-in/second-factor", code=code_of(secret.replace(" ", "")), next="/worklist/handover")

        codes = re.findall(r"<code>([A-Z2-9]{4}(?:-[A-Z2-9]{4}){3})</code>", visit.page.text)
        assert len(set(codes)) == 10
        assert 'href="/worklist/handover"' in visit.page.text
        assert visit.opens("/worklist").request.url.path == "/worklist"
        assert "second-factor-set" in words(rows)

        visit.client.cookies.clear()
        visit.signs_in("osei", PASSWORD)
        assert visit.at == "/worklist/sign-in/code"
        visit.types_code(codes[0])
        assert visit.at == "/worklist"


def test_a_code_of_the_telephone_is_asked_and_each_works_once(visit: Visit, keeper: Keeper) -> None:
    telephone = keeper.adds_with_second_factor("osei")
    code = code_of(telephone)

    visit.signs_in("osei", PASSWORD)
    assert visit.at == "/worklist/sign-in/code"
    assert visit.opens("/worklist").request.url.path == "/worklist/sign-in/code"
    visit.types_code(code)
    assert visit.at == "/worklist"

    visit.client.cookies.clear()
    visit.signs_in("osei", PASSWORD)
    answer = visit.types_code(code)
    assert answer.status_code == 422
    assert "used before" in answer.text
    assert visit.types_code(code_of(telephone, steps=-1)).status_code == 422, "older than one that was used"
    visit.types_code(code_of(telephone, steps=1))
    assert visit.at == "/worklist"


def test_two_browsers_with_the_same_code_at_the_same_moment_are_not_both_let_in(
    asking: NotifySettings, keeper: Keeper, rows: Rows
) -> None:
    telephone = keeper.adds_with_second_factor("osei")
    code = code_of(telephone)
    with client_of(create_app(asking)) as client:
        visits = [Visit(httpx.Client(base_url=client.base_url, timeout=20, trust_env=False)) for _ in range(4)]
        for visit in visits:
            visit.signs_in("osei", PASSWORD)
        threads = [threading.Thread(target=visit.types_code, args=(code,)) for visit in visits]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(visit.at for visit in visits).count("/worklist") == 1
        for visit in visits:
            visit.client.close()


def test_a_recovery_code_stands_in_once(visit: Visit, keeper: Keeper, rows: Rows) -> None:
    keeper.adds_with_second_factor("osei")
    [account] = rows("SELECT id, tenant_id FROM account")
    rows(
        "INSERT INTO account_recovery_code VALUES (%s, %s, %s)",
        account["tenant_id"], account["id"], recovery_hash("ABCD-EFGH-JKLM-NPQR"),
    )  # fmt: skip

    visit.signs_in("osei", PASSWORD)
    visit.types_code("abcd efgh jklm npqr")
    assert visit.at == "/worklist"

    visit.client.cookies.clear()
    visit.signs_in("osei", PASSWORD)
    assert visit.types_code("ABCD-EFGH-JKLM-NPQR").status_code == 422


def test_a_sign_in_gives_another_session_than_the_browser_came_with(visit: Visit, keeper: Keeper, rows: Rows) -> None:
    keeper.adds_with_second_factor("osei")
    visit.client.cookies.set("sural-session", "fixed-by-somebody-else", domain="127.0.0.1", path="/")
    visit.signs_in("osei", PASSWORD)
    half = visit.client.cookies["sural-session"]
    assert half != "fixed-by-somebody-else"

    visit.types_code(code_of(keeper_secret(rows)))
    full = visit.client.cookies["sural-session"]

    assert full != half
    assert [bytes(row["id_hash"]) for row in rows("SELECT id_hash FROM session")] == [hashed(full)]


def keeper_secret(rows: Rows) -> str:
    [row] = rows("SELECT totp_secret FROM account")
    return str(row["totp_secret"]).removeprefix("plain:")


def test_an_old_cookie_is_worth_nothing_after_signing_out(visit: Visit, keeper: Keeper, rows: Rows) -> None:
    keeper.adds_with_password("osei")
    visit.signs_in("osei", PASSWORD)
    stolen = visit.client.cookies["sural-session"]
    visit.opens("/worklist/account")

    answer = visit.sends("/worklist/sign-out")

    assert "You are signed out" in answer.text
    assert "sural-session" not in visit.client.cookies
    visit.client.cookies.set("sural-session", stolen, domain="127.0.0.1", path="/")
    assert visit.client.get("/worklist").status_code == 303
    assert rows("SELECT * FROM session") == []
    assert words(rows)[-1] == "signed-out"


def test_unknown_name_wrong_password_and_disabled_account_get_one_answer(
    visit: Visit, keeper: Keeper, rows: Rows
) -> None:
    keeper.adds_with_password("osei")
    keeper.adds_with_password("gone")
    rows("UPDATE account SET disabled_at = now() WHERE login = 'gone'")

    pages = []
    for login, given in (("osei", "wrong password here"), ("nobody", PASSWORD), ("gone", PASSWORD)):
        answer = visit.signs_in(login, given)
        assert answer.status_code == 422
        assert NOT_RIGHT in answer.text
        pages.append(answer.text.replace(f'value="{login}"', ""))
    assert len(set(pages)) == 1
    assert rows("SELECT * FROM session") == []
    assert words(rows).count("sign-in-failed") == 3


def test_an_unknown_name_costs_the_same_work_as_a_wrong_password(
    visit: Visit, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.adds_with_password("osei")
    compared: list[str] = []
    real = password._HASHER.verify

    class Counting:
        def verify(self, kept: str, given: str) -> bool:
            compared.append(kept.rpartition("$")[0].rpartition("$")[0])
            return real(kept, given)

        def __getattr__(self, name: str) -> Any:
            return getattr(real.__self__, name)

    monkeypatch.setattr(password, "_HASHER", Counting())
    visit.signs_in("osei", "wrong password here")
    visit.signs_in("nobody", "wrong password here")

    assert len(compared) == 2
    assert compared[0] == compared[1] == "$argon2id$v=19$m=19456,t=2,p=1"


def test_guessing_is_slowed_and_never_for_ever(visit: Visit, keeper: Keeper, rows: Rows) -> None:
    keeper.adds_with_password("osei")
    answers = [visit.signs_in("osei", "wrong password here").status_code for _ in range(5)]
    assert answers == [422, 422, 422, 422, 422]
    rows("UPDATE sign_in_failure SET failed_at = now() + interval '1 minute'")  # or the pause of a second may be over
    assert visit.signs_in("osei", "wrong password here").status_code == 429
    rows("UPDATE sign_in_failure SET failed_at = now(), failures = 9 WHERE subject LIKE 'login/%%'")

    early = visit.signs_in("osei", PASSWORD)

    assert early.status_code == 429
    assert "Too many attempts" in early.text
    assert 10 < int(early.headers["Retry-After"]) <= 16
    rows("UPDATE sign_in_failure SET failures = 5000, failed_at = now() - interval '61 seconds'")
    visit.signs_in("osei", PASSWORD)
    assert visit.at == "/worklist", "a minute later the right password opens, however often somebody guessed"
    assert rows("SELECT * FROM sign_in_failure WHERE subject LIKE 'login/%%'") == []


def test_a_name_that_nobody_has_is_slowed_too(visit: Visit, rows: Rows) -> None:
    visit.signs_in("nobody", "x")
    rows("UPDATE sign_in_failure SET failures = 9, failed_at = now() WHERE subject LIKE 'login/%%'")

    assert visit.signs_in("nobody", "x").status_code == 429


def test_many_guesses_at_once_gain_nothing(asking: NotifySettings, keeper: Keeper, rows: Rows) -> None:
    keeper.adds_with_password("osei")
    with client_of(create_app(asking)) as client:

        def guess() -> None:
            with httpx.Client(base_url=client.base_url, timeout=60, trust_env=False) as one:
                form = {"login": "osei", "password": "wrong password here"}
                statuses.append(one.post("/worklist/sign-in", data=form, headers=OURS).status_code)

        statuses: list[int] = []
        threads = [threading.Thread(target=guess) for _ in range(14)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses.count(422) <= 8
    assert statuses.count(429) >= 6


def test_guessing_from_one_address_at_many_names_is_slowed(visit: Visit, rows: Rows) -> None:
    visit.signs_in("one", "x")
    rows("UPDATE sign_in_failure SET failures = 60, failed_at = now() WHERE subject LIKE 'address/%%'")

    assert visit.signs_in("another", "x").status_code == 429


def test_a_second_attempt_waits_for_the_first_to_be_counted(keeper: Keeper) -> None:
    with keeper.pool.connection() as one, keeper.pool.connection() as two, one.transaction():
        store.lock_failures(one, ["login/x"])
        two.execute("SET lock_timeout = '100ms'")
        with pytest.raises(DatabaseError, match="lock timeout"), two.transaction():
            store.lock_failures(two, ["login/x"])
        two.execute("RESET lock_timeout")


def test_who_signed_in_on_this_browser_before_is_not_kept_out_by_guessing_elsewhere(
    visit: Visit, keeper: Keeper, rows: Rows
) -> None:
    keeper.adds_with_password("osei")
    visit.signs_in("osei", PASSWORD)
    visit.opens("/worklist/account")
    visit.sends("/worklist/sign-out")
    rows(
        "INSERT INTO sign_in_failure SELECT s, 5000, now() FROM unnest(ARRAY['address/127.0.0.1', "
        "'login/' || encode(sha256('osei'), 'hex')]) AS s ON CONFLICT (subject) DO UPDATE SET failures = 5000"
    )

    visit.signs_in("osei", PASSWORD)
    assert visit.at == "/worklist"
    with httpx.Client(base_url=visit.client.base_url, timeout=20, trust_env=False) as elsewhere:
        assert Visit(elsewhere).signs_in("osei", PASSWORD).status_code == 429


def test_codes_cannot_be_guessed_quickly(visit: Visit, keeper: Keeper, rows: Rows) -> None:
    telephone = keeper.adds_with_second_factor("osei")
    visit.signs_in("osei", PASSWORD)
    assert visit.types_code("000000").status_code == 422
    rows("UPDATE sign_in_failure SET failures = 10, failed_at = now() WHERE subject LIKE 'code/%%'")

    assert visit.types_code(code_of(telephone)).status_code == 429


def test_another_site_cannot_sign_somebody_in(client: httpx.Client, keeper: Keeper, rows: Rows) -> None:
    keeper.adds_with_password("osei")
    form = {"login": "osei", "password": PASSWORD}

    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
        assert client.post("/worklist/sign-in", data=form, headers=headers).status_code == 403
    assert rows("SELECT * FROM session") == []


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/worklist\\@evil.example", "javascript:alert(1)",
     "/worklist/../../evil", "/fhir/Patient", "/worklist/sign-out", "", "/worklist\r\nSet-Cookie: x=y", "/worklistx"],
)  # fmt: skip
def test_after_signing_in_nobody_is_sent_elsewhere(wanted: str) -> None:
    path = way_back(wanted)

    assert path == "/worklist" or path.startswith("/worklist/")
    assert not set(path) & set("\\\r\n ")


def test_the_way_back_is_kept_through_the_sign_in(visit: Visit, keeper: Keeper) -> None:
    keeper.adds_with_password("osei")
    visit.client.get("/worklist")

    visit.signs_in("osei", PASSWORD, next="/worklist/account%3Fdone=others")
    assert visit.at == "/worklist/account"
    assert visit.page.request.url.query == b"done=others"
    assert way_back("/submission/0199a0b0?x=1") == "/submission/0199a0b0?x=1"
    evil = visit.client.get("/worklist/sign-in?next=https://evil.example/", headers=OURS)
    assert evil.headers["Location"] == "/worklist"


def test_password_managers_and_screen_readers_know_the_fields(visit: Visit) -> None:
    text = visit.opens("/worklist/sign-in").text

    assert 'autocomplete="username"' in text
    assert 'autocomplete="current-password"' in text
    assert 'for="password"' in text
    assert "onpaste" not in text


def test_where_nobody_has_an_account_the_page_says_what_to_do(visit: Visit, keeper: Keeper) -> None:
    assert "Nobody has an account yet" in visit.opens("/worklist/sign-in").text

    keeper.adds("osei")
    assert "Nobody has an account yet" not in visit.opens("/worklist/sign-in").text


def test_steps_cannot_be_skipped(visit: Visit, keeper: Keeper) -> None:
    keeper.adds_with_second_factor("osei")
    visit.signs_in("osei", PASSWORD)

    for path in ("/worklist/sign-in/password", "/worklist/sign-in/second-factor", "/worklist/sign-in/qr.svg"):
        assert visit.client.get(path, headers=OURS).status_code == 404
    for path in ("password", "second-factor"):
        form = {"password": "another fine password", "again": "another fine password", "code": "1"}
        assert visit.sends(f"/worklist/sign-in/{path}", **form).status_code in (403, 404)
        visit.opens("/worklist/sign-in/code")
    assert visit.client.get("/worklist/account", headers=OURS).status_code == 303


def test_a_password_that_everybody_tries_is_refused_and_no_rule_asks_for_signs() -> None:
    known = ("short one", "passwordpassword", "Password1234!", "123456789012", "abcdefghijklm", "aaaaaaaaaaaaa")
    near = ("qwertyuiop[]", "Sural-Sural-2026", "osei-osei-osei", "hospital2026!", "987654321098", "Ama-1234567890")
    for weak in known + near:
        assert password.fault_of(weak, login="osei", name="Ama Osei") is not None, weak
    for good in (PASSWORD, "correct donkey battery", "ünter den linden im mai", "k2h9-xw4q-pm7z"):
        assert password.fault_of(good, login="osei", name="Ama Osei") is None, good
    assert password.fault_of("x y " * 65) is not None
    assert password.fault_of("tea for two " * 6) is None


def test_the_same_password_is_right_however_the_keyboard_composed_it() -> None:
    kept = password.hash_password("schöne grüne wiesen")

    assert password.is_right(kept, "scho\u0308ne gru\u0308ne wiesen")
    assert not password.is_right(kept, "schone grune wiesen")
    assert not password.is_right(None, "schöne grüne wiesen")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_a_hash_of_weaker_parameters_is_made_anew_at_the_next_sign_in(visit: Visit, keeper: Keeper, rows: Rows) -> None:
    keeper.adds_with_password("osei")
    rows("UPDATE account SET password_hash = %s", PasswordHasher(1, 8192, 1).hash(PASSWORD))

    visit.signs_in("osei", PASSWORD)

    [row] = rows("SELECT password_hash FROM account")
    assert row["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_nobody_waits_for_a_hash_longer_than_the_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password, "PATIENCE_S", 0.01)
    monkeypatch.setattr(password, "_HASHING", threading.BoundedSemaphore(1))
    password._HASHING.acquire()

    with pytest.raises(password.Busy):
        password.is_right(None, "x")


def test_a_sign_in_of_an_administrator_shows_no_worklist(visit: Visit, keeper: Keeper) -> None:
    keeper.adds_with_password("keeper", Role.ADMINISTRATOR)

    answer = visit.signs_in("keeper", PASSWORD)

    assert answer.status_code == 403
    assert 'href="/worklist/accounts"' in answer.text
    assert 'href="/worklist/handover"' not in answer.text
    assert proving.Step.CODE == "code"

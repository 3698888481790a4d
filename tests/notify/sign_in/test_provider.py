"""Sign-in by the organisation: a real OpenID Connect provider, and all that could be slipped in on the way."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from services.notify.app import create_app
from services.notify.settings import NotifySettings
from services.notify.sign_in import discovery, oidc
from services.notify.sign_in.discovery import DISCOVERED_S, FAILED_S, Discovery, NotDiscovered
from services.notify.sign_in.oidc import Provider, ProviderFailed
from services.notify.sign_in.provider import Round, parse_roles
from shared.outbound import Answer, Outbound, OutboundFailed
from tests.access.keyring import rsa_key, signed
from tests.notify.conftest import Service
from tests.notify.neighbours import MailServer, Triage, an_assessment
from tests.notify.sign_in.identity_provider import CLIENT, SECRET, IdentityProvider, a_provider, without_signature
from tests.notify.sign_in.visits import OURS, PASSWORD, Keeper, Visit
from tests.serving import client_of, served
from tests.waiting import eventually

Rows = Callable[..., list[dict[str, Any]]]
DID_NOT_WORK = "The sign-in with your organisation did not work"


@pytest.fixture(params=["RS256", "ES256"])
def provider(request: pytest.FixtureRequest) -> Iterator[IdentityProvider]:
    with a_provider(algorithm=request.param) as running:
        yield running


@pytest.fixture
def rs256() -> Iterator[IdentityProvider]:
    with a_provider() as running:
        yield running


@contextmanager
def a_visit(asking: NotifySettings, provider: IdentityProvider, **given: Any) -> Iterator[Visit]:
    """A browser at a Sural that trusts this provider."""
    values = {
        "oidc_issuer": provider.url,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": None if provider.public else SecretStr(SECRET),
        "oidc_roles": '{"doctors": "clinician", "heads": "lead"}',
        **given,
    }
    with client_of(create_app(asking.model_copy(update=values))) as client:
        yield Visit(client)


def goes(visit: Visit, *, next: str = "/worklist") -> str:
    """To the provider, who signs the person in; the address that the browser is sent back to."""
    there = visit.client.get(f"/worklist/sign-in/oidc?next={next}", headers=OURS)
    assert there.status_code == 303, there.text
    return httpx.get(there.headers["Location"], trust_env=False).headers["Location"]


def returns(visit: Visit, address: str) -> httpx.Response:
    parts = urlsplit(address)
    return visit.opens(f"{parts.path}?{parts.query}")


def test_the_organisation_signs_somebody_in_whose_account_is_made_at_once(
    asking: NotifySettings, provider: IdentityProvider, rows: Rows
) -> None:
    with a_visit(asking, provider) as visit:
        assert "Sign in with your organisation" in visit.opens("/worklist/sign-in").text
        returns(visit, goes(visit, next="/worklist/account"))

        assert visit.at == "/worklist/account"
        assert "Dr Osei" in visit.page.text
        assert "with your organisation" in visit.page.text
        assert "Present password" not in visit.page.text
    [account] = rows("SELECT * FROM account")
    assert (account["issuer"], account["subject"]) == (provider.url, "248289761001")
    assert (account["login"], account["password_hash"], account["roles"]) == (None, None, ["clinician"])
    there, form = provider.asked
    assert there["redirect_uri"] == form["redirect_uri"] == "http://127.0.0.1:8123/worklist/sign-in/back"
    assert len({there["state"], there["nonce"], there["code_challenge"], form["code_verifier"]}) == 4
    recorded = [row["word"] for row in rows("SELECT word FROM audit_event ORDER BY number")]
    assert recorded == ["account-added", "signed-in"]


def test_the_same_person_has_the_same_account_with_the_roles_of_now(
    asking: NotifySettings, rs256: IdentityProvider, rows: Rows
) -> None:
    with a_visit(asking, rs256) as visit, httpx.Client(base_url=visit.client.base_url, trust_env=False) as other:
        elsewhere = Visit(other)
        returns(elsewhere, goes(elsewhere))
        rs256.person |= {"roles": ["heads", "unheard-of"], "name": "Prof Osei"}
        returns(visit, goes(visit))

        [account] = rows("SELECT * FROM account")
        assert (account["name"], account["roles"]) == ("Prof Osei", ["lead"])
        assert elsewhere.opens("/worklist").request.url.path == "/worklist/sign-in"


@pytest.mark.parametrize("roles", [[], ["unheard-of"], None, "clinician", {"doctors": 1}], ids=str)
def test_who_has_no_role_here_is_not_let_in(
    asking: NotifySettings, rs256: IdentityProvider, rows: Rows, roles: object
) -> None:
    rs256.person["roles"] = roles
    with a_visit(asking, rs256) as visit:
        answer = returns(visit, goes(visit))

    assert "gives you no role here" in answer.text
    assert rows("SELECT * FROM account") == rows("SELECT * FROM session") == []


def test_roles_may_stand_deep_in_the_token(asking: NotifySettings, rs256: IdentityProvider, rows: Rows) -> None:
    rs256.person = {"sub": "7", "realm_access": {"roles": ["doctors", "heads"]}, "employee": "osei"}
    given = {"oidc_roles_claim": "realm_access.roles", "oidc_person_claim": "employee"}
    with a_visit(asking, rs256, **given) as visit:
        returns(visit, goes(visit))

    [account] = rows("SELECT * FROM account")
    assert (account["name"], account["person"], account["roles"]) == ("7", "osei", ["clinician", "lead"])


def test_a_disabled_account_stays_out_whatever_the_organisation_says(
    asking: NotifySettings, rs256: IdentityProvider, rows: Rows
) -> None:
    with a_visit(asking, rs256) as visit:
        returns(visit, goes(visit))
        rows("UPDATE account SET disabled_at = now()")
        answer = returns(visit, goes(visit))

    assert "Your account here is disabled" in answer.text
    assert visit.at == "/worklist/sign-in/back"


def test_a_public_client_shows_itself_by_pkce_alone(asking: NotifySettings, rows: Rows) -> None:
    with a_provider(public=True) as provider, a_visit(asking, provider) as visit:
        returns(visit, goes(visit))
        assert visit.at == "/worklist"


NOW = int(time.time())


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"aud": "another-client"},
        {"aud": None},
        {"aud": [CLIENT, "another-client"]},
        {"aud": [CLIENT, "another-client"], "azp": "another-client"},
        {"azp": "another-client"},
        {"iss": "https://evil.example"},
        {"exp": NOW - 3600},
        {"exp": None},
        {"iat": None},
        {"iat": NOW + 3600},
        {"exp": NOW + 90 * 24 * 3600},
        {"sub": None},
        {"sub": ""},
    ],
    ids=lambda claims: " and ".join(f"another {name}" if claims[name] else f"no {name}" for name in claims),
)
def test_an_id_token_that_does_not_say_what_it_must_signs_nobody_in(
    asking: NotifySettings, rs256: IdentityProvider, rows: Rows, claims: dict[str, Any]
) -> None:
    rs256.claims = claims
    with a_visit(asking, rs256) as visit:
        answer = returns(visit, goes(visit))

    assert answer.status_code == 422
    assert DID_NOT_WORK in answer.text
    assert rows("SELECT * FROM session") == rows("SELECT * FROM account") == []
    assert [row["word"] for row in rows("SELECT word FROM audit_event")] == ["sign-in-failed"]


def test_an_id_token_for_two_audiences_that_was_issued_to_us_is_good(
    asking: NotifySettings, rs256: IdentityProvider
) -> None:
    rs256.claims = {"aud": [CLIENT, "another-client"], "azp": CLIENT}
    with a_visit(asking, rs256) as visit:
        returns(visit, goes(visit))
        assert visit.at == "/worklist"


STRANGER = rsa_key()


@pytest.mark.parametrize(
    "forged",
    [
        without_signature,
        lambda token: token[:-8] + "AAAAAAAA",
        lambda token: ".".join((*token.split(".")[:2], "")),
        lambda token: resigned(token, {"alg": "RS256", "kid": "k1"}, STRANGER),
        lambda token: resigned(token, {"alg": "HS256", "kid": "k1"}, b"a-secret-of-the-provider"),
        lambda token: resigned(token, {"alg": "RS512", "kid": "k1"}, STRANGER),
        lambda token: "no token",
    ],
    ids=["alg-none", "changed", "unsigned", "another-key", "hmac", "rs512", "nothing"],
)
def test_an_id_token_that_the_provider_did_not_sign_signs_nobody_in(
    asking: NotifySettings, rs256: IdentityProvider, rows: Rows, forged: Callable[[str], str]
) -> None:
    rs256.answers = forged
    with a_visit(asking, rs256) as visit:
        answer = returns(visit, goes(visit))

    assert DID_NOT_WORK in answer.text
    assert rows("SELECT * FROM session") == []


def resigned(token: str, header: dict[str, str], key: Any) -> str:
    """The same claims under another signature."""
    claims = token.split(".")[1]
    return signed(header, base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)).decode(), key)


def test_an_answer_with_another_state_signs_nobody_in(
    asking: NotifySettings, rs256: IdentityProvider, rows: Rows
) -> None:
    with a_visit(asking, rs256) as visit:
        for state in ("invented", ""):
            query = parse_qs(urlsplit(goes(visit)).query) | {"state": [state]}
            answer = visit.opens("/worklist/sign-in/back?" + urlencode(query, doseq=True))
            assert DID_NOT_WORK in answer.text
    assert rows("SELECT * FROM session") == []
    assert not any("code_verifier" in asked for asked in rs256.asked), "the code was not spent on it"


def test_an_answer_works_once_and_in_the_browser_that_asked_only(
    asking: NotifySettings, rs256: IdentityProvider, rows: Rows
) -> None:
    with a_visit(asking, rs256) as visit, httpx.Client(base_url=visit.client.base_url, trust_env=False) as other:
        address = goes(visit)
        assert DID_NOT_WORK in returns(Visit(other), address).text
        ticket = visit.client.cookies["sural-round"]
        returns(visit, address)
        assert visit.at == "/worklist"
        assert "sural-round" not in visit.client.cookies

        visit.client.cookies.clear()
        visit.client.cookies.set("sural-round", ticket, domain="127.0.0.1", path="/")
        assert DID_NOT_WORK in returns(visit, address).text
    assert rows("SELECT * FROM sign_in_round") == []


def test_a_code_of_another_round_is_refused_by_the_provider(
    asking: NotifySettings, rs256: IdentityProvider, rows: Rows
) -> None:
    with a_visit(asking, rs256) as visit, httpx.Client(base_url=visit.client.base_url, trust_env=False) as other:
        theirs = parse_qs(urlsplit(goes(Visit(other))).query)["code"]
        own = parse_qs(urlsplit(goes(visit)).query)
        answer = visit.opens("/worklist/sign-in/back?" + urlencode(own | {"code": theirs}, doseq=True))

    assert DID_NOT_WORK in answer.text
    assert rows("SELECT * FROM session") == []


def test_a_round_that_took_too_long_is_over(asking: NotifySettings, rs256: IdentityProvider, rows: Rows) -> None:
    with a_visit(asking, rs256) as visit:
        address = goes(visit)
        rows("UPDATE sign_in_round SET begun_at = begun_at - interval '11 minutes'")
        assert DID_NOT_WORK in returns(visit, address).text


def test_an_answer_that_names_another_issuer_is_refused(
    asking: NotifySettings, rs256: IdentityProvider, rows: Rows
) -> None:
    with a_visit(asking, rs256) as visit:
        answer = returns(visit, goes(visit) + "&iss=https://evil.example")

    assert DID_NOT_WORK in answer.text
    assert rows("SELECT * FROM session") == []


def test_a_provider_that_refuses_somebody_is_said_so(asking: NotifySettings, rs256: IdentityProvider) -> None:
    with a_visit(asking, rs256) as visit:
        state = parse_qs(urlsplit(goes(visit)).query)["state"][0]
        answer = visit.opens(f"/worklist/sign-in/back?error=access_denied&state={state}")

    assert "Your organisation did not sign you in" in answer.text


def test_a_provider_that_is_away_is_said_so(asking: NotifySettings, rs256: IdentityProvider, keeper: Keeper) -> None:
    keeper.adds_with_password("osei")
    with a_visit(asking, rs256, oidc_issuer="http://127.0.0.1:9") as visit:
        assert "does not answer now" in visit.opens("/worklist/sign-in/oidc").text
        visit.signs_in("osei", PASSWORD)
        assert visit.at == "/worklist", "who has a password signs in meanwhile"


@contextmanager
def a_provider_that_hangs() -> Iterator[tuple[str, list[socket.socket]]]:
    """Takes every connection and answers nothing: its address, and the connections."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listening:

        def take() -> None:
            with suppress(OSError):
                while True:
                    held.append(listening.accept()[0])

        threading.Thread(target=take, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", held
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for one in held:
                one.close()


def test_a_provider_that_hangs_keeps_nobody_from_the_link_of_an_alert(
    asking: NotifySettings, service: Service, triage: Triage, mail: MailServer
) -> None:
    service.hears(triage.publish(an_assessment()))
    service.sends()
    [link] = re.findall(r"/a/[A-Za-z0-9_-]+", str(mail.mails[0].get_payload()))
    answers: list[str] = []
    with a_provider_that_hangs() as (issuer, held):
        values = {"oidc_issuer": issuer, "oidc_client_id": CLIENT, "oidc_roles": '{"doctors": "clinician"}'}
        with served(create_app(asking.model_copy(update=values))) as site:

            def click() -> None:
                answers.append(httpx.get(f"{site}/worklist/sign-in/oidc", timeout=60, trust_env=False).text)

            clicks = [threading.Thread(target=click) for _ in range(60)]
            for one in clicks:
                one.start()
            eventually(lambda: len(answers) >= len(clicks) - 1)
            shown = httpx.get(f"{site}{link}", timeout=60, trust_env=False)
            asked = len(held)
            held[0].close()
            for one in clicks:
                one.join()

    assert shown.status_code == 200
    assert asked == 1, "one asks for all"
    assert all("does not answer now" in answer for answer in answers)


CONFIGURATION = {
    "issuer": "https://id.example",
    "authorization_endpoint": "https://id.example/authorize",
    "token_endpoint": "https://id.example/token",
    "jwks_uri": "https://id.example/keys",
    "end_session_endpoint": "https://id.example/logout",
}


@dataclass
class Away:
    """A provider with a clock beside it, which may be away, or hang until `go`."""

    error: Exception | None = None
    hangs: bool = False
    asked: int = 0
    clock: float = 1000.0
    go: threading.Event = field(default_factory=threading.Event)

    def get(self, _url: str) -> Answer:
        self.asked += 1
        if self.hangs:
            assert self.go.wait(30)
        if self.error:
            raise self.error
        return Answer(200, {}, json.dumps(CONFIGURATION).encode())

    def ask(self, _url: str, _headers: object, _body: bytes) -> Answer:
        self.asked += 1
        assert self.go.wait(30)
        raise OutboundFailed("timeout")

    def discovery(self) -> Discovery:
        return Discovery("https://id.example", self.get, lambda: self.clock)


def test_what_a_provider_said_last_holds_while_it_is_away() -> None:
    away = Away()
    found = away.discovery()
    assert found.found() == CONFIGURATION

    away.clock += DISCOVERED_S
    away.error = OutboundFailed("timeout")
    assert [found.found() for _ in range(20)] == [CONFIGURATION] * 20
    assert away.asked == 2, "a failure is remembered"

    away.clock += 10 * DISCOVERED_S
    assert found.found() == CONFIGURATION


def test_a_provider_that_does_not_answer_is_asked_again_after_some_seconds() -> None:
    away = Away(error=OutboundFailed("timeout"))
    found = away.discovery()

    for _ in range(20):
        with pytest.raises(NotDiscovered, match="timeout"):
            found.found()
    assert away.asked == 1

    away.clock += FAILED_S
    away.error = None
    assert found.found() == CONFIGURATION


def test_who_comes_while_one_asks_a_provider_takes_what_is_known_or_waits_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(discovery, "PATIENCE_S", 0.01)
    away = Away(hangs=True)
    found, answers = away.discovery(), list[object]()

    def ask() -> None:
        try:
            answers.append(found.found())
        except NotDiscovered:
            answers.append("away")

    def several() -> list[threading.Thread]:
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        return threads

    first = several()
    eventually(lambda: answers == ["away"] * 7)
    away.go.set()
    for thread in first:
        thread.join()
    assert answers[7:] == [CONFIGURATION]

    away.clock += DISCOVERED_S
    away.go.clear()
    monkeypatch.setattr(discovery, "PATIENCE_S", 30.0)
    second = several()
    eventually(lambda: answers[8:] == [CONFIGURATION] * 7)
    away.go.set()
    for thread in second:
        thread.join()
    assert (answers[15:], away.asked) == ([CONFIGURATION], 2)


def test_a_provider_that_takes_no_code_holds_up_a_few_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "PATIENCE_S", 0.01)
    away, answers = Away(), list[str]()
    provider = Provider(
        issuer="https://id.example",
        client_id=CLIENT,
        client_secret=SECRET,
        scope="openid",
        redirect_uri="https://sural.example/worklist/sign-in/back",
        roles={},
        roles_claim="roles",
        person_claim="",
        outbound=cast(Outbound, away),
    )

    def come_back() -> None:
        begun = Round.new("/worklist")
        try:
            provider.who(begun, f"state={begun.state}&code=x")
        except ProviderFailed as failed:
            answers.append(failed.sentence)

    threads = [threading.Thread(target=come_back) for _ in range(12)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(answers) == 12 - oidc.AT_ONCE)
    assert all("does not answer now" in sentence for sentence in answers)
    away.go.set()
    for thread in threads:
        thread.join()
    assert away.asked == 1 + oidc.AT_ONCE


def test_a_host_that_nobody_allowed_is_not_asked(asking: NotifySettings, rs256: IdentityProvider, rows: Rows) -> None:
    rs256.token_host = "localhost"
    with a_visit(asking, rs256) as visit:
        assert DID_NOT_WORK in returns(visit, goes(visit)).text
        assert len(rs256.asked) == 1, "the form with the code was not sent there"
    with a_visit(asking, rs256, outbound_hosts="localhost") as visit:
        returns(visit, goes(visit))
        assert visit.at == "/worklist"


def test_signing_out_offers_to_sign_out_there_too(asking: NotifySettings, rs256: IdentityProvider) -> None:
    with a_visit(asking, rs256) as visit:
        returns(visit, goes(visit, next="/worklist/account"))
        answer = visit.sends("/worklist/sign-out")

    assert f'href="{rs256.url}/logout?client_id={CLIENT}' in answer.text


def test_a_session_ends_before_the_provider_is_asked_for_its_way_out(
    asking: NotifySettings, rs256: IdentityProvider, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_then: list[int] = []

    def way_out(_provider: Provider, _back: str) -> None:
        open_then.append(len(rows("SELECT id FROM session")))

    monkeypatch.setattr(Provider, "way_out", way_out)
    with a_visit(asking, rs256) as visit:
        returns(visit, goes(visit, next="/worklist/account"))
        visit.sends("/worklist/sign-out")

    assert open_then == [0]


def test_the_way_back_from_the_provider_is_ours_only(asking: NotifySettings, rs256: IdentityProvider) -> None:
    with a_visit(asking, rs256) as visit:
        returns(visit, goes(visit, next="https://evil.example/"))
        assert visit.at == "/worklist"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"SURAL_OIDC_ISSUER": "ftp://x"}, "SURAL_OIDC_ISSUER must be"),
        ({"SURAL_OIDC_ISSUER": "http://id.example"}, "SURAL_OIDC_CLIENT_ID"),
        ({"SURAL_OIDC_ISSUER": "https://id.example", "SURAL_OIDC_CLIENT_ID": "x"}, "SURAL_OIDC_ROLES"),
        ({"SURAL_OIDC_ISSUER": "https://id.example", "SURAL_OIDC_CLIENT_ID": "x", "SURAL_OIDC_ROLES": '{"a": "root"}'},
         "clinician, lead, administrator, auditor"),
        ({"SURAL_ACCOUNT_KEY": "short"}, "SURAL_ACCOUNT_KEY"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused_at_the_start(given: dict[str, str], sentence: str) -> None:
    base = {"SURAL_MODE": "sandbox", "SURAL_NOTIFY_DATABASE_URL": "postgresql://x"}
    with pytest.raises((ValidationError, ValueError), match=sentence):
        NotifySettings.load(base | given)


def test_the_mapping_of_roles_is_read_strictly() -> None:
    assert parse_roles('{"a": "lead"}') == {"a": "lead"}
    for text in ("[]", "nonsense", '{"a": ["lead"]}', '{"a": "LEAD"}'):
        with pytest.raises(ValueError):
            parse_roles(text)

"""Making, changing and leaving a Subscription: what is offered, what is refused with words, and who sees what."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.notify.app import create_app
from services.notify.catch_up import catch_up
from services.notify.settings import NotifySettings
from services.notify.subscriptions.document import EXT_CHANNEL, EXT_CONTENT, EXT_HEARTBEAT, EXT_MAX_COUNT
from services.notify.subscriptions.register import MOST_PER_CLIENT
from services.notify.subscriptions.send import send_due
from shared.fhir.codes import SID_CLIENT
from shared.fhir.r4 import validate_with_fhir_resources
from shared.fhir.structure import check_structure
from shared.ids import DEFAULT_TENANT
from shared.outbound import Outbound
from tests.access.keyring import ec_key, jwks, public_jwk, signed
from tests.notify.channels.certificates import certify
from tests.notify.neighbours import Triage, an_assessment
from tests.notify.subscriptions.conftest import ALERTS, ASSESSMENTS, FHIR, Desk, a_subscription
from tests.notify.subscriptions.subscriber import Subscriber, a_subscriber
from tests.serving import client_of

URL = "https://sural.clinic.example"
KEY = ec_key()


def test_a_subscription_is_created_with_location_version_and_what_it_will_be(
    desk: Desk, subscriber: Subscriber
) -> None:
    answer = desk.post(a_subscription(subscriber.url, id="mine", error="?", status="active"))

    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Location"].endswith(f"/fhir/Subscription/{made['id']}/_history/1")
    assert made["status"] == "requested"
    assert made["id"] != "mine"
    assert "error" not in made
    assert check_structure(made, resource_type="Subscription") == []
    assert validate_with_fhir_resources(made) == []


def test_id_only_is_what_is_sent_when_nothing_is_said(desk: Desk, subscriber: Subscriber) -> None:
    subscription = a_subscription(subscriber.url)
    del subscription["channel"]["payload"], subscription["channel"]["_payload"]
    made = desk.post(subscription).json()

    assert made["channel"]["payload"] == "application/fhir+json"
    assert made["channel"]["_payload"]["extension"] == [{"url": EXT_CONTENT, "valueCode": "id-only"}]


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def changed(subscription: dict[str, Any]) -> None:
        *way, last = path.split(".")
        holder = subscription
        for step in way:
            holder = holder.setdefault(step, {})
        if value is None:
            holder.pop(last, None)
        else:
            holder[last] = value

    return changed


SECOND_HEADER_WITHOUT_VALUE = {
    "type": "rest-hook",
    "endpoint": "http://127.0.0.1/x",
    "header": ["A: b", None],
    "_header": [None, {"extension": [{"url": "urn:x", "valueString": "C: d"}]}],
}


def extended(url: str, **value: Any) -> dict[str, Any]:
    return {"extension": [{"url": url, **value}]}


@pytest.mark.parametrize(
    ("changed", "expression", "says"),
    [
        (change("criteria", "Task?status=requested"), "criteria", "SubscriptionTopic/alert and "),
        (change("criteria", "http://example.org/topic"), "criteria", "SubscriptionTopic/assessment"),
        (change("channel.type", "email"), "channel.type", "rest-hook"),
        (change("channel.type", "websocket"), "channel.type", "rest-hook"),
        (change("channel._type", extended(EXT_CHANNEL, valueCoding={"code": "zulip"})), "channel.type", "rest-hook"),
        (change("channel.endpoint", None), "channel.endpoint", "address"),
        (change("channel.endpoint", "ftp://127.0.0.1/x"), "channel.endpoint", "https://"),
        (change("channel.endpoint", "http://user:word@127.0.0.1/x"), "channel.endpoint", "password"),
        (change("channel.payload", "application/fhir+xml"), "channel.payload", "application/fhir+json"),
        (change("channel._payload", extended(EXT_CONTENT, valueCode="all")), "channel.payload", "id-only"),
        (change("channel._payload", extended(EXT_CONTENT, valueString="empty")), "channel.payload", "valueCode"),
        (change("channel._payload", extended(EXT_CONTENT, valueCode="full-resource")), "channel.endpoint", "https://"),
        (change("channel.extension", [{"url": EXT_HEARTBEAT, "valueString": "9"}]), "channel", "valueUnsignedInt"),
        (change("channel.extension", [{"url": EXT_MAX_COUNT, "valuePositiveInt": 1}] * 2), "channel", "once"),
        (change("channel.header", ["no header"]), "channel.header[0]", "Name: value"),
        (change("channel.header", ["A: b", "Host: internal"]), "channel.header[1]", "ours to set"),
        (change("channel.header", ["A: b\r\nHost: internal"]), "channel.header[0]", "one line"),
        (change("channel.header", ["Authorization: ***"]), "channel.header[0]", "no value yet"),
        (change("status", "error"), "status", "requested"),
        (change("status", "off"), "status", "requested"),
        (change("end", "2020-01-01T00:00:00Z"), "end", "passed"),
        (change("end", "9999-12-31T23:59:59-12:00"), "end", "9999"),
        (change("end", "2030-06-30T23:59:60Z"), "end", "no time"),
        (change("channel", SECOND_HEADER_WITHOUT_VALUE), "channel.header[1]", "Name: value"),
    ],
)
def test_what_is_not_offered_is_refused_with_what_is(
    desk: Desk, subscriber: Subscriber, changed: Callable[[dict[str, Any]], None], expression: str, says: str
) -> None:
    subscription = a_subscription(subscriber.url)
    changed(subscription)
    answer = desk.post(subscription)

    assert answer.status_code == 422, answer.text
    [issue] = answer.json()["issue"]
    assert issue["expression"] == [f"Subscription.{expression}"]
    assert says in issue["details"]["text"]
    assert desk.rows("SELECT FROM subscription") == []


@pytest.mark.parametrize(
    "criterion",
    [
        "Task?owner=x",
        "Task?patient:missing=true",
        "RiskAssessment?patient=1",
        "patient=1",
        "Task?patient=",
        "Task?x",
        "Task?priority=high",
        "Task?status=open",
        "Task?status=received,open",
    ],
)
def test_a_filter_that_the_topic_does_not_have_is_refused(desk: Desk, subscriber: Subscriber, criterion: str) -> None:
    answer = desk.post(a_subscription(subscriber.url, filters=(criterion,)))

    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Subscription.criteria"]


def test_a_tag_that_no_assessment_has_is_refused_as_it_would_be_silent_for_ever(
    desk: Desk, subscriber: Subscriber
) -> None:
    wrong = a_subscription(subscriber.url, topic=ASSESSMENTS, filters=("RiskAssessment?_tag=same-day",))
    right = a_subscription(subscriber.url, topic=ASSESSMENTS, filters=("RiskAssessment?_tag=same_day,emergency",))
    refused = desk.post(wrong)

    assert refused.status_code == 422
    assert "same_day" in refused.json()["issue"][0]["details"]["text"]
    assert desk.post(right).status_code == 201


def test_all_that_is_wrong_is_told_at_once(desk: Desk, subscriber: Subscriber) -> None:
    subscription = a_subscription(subscriber.url, filters=("Task?x=1",))
    subscription["channel"] |= {"type": "sms", "payload": "text/plain"}

    assert len(desk.post(subscription).json()["issue"]) == 3


@pytest.mark.parametrize("body", [b"{}", b'{"resourceType": "Subscription"}', b"[]", b'{"resourceType": "Task"}'])
def test_what_is_no_r4_subscription_is_refused_by_the_gate(desk: Desk, body: bytes) -> None:
    answer = desk.http.post("/fhir/Subscription", content=body, headers=FHIR)

    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_values_of_headers_are_never_given_back_and_stay_where_they_are(desk: Desk, subscriber: Subscriber) -> None:
    identifier = desk.active(subscriber, channel={"header": ["Authorization: Bearer canary-secret"]})
    subscription = desk.read(identifier)
    assert subscription["channel"]["header"] == ["Authorization: ***"]
    everything = [
        desk.http.get(f"/fhir/Subscription{path}").text
        for path in (f"/{identifier}", f"/{identifier}/_history", "", "/_history", f"/{identifier}/$status")
    ]
    assert "canary-secret" not in "".join(everything)

    assert desk.put(subscription | {"reason": "Another reason"}).status_code == 200
    desk.tells()
    assert [each.headers["authorization"] for each in subscriber.handshakes] == ["Bearer canary-secret"] * 2


def test_a_secret_does_not_follow_to_another_host(desk: Desk, subscriber: Subscriber) -> None:
    identifier = desk.active(subscriber, channel={"header": ["Authorization: Bearer canary-secret"]})
    with a_subscriber() as other:
        subscription = desk.read(identifier)
        subscription["channel"]["endpoint"] = other.url
        answer = desk.put(subscription)

        assert answer.status_code == 422
        assert "has no value yet" in answer.text
        desk.tells()
        assert other.received == []


def test_an_update_needs_the_version_that_it_replaces(desk: Desk, subscriber: Subscriber) -> None:
    identifier = desk.active(subscriber)
    subscription = desk.read(identifier)

    assert desk.http.put(f"/fhir/Subscription/{identifier}", json=subscription, headers=FHIR).status_code == 400
    assert desk.put(subscription, version="1").status_code == 412
    assert desk.put(subscription | {"criteria": ASSESSMENTS}).status_code == 422
    assert desk.put(subscription | {"status": "error"}).status_code == 422
    assert desk.put(subscription).headers["ETag"] == 'W/"3"'


def test_a_subscription_that_is_off_is_told_nothing_until_it_asks(
    desk: Desk, triage: Triage, subscriber: Subscriber
) -> None:
    identifier = desk.active(subscriber)
    off = desk.put(desk.read(identifier) | {"status": "off"})
    assert (off.status_code, off.json()["status"]) == (200, "off")
    desk.service.hears(triage.publish(an_assessment()))
    desk.tells()
    assert subscriber.told == []

    desk.put(off.json() | {"status": "requested"})
    desk.service.hears(triage.publish(an_assessment(patient="Patient/8")))
    desk.tells()
    assert (len(subscriber.handshakes), subscriber.numbers) == (2, [1])


def test_a_deleted_subscription_is_told_nothing_and_found_no_more(
    desk: Desk, triage: Triage, subscriber: Subscriber
) -> None:
    identifier = desk.active(subscriber)
    for _ in range(2):
        assert desk.http.delete(f"/fhir/Subscription/{identifier}").status_code == 204
    desk.service.hears(triage.publish(an_assessment()))
    desk.tells()

    assert subscriber.told == []
    for path in ("", "/$status", "/$events", "/_history"):
        assert desk.http.get(f"/fhir/Subscription/{identifier}{path}").status_code == 410
    assert "entry" not in desk.http.get("/fhir/Subscription", params={"status": "active"}).json()
    assert desk.http.get(f"/fhir/Subscription/{identifier}/_history/1").status_code == 200
    assert [(row["interaction"], row["ref_version"]) for row in audited(desk) if row["interaction"] == "delete"] == [
        ("delete", 2)
    ]


def test_a_client_has_no_more_than_its_share(desk: Desk, subscriber: Subscriber) -> None:
    desk.subscribe(subscriber.url)
    desk.rows(
        "INSERT INTO subscription SELECT (jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid()))).* "
        "FROM subscription AS s, generate_series(2, %s)",
        MOST_PER_CLIENT,
    )

    assert desk.post(a_subscription(subscriber.url)).status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        "status=active",
        "type=rest-hook",
        f"criteria={ALERTS}",
        "payload=application/fhir%2Bjson",
        "url=ENDPOINT",
        "_id=ID",
        "contact=phone|1",
    ],
)
def test_subscriptions_are_found_by_the_parameters_of_r4(desk: Desk, subscriber: Subscriber, query: str) -> None:
    contact = [{"system": "phone", "value": "1"}]
    identifier = desk.active(subscriber, contact=contact)
    query = query.replace("ENDPOINT", subscriber.url).replace("ID", identifier)
    found = desk.http.get(f"/fhir/Subscription?{query}", headers={"Prefer": "handling=strict"}).raise_for_status()

    assert [entry["resource"]["id"] for entry in found.json()["entry"]] == [identifier]


def test_every_version_stays_readable(desk: Desk, subscriber: Subscriber) -> None:
    identifier = desk.active(subscriber)
    history = desk.http.get(f"/fhir/Subscription/{identifier}/_history").json()

    assert [entry["resource"]["status"] for entry in history["entry"]] == ["active", "requested"]
    assert desk.http.get(f"/fhir/Subscription/{identifier}/_history/1").json()["status"] == "requested"


def test_what_is_not_offered_of_operations_is_not_there(desk: Desk, subscriber: Subscriber) -> None:
    identifier = desk.active(subscriber)
    for place in ("", f"/{identifier}"):
        assert desk.http.post(f"/fhir/Subscription{place}/$get-ws-binding-token").status_code in (404, 405)


def test_numbers_and_marks_that_nobody_expects_are_kept_or_refused_but_never_a_fault(
    desk: Desk, subscriber: Subscriber
) -> None:
    subscription = a_subscription(subscriber.url, filters=("Task?patient=1",))
    subscription["extension"] = [{"url": "urn:x", "valueDecimal": 36.60}]
    subscription["meta"] |= {"profile": [None, "urn:p"], "_profile": [{"extension": SOME}, None]}
    subscription["channel"] |= {"header": ["A: b"], "_header": [{"extension": SOME}]}
    body = json.dumps(subscription).replace("36.6", "36.60")
    made = desk.http.post("/fhir/Subscription", content=body, headers=FHIR)

    assert made.status_code == 201, made.text
    assert '"valueDecimal":36.60' in made.text
    assert check_structure(made.json(), resource_type="Subscription") == []
    identifier = made.json()["id"]
    for path in ("$status?id=%00", f"{identifier}/$events?content=%00", "$status?status=%00,active", "?url=%00"):
        assert desk.http.get(f"/fhir/Subscription/{path}".replace("/?", "?")).status_code < 500
    assert desk.post(a_subscription(subscriber.url, contained=[{"resourceType": "Basic", "id": "x"}])).status_code < 500


SOME = [{"url": "urn:x", "valueString": "x"}]


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}], ids=str)
def test_a_page_of_another_site_cannot_subscribe_or_leave(
    desk: Desk, subscriber: Subscriber, headers: dict[str, str]
) -> None:
    identifier = desk.active(subscriber)
    sent = desk.http.post("/fhir/Subscription", json=a_subscription(subscriber.url), headers=FHIR | headers)

    assert sent.status_code == 403
    assert desk.http.delete(f"/fhir/Subscription/{identifier}", headers=headers).status_code == 403
    assert desk.read(identifier)["status"] == "active"


def audited(desk: Desk) -> list[dict[str, Any]]:
    return desk.rows(
        "SELECT interaction, word, agent, ref_version FROM audit_event WHERE type = 'Subscription' ORDER BY number"
    )


def test_who_subscribed_and_what_was_sent_is_in_the_audit(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    desk.subscribe(subscriber.url)
    desk.tells()
    desk.service.hears(triage.publish(an_assessment()))
    subscriber.status = 500
    desk.tells()
    desk.rows("UPDATE subscription SET due_at = now()")
    subscriber.status = 200
    desk.tells()

    assert [(row["interaction"], row["word"], row["agent"]) for row in audited(desk)] == [
        ("create", None, "sandbox"),
        ("update", None, "service/notify"),
        ("update", "delivery_failed", "service/notify"),
        ("update", "delivered", "service/notify"),
    ]


# Production: clients with tokens of their own.


@dataclass
class Client:
    """A registered client with what it was granted."""

    http: httpx.Client
    token: str

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = FHIR | {"Authorization": f"Bearer {self.token}"} | more.pop("headers", {})
        return self.http.request(method, f"/fhir/{path}", headers=headers, **more)

    def subscribe(self, endpoint: str, **more: Any) -> httpx.Response:
        return self.ask("POST", "Subscription", json=a_subscription(endpoint, **more))


Clients = Callable[..., Client]
OUTBOUND = Outbound(sandbox=True)
EVERY_SUBSCRIPTION = "system/Subscription.cruds"
PUBLIC = "https://93.184.215.14/fhir-events"
"""A public address; nothing is sent in these tests, so it is not asked."""


@pytest.fixture
def clients(settings: NotifySettings) -> Iterator[Clients]:
    production = NotifySettings.model_validate(
        settings.model_dump()
        | {
            "mode": "production",
            "public_url": URL,
            "allowed_hosts": "127.0.0.1",
            "webhook_url": None,
            "service_token": "a secret of at least thirty-two characters",
            "token_keys": jwks(public_jwk(KEY)),
        }
    )
    with client_of(create_app(production)) as http:

        def made(name: str, scopes: str = EVERY_SUBSCRIPTION, tenant: object = DEFAULT_TENANT) -> Client:
            claims = {"iss": URL, "aud": f"{URL}/fhir", "sub": name, "tenant": str(tenant), "scope": scopes}
            claims |= {"exp": int(time.time()) + 300, "iat": int(time.time()), "jti": str(uuid4())}
            return Client(http, signed({"alg": "ES384", "kid": "k1", "typ": "at+jwt"}, claims, KEY))

        yield made


def test_a_client_meets_its_own_subscriptions_only(clients: Clients) -> None:
    mine, other, foreign = clients("ehr-1"), clients("ehr-2"), clients("ehr-1", tenant=uuid4())
    identifier = mine.subscribe(PUBLIC).json()["id"]
    other.subscribe(PUBLIC)

    for stranger in (other, foreign):
        for path in ("", "/_history", "/_history/1", "/$status", "/$events"):
            answer = stranger.ask("GET", f"Subscription/{identifier}{path}")
            assert answer.status_code == 404, path
            never = stranger.ask("GET", f"Subscription/{uuid4()}{path}")
            assert len(answer.text) == len(never.text)
        changed = mine.ask("GET", f"Subscription/{identifier}").json() | {"status": "off"}
        headers = {"If-Match": 'W/"1"'}
        assert stranger.ask("PUT", f"Subscription/{identifier}", json=changed, headers=headers).status_code == 404
        assert stranger.ask("DELETE", f"Subscription/{identifier}").status_code == 404
        for path in (f"Subscription?_id={identifier}", "Subscription", "Subscription/_history", "Subscription/$status"):
            assert identifier not in stranger.ask("GET", path).text.replace(path, "")
    assert [entry["resource"]["id"] for entry in mine.ask("GET", "Subscription").json()["entry"]] == [identifier]
    assert identifier in mine.ask("GET", "Subscription/$status").text
    [version] = mine.ask("GET", "Subscription/_history").json()["entry"]
    assert version["resource"]["id"] == identifier


def test_pages_of_a_search_stay_with_their_owner(clients: Clients) -> None:
    mine, other = clients("ehr,1|$"), clients("ehr-2")
    wanted = {mine.subscribe(PUBLIC).json()["id"] for _ in range(3) if other.subscribe(PUBLIC)}
    found, url = set(), "Subscription?_count=2"
    while url:
        bundle = mine.ask("GET", url).json()
        found |= {entry["resource"]["id"] for entry in bundle["entry"]}
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        url = following[0].partition("/fhir/")[2] if following else ""

    assert found == wanted


def test_an_administrator_of_the_tenant_sees_and_ends_those_of_all(clients: Clients) -> None:
    identifier = clients("ehr-1").subscribe(PUBLIC).json()["id"]
    administrator = clients("operator", "system/*.cruds")

    assert administrator.ask("GET", f"Subscription/{identifier}").json()["meta"]["tag"] == [
        {"system": SID_CLIENT, "code": "ehr-1"}
    ]
    assert identifier in administrator.ask("GET", "Subscription").text
    assert identifier in administrator.ask("GET", "Subscription/_history").text
    changed = administrator.ask("GET", f"Subscription/{identifier}").json() | {"status": "off"}
    answer = administrator.ask("PUT", f"Subscription/{identifier}", json=changed, headers={"If-Match": 'W/"1"'})
    assert (answer.json()["status"], answer.json()["meta"]["tag"][0]["code"]) == ("off", "ehr-1")
    assert clients("ehr-2", "system/*.rs").ask("GET", f"Subscription/{identifier}").status_code == 404


def test_without_the_scope_nothing_can_be_asked(clients: Clients) -> None:
    reader, nobody = clients("ehr-1", "system/Subscription.rs"), clients("ehr-1", "system/Task.cruds")

    assert reader.subscribe(PUBLIC).status_code == 403
    assert reader.ask("GET", "Subscription/$status").status_code == 200
    for method, path in (
        ("GET", "Subscription"),
        ("GET", "Subscription/$status"),
        ("DELETE", f"Subscription/{uuid4()}"),
    ):
        assert nobody.ask(method, path).status_code == 403


def test_resources_in_full_are_for_those_who_may_read_them(clients: Clients) -> None:
    reader, other = clients("ehr-1", f"{EVERY_SUBSCRIPTION} system/Task.r"), clients("ehr-2")

    assert other.subscribe(PUBLIC, content="full-resource").status_code == 403
    # A filter says whether somebody is an emergency as surely as reading does.
    assert other.subscribe(PUBLIC, filters=("Task?patient=Patient/7391&priority=stat",)).status_code == 403
    assert other.subscribe(PUBLIC).status_code == 201
    identifier = reader.subscribe(PUBLIC, content="full-resource").json()["id"]
    assert reader.subscribe(PUBLIC, topic=ASSESSMENTS, content="full-resource").status_code == 403
    narrowed = clients("ehr-1")
    assert narrowed.ask("GET", f"Subscription/{identifier}/$events").status_code == 403
    assert narrowed.ask("GET", f"Subscription/{identifier}/$events?content=id-only").status_code == 200


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://93.184.215.14/x",
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://10.1.2.3/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://[fd00::1]/x",
        "https://0/x",
    ],
)
def test_an_endpoint_that_only_we_can_reach_is_refused(clients: Clients, endpoint: str) -> None:
    answer = clients("ehr-1").subscribe(endpoint)

    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Subscription.channel.endpoint"]


def test_an_address_is_checked_at_each_sending_too(desk: Desk, triage: Triage, subscriber: Subscriber) -> None:
    identifier = desk.active(subscriber)
    desk.service.hears(triage.publish(an_assessment()))
    desk.distributes()
    strict = replace(desk.service.notify.sender.outbound, sandbox=False)

    send_due(replace(desk.service.notify.sender, outbound=strict), failing=False)

    assert subscriber.told == []
    assert desk.row(identifier)["answer"] == "address-refused"


def test_resources_in_full_are_those_of_the_event_and_their_reading_is_recorded(
    desk: Desk, triage: Triage, tmp_path: Path
) -> None:
    certified = certify(tmp_path)
    trusting = ssl.create_default_context(cadata=certified.authority)
    sender = replace(desk.service.notify.sender, outbound=replace(OUTBOUND, ssl_context=trusting))
    with a_subscriber(certified.server) as subscriber:
        for topic in (ALERTS, ASSESSMENTS):
            desk.subscribe(subscriber.url, topic=topic, content="full-resource")
        send_due(sender, failing=False)
        assessment = an_assessment()
        desk.service.hears(triage.publish(assessment))
        catch_up(desk.service.notify.pool, desk.service.notify.triage)
        desk.service.sends()
        desk.distributes()
        send_due(sender, failing=False)

        shown = [(entry["resource"], entry["response"]["etag"]) for told in subscriber.told for entry in told.entries]
    assert [etag for _, etag in shown] == [f'W/"{resource["meta"]["versionId"]}"' for resource, _ in shown]
    assert {resource["resourceType"] for resource, _ in shown} == {"Task", "RiskAssessment"}
    assert [resource for resource, _ in shown if resource["resourceType"] == "RiskAssessment"] == [assessment]
    read = desk.rows("SELECT type, agent, patient FROM audit_event WHERE interaction = 'read'")
    assert {(row["type"], row["agent"], row["patient"]) for row in read} == {
        ("Task", "sandbox", "Patient/7391"),
        ("RiskAssessment", "sandbox", "Patient/7391"),
    }


def test_in_full_waits_while_triage_is_away_and_costs_the_subscriber_nothing(
    desk: Desk, triage: Triage, tmp_path: Path
) -> None:
    certified = certify(tmp_path)
    trusting = ssl.create_default_context(cadata=certified.authority)
    sender = replace(desk.service.notify.sender, outbound=replace(OUTBOUND, ssl_context=trusting))
    with a_subscriber(certified.server) as subscriber:
        identifier = desk.subscribe(subscriber.url, topic=ASSESSMENTS, content="full-resource")
        send_due(sender, failing=False)
        triage.publish(an_assessment())
        catch_up(desk.service.notify.pool, desk.service.notify.triage)
        desk.distributes()
        triage.status = 503
        send_due(sender, failing=False)
        row = desk.row(identifier)
        assert (row["attempts"], row["answer"], row["lease_token"]) == (0, None, None)

        triage.status = 200
        desk.later(identifier, "2 seconds")
        send_due(sender, failing=False)
        assert subscriber.numbers == [1]

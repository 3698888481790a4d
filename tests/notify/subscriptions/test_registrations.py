"""Who is told needs a registration that holds: intake and notify in production, on real sockets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import httpx
import pytest

from deploy.local.folder import free_port
from services.intake.app import create_app as create_intake
from services.notify.app import create_app as create_notify
from services.notify.context import Notify, open_notify
from services.notify.settings import NotifySettings
from services.notify.subscriptions.distribute import distribute
from services.notify.subscriptions.registrations import COUNTS_S, EMPTY, LAST_KNOWN_S
from services.notify.subscriptions.send import end_unregistered, send_due
from shared.access.service_token import ServiceToken
from shared.fhir.client import NeighbourUnavailable
from shared.ids import DEFAULT_TENANT
from shared.outbound import Outbound
from tests.conftest import Database
from tests.intake.test_token import KEYS, PUBLIC, Intake
from tests.intake.test_token import settings as intake_settings
from tests.notify.conftest import Service
from tests.notify.neighbours import Triage, an_assessment
from tests.notify.subscriptions.conftest import FHIR, a_subscription
from tests.notify.subscriptions.subscriber import Subscriber, a_subscriber
from tests.serving import client_of, served
from tests.tenants.conftest import OTHER_TENANT, SERVICE_TOKEN

SCOPES = "system/Subscription.cruds system/Task.r"
ISSUER = "https://id.clinic.example"
Rows = Callable[..., list[dict[str, Any]]]


@dataclass
class Line:
    """Intake, which may be away, and notify, which tells subscribers. Time is the test's own."""

    database: Database
    notify: Notify
    client: httpx.Client
    rows: Rows
    intake_port: int
    intake: ExitStack
    now: float = 0.0

    def __post_init__(self) -> None:
        assert self.notify.registrations is not None
        self.notify.registrations.now = lambda: self.now

    def looks_at(self, tenant: UUID) -> None:
        """The rows that the test reads and changes from now on are of this tenant."""
        self.rows("SELECT set_config('sural.tenant', %s, false)", str(tenant))

    def intake_comes(self) -> None:
        self.intake.enter_context(served(self.intake_app(), port=self.intake_port))

    def intake_app(self) -> Any:
        return create_intake(intake_settings(self.database, allowed_hosts="127.0.0.1"))

    @contextmanager
    def door(self) -> Iterator[Intake]:
        """Intake as a client meets it."""
        with httpx.Client(base_url=f"http://127.0.0.1:{self.intake_port}", timeout=20, trust_env=False) as http:
            http.headers["Host"] = "sural.clinic.example"
            yield Intake(http, self.database)

    def register(self, scopes: str = SCOPES, tenant: UUID = DEFAULT_TENANT) -> str:
        with self.door() as door:
            return door.register(scopes=scopes, tenant=tenant)

    def disable(self, client: str) -> None:
        with self.door() as door:
            door.disable(client)
        self.now += COUNTS_S

    def narrow(self, client: str, scopes: str) -> None:
        self.rows("UPDATE intake.client SET scopes = %s WHERE id = %s", scopes, client)
        self.now += COUNTS_S

    def subscribes(self, client: str, subscriber: Subscriber, scopes: str = SCOPES, **more: Any) -> str:
        """With a token of its own, at an address of the internet that leads to our subscriber."""
        with self.door() as door:
            token = door.token(client, scopes)
        answer = self.client.post(
            "/fhir/Subscription",
            json=a_subscription("https://93.184.215.14/fhir-events", **more),
            headers=FHIR | {"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 201, answer.text
        identifier = str(answer.json()["id"])
        self.rows("UPDATE subscription SET endpoint = %s WHERE id = %s", subscriber.url, identifier)
        return identifier

    def tells(self) -> None:
        distribute(self.notify.pool, self.notify.triage)
        for failing in (False, True):
            send_due(self.notify.sender, failing=failing)

    def alerts(self, triage: Triage, patient: str = "Patient/7391") -> None:
        Service(self.notify, self.rows).hears(triage.publish(an_assessment(patient=patient)))

    def state(self, identifier: str) -> tuple[str, str | None]:
        """What the Subscription says: its status and its error."""
        [row] = self.rows(
            "SELECT convert_from(body, 'UTF8')::jsonb AS body FROM resource "
            "WHERE type = 'Subscription' AND id = %s AND is_current",
            identifier,
        )
        [held] = self.rows("SELECT state FROM subscription WHERE id = %s", identifier)
        assert held["state"] == row["body"]["status"]
        return row["body"]["status"], row["body"].get("error")


@pytest.fixture
def line(database: Database, settings: NotifySettings, rows: Rows) -> Iterator[Line]:
    with ExitStack() as stack:
        intake, port = stack.enter_context(ExitStack()), free_port()
        intake_app = create_intake(intake_settings(database, allowed_hosts="127.0.0.1"))
        intake_url = intake.enter_context(served(intake_app, port=port))
        production = NotifySettings.model_validate(
            settings.model_dump()
            | {
                "mode": "production",
                "public_url": PUBLIC,
                "allowed_hosts": "127.0.0.1",
                "webhook_url": None,
                "service_token": SERVICE_TOKEN,
                "token_keys": json.dumps(KEYS.jwks),
                "intake_url": intake_url,
                "trusted_issuers": json.dumps(
                    [
                        {
                            "issuer": ISSUER,
                            "jwks_uri": f"{ISSUER}/keys",
                            "audience": f"{PUBLIC}/fhir",
                            "tenant": str(DEFAULT_TENANT),
                        }
                    ]
                ),
            }
        )
        client = stack.enter_context(client_of(create_notify(production)))
        notify = open_notify(production, size=12, name="test")
        stack.callback(notify.close)
        notify = replace(notify, outbound=Outbound(sandbox=True))
        yield Line(database, notify, client, rows, port, intake)


@pytest.fixture
def other() -> Iterator[Subscriber]:
    with a_subscriber() as running:
        yield running


def test_a_client_that_was_withdrawn_hears_nothing_more_and_others_still_do(
    line: Line, triage: Triage, subscriber: Subscriber, other: Subscriber
) -> None:
    withdrawn, kept = line.register(), line.register()
    theirs, ours = line.subscribes(withdrawn, subscriber), line.subscribes(kept, other)
    line.tells()
    line.alerts(triage)
    line.tells()
    assert subscriber.numbers == other.numbers == [1]

    line.disable(withdrawn)
    line.alerts(triage, "Patient/8")
    line.tells()

    assert (subscriber.numbers, other.numbers) == ([1], [1, 2])
    status, error = line.state(theirs)
    assert status == "off"
    assert "The registration of its client was withdrawn" in str(error)
    assert line.state(ours) == ("active", None)


def test_it_is_off_within_seconds_although_there_is_nothing_to_tell_and_that_is_in_the_audit(
    line: Line, subscriber: Subscriber, other: Subscriber
) -> None:
    withdrawn, kept = line.register(), line.register()
    theirs, ours = line.subscribes(withdrawn, subscriber), line.subscribes(kept, other)
    failed = line.subscribes(withdrawn, subscriber)
    line.tells()
    line.rows("UPDATE subscription SET state = 'error' WHERE id = %s", failed)

    line.disable(withdrawn)
    end_unregistered(line.notify.sender)

    assert [line.state(each)[0] for each in (theirs, failed, ours)] == ["off", "off", "active"]
    audit = line.rows("SELECT agent, word FROM audit_event WHERE ref_id = %s ORDER BY number", theirs)
    assert [(row["agent"], row["word"]) for row in audit][-2:] == [
        ("service/notify", "delivery_given_up"),
        ("service/notify", None),
    ]


def test_what_was_on_its_way_when_the_registration_ended_is_not_sent_again(
    line: Line, triage: Triage, subscriber: Subscriber
) -> None:
    client, _another = line.register(), line.register()
    identifier = line.subscribes(client, subscriber)
    line.tells()
    subscriber.status = 503
    line.alerts(triage)
    line.tells()
    line.rows("UPDATE subscription SET due_at = now() WHERE id = %s", identifier)

    line.disable(client)
    subscriber.status = 200
    line.tells()

    assert (subscriber.numbers, line.state(identifier)[0]) == ([1], "off")


def test_asking_again_with_a_token_that_still_holds_ends_before_a_handshake(line: Line, subscriber: Subscriber) -> None:
    client, _another = line.register(), line.register()
    line.tells()
    identifier = line.subscribes(client, subscriber)
    line.disable(client)
    line.tells()

    assert (subscriber.received, line.state(identifier)[0]) == ([], "off")


@pytest.mark.parametrize(
    ("left", "missing"),
    [("system/Subscription.cruds", "system/Task.r"), ("system/Task.r", "system/Subscription.c")],
)
def test_a_registration_that_lost_what_the_subscription_needs_ends_it(
    line: Line, triage: Triage, subscriber: Subscriber, left: str, missing: str
) -> None:
    client = line.register()
    identifier = line.subscribes(client, subscriber, filters=("Task?priority=stat",))
    line.tells()
    assert line.state(identifier) == ("active", None)

    line.narrow(client, left)
    line.alerts(triage)
    line.tells()

    status, error = line.state(identifier)
    assert (status, subscriber.told) == ("off", [])
    assert missing in str(error)


def test_a_scope_that_a_subscription_does_not_need_may_go(line: Line, triage: Triage, subscriber: Subscriber) -> None:
    client = line.register()
    identifier = line.subscribes(client, subscriber)
    line.narrow(client, "system/Subscription.c")
    line.alerts(triage)
    line.tells()

    assert (line.state(identifier)[0], subscriber.numbers) == ("active", [1])


def test_who_registered_after_intake_was_last_asked_is_told_and_not_turned_off(
    line: Line, subscriber: Subscriber, other: Subscriber
) -> None:
    line.subscribes(line.register(), subscriber)
    line.tells()

    identifier = line.subscribes(line.register(), other)
    end_unregistered(line.notify.sender)
    line.tells()

    assert (line.state(identifier), len(other.received)) == (("active", None), 1)


def test_who_got_more_scopes_after_intake_was_last_asked_is_told_and_not_turned_off(
    line: Line, triage: Triage, subscriber: Subscriber, other: Subscriber
) -> None:
    client = line.register("system/Subscription.cruds")
    line.subscribes(client, subscriber, "system/Subscription.cruds")
    line.tells()

    line.rows("UPDATE intake.client SET scopes = %s WHERE id = %s", SCOPES, client)
    identifier = line.subscribes(client, other, filters=("Task?priority=stat",))
    end_unregistered(line.notify.sender)
    line.tells()
    line.alerts(triage)
    line.tells()

    assert (line.state(identifier), other.numbers) == (("active", None), [1])


@pytest.mark.parametrize("away_s", [0, COUNTS_S, LAST_KNOWN_S - 1])
def test_who_registered_shortly_before_intake_went_away_waits_until_it_answers(
    line: Line, subscriber: Subscriber, other: Subscriber, away_s: float
) -> None:
    line.subscribes(line.register(), subscriber)
    line.tells()
    identifier = line.subscribes(line.register(), other)
    line.intake.close()

    line.now += away_s
    line.tells()
    with pytest.raises(NeighbourUnavailable):
        end_unregistered(line.notify.sender)
    assert (line.state(identifier), other.received) == (("requested", None), [])

    line.intake_comes()
    line.now += COUNTS_S
    line.rows("UPDATE subscription SET due_at = now()")
    line.tells()
    assert (line.state(identifier), len(other.received)) == (("active", None), 1)


def test_an_intake_that_knows_nobody_ends_no_subscription_and_everybody_waits(
    line: Line, triage: Triage, subscriber: Subscriber, caplog: pytest.LogCaptureFixture
) -> None:
    client = line.register()
    identifier = line.subscribes(client, subscriber)
    line.tells()
    kept = line.rows("SELECT tenant FROM intake.client WHERE id = %s", client)[0]["tenant"]
    line.rows("UPDATE intake.client SET tenant = %s", OTHER_TENANT)

    line.now += COUNTS_S
    line.alerts(triage)
    for _ in range(3):
        line.tells()
        with pytest.raises(NeighbourUnavailable):
            end_unregistered(line.notify.sender)
        line.now += COUNTS_S
        line.rows("UPDATE subscription SET due_at = now()")
    [row] = line.rows("SELECT events, sent, attempts FROM subscription WHERE id = %s", identifier)
    assert (row, line.state(identifier)) == ({"events": 1, "sent": 0, "attempts": 0}, ("active", None))
    errors = [vars(entry) for entry in caplog.records if entry.levelname == "ERROR"]
    assert [(error["msg"], error["reference"]) for error in errors] == [(EMPTY, str(DEFAULT_TENANT))]
    assert "SURAL_INTAKE_URL" in EMPTY

    line.rows("UPDATE intake.client SET tenant = %s", kept)
    line.tells()
    assert (subscriber.numbers, line.state(identifier)) == ([1], ("active", None))


def test_the_last_client_of_a_tenant_hears_nothing_more_and_is_off_once_another_is_registered(
    line: Line, triage: Triage, subscriber: Subscriber
) -> None:
    client = line.register()
    identifier = line.subscribes(client, subscriber)
    line.tells()

    line.disable(client)
    line.alerts(triage)
    line.tells()
    assert (subscriber.numbers, line.state(identifier)) == ([], ("active", None))

    line.register()
    line.now += COUNTS_S
    end_unregistered(line.notify.sender)
    assert (subscriber.numbers, line.state(identifier)[0]) == ([], "off")


@pytest.mark.parametrize("stumbles", [DEFAULT_TENANT, OTHER_TENANT])
def test_one_tenant_over_which_notify_stumbles_keeps_no_other_from_being_ended(
    line: Line, subscriber: Subscriber, stumbles: UUID
) -> None:
    theirs = {}
    for tenant in (DEFAULT_TENANT, OTHER_TENANT):
        line.looks_at(tenant)
        withdrawn, _another = line.register(tenant=tenant), line.register(tenant=tenant)
        theirs[tenant] = line.subscribes(withdrawn, subscriber)
        line.disable(withdrawn)
    line.looks_at(stumbles)
    line.rows("UPDATE subscription SET topic = 'of another version' WHERE id = %s", theirs[stumbles])

    with pytest.raises(KeyError):
        end_unregistered(line.notify.sender)

    states = {}
    for tenant, identifier in theirs.items():
        line.looks_at(tenant)
        states[tenant] = line.state(identifier)[0]
    assert states == {tenant: "requested" if tenant == stumbles else "off" for tenant in theirs}


def test_while_intake_is_away_what_it_said_last_is_used_for_five_minutes_and_then_everybody_waits(
    line: Line, triage: Triage, subscriber: Subscriber
) -> None:
    identifier = line.subscribes(line.register(), subscriber)
    line.tells()
    line.intake.close()

    line.now += LAST_KNOWN_S - 1
    line.alerts(triage)
    line.tells()
    assert subscriber.numbers == [1]

    line.now += 1
    line.alerts(triage, "Patient/8")
    line.tells()
    with pytest.raises(NeighbourUnavailable):
        end_unregistered(line.notify.sender)
    [row] = line.rows("SELECT events, sent, attempts FROM subscription WHERE id = %s", identifier)
    assert (row, line.state(identifier)) == ({"events": 2, "sent": 1, "attempts": 0}, ("active", None))

    line.intake_comes()
    line.now += COUNTS_S
    line.rows("UPDATE subscription SET due_at = now()")
    line.tells()
    assert subscriber.numbers == [1, 2]


def test_an_alert_reaches_people_although_nobody_knows_whose_registration_holds(
    line: Line, triage: Triage, subscriber: Subscriber
) -> None:
    line.subscribes(line.register(), subscriber)
    line.intake.close()
    line.alerts(triage)
    assert Service(line.notify, line.rows).sends() == 1
    line.tells()

    assert subscriber.received == []


def test_a_registration_of_another_tenant_is_none(line: Line, subscriber: Subscriber) -> None:
    client, _another = line.register(), line.register()
    identifier = line.subscribes(client, subscriber)
    line.rows("UPDATE intake.client SET tenant = %s WHERE id = %s", OTHER_TENANT, client)
    line.tells()

    assert (subscriber.received, line.state(identifier)[0]) == ([], "off")


def test_a_client_of_another_issuer_is_told_while_that_issuer_is_trusted_for_the_tenant(
    line: Line, subscriber: Subscriber, other: Subscriber
) -> None:
    identifiers = [line.subscribes(line.register(), each) for each in (subscriber, other)]
    for identifier, issuer in zip(identifiers, (ISSUER, "https://former.example"), strict=True):
        line.rows("UPDATE subscription SET client = %s WHERE id = %s", f"{issuer}|ehr", identifier)
    line.tells()

    assert [line.state(identifier)[0] for identifier in identifiers] == ["active", "off"]
    assert (len(subscriber.received), other.received) == (1, [])


def test_registrations_are_shown_to_our_own_services_only(line: Line) -> None:
    client = line.register("system/*.cruds")
    ours = ServiceToken(SERVICE_TOKEN.encode(), "notify")
    with line.door() as door:

        def asked(authorization: str | None) -> httpx.Response:
            headers = {"Authorization": authorization} if authorization else {}
            return door.http.get("/fhir/$registrations", headers=headers)

        assert asked(None).status_code == 401
        assert asked(f"Bearer {door.token(client, 'system/*.cruds')}").status_code == 403
        assert "entry" not in asked(ours.authorization(OTHER_TENANT)).raise_for_status().json()
        [entry] = asked(ours.authorization(DEFAULT_TENANT)).raise_for_status().json()["entry"]
    assert entry["resource"]["id"] == client
    assert entry["resource"]["parameter"] == [{"name": "scope", "valueString": "system/*.cruds"}]

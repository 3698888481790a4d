"""An alert reaches the devices of a person, says nothing of the patient, and one dead device spoils nothing."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from services.notify.channels import Answer, DeliveryResult
from services.notify.channels.push import PushChannel, together
from services.notify.hear import RAISE_ROUTINE
from services.notify.push.store import Devices
from services.notify.push.vapid import Vapid, new_key
from services.notify.settings import NotifySettings
from shared.outbound import Outbound
from tests.notify.channels.messages import a_message
from tests.notify.channels.scripted import a_server_that, hangs
from tests.notify.conftest import Service
from tests.notify.neighbours import Triage, an_assessment
from tests.notify.push.conftest import CONTACT, PERSON, subscribe
from tests.notify.push.push_service import Browser, PushService, prove_sender
from tests.notify.test_deliver import CANARIES
from tests.waiting import eventually

Opened = Callable[[NotifySettings], AbstractContextManager[Service]]


def delivery(service: Service) -> tuple[str, str]:
    (row,) = service.rows("SELECT state, answer FROM delivery WHERE channel = 'push'")
    return row["state"], row["answer"]


def test_every_device_of_a_person_shows_the_alert_and_where_to_look(
    pushing: Service, triage: Triage, push_service: PushService
) -> None:
    phone, tablet, stranger = (push_service.browser(name) for name in ("phone", "tablet", "stranger"))
    for browser in (phone, tablet):
        subscribe(pushing, browser)
    subscribe(pushing, stranger, person="p-other")

    pushing.hears(triage.publish(an_assessment()))
    pushing.sends()

    alert = str(pushing.alert()["id"])
    assert delivery(pushing) == ("sent", "http-201")
    for browser in (phone, tablet):
        (shown,) = push_service.shown(browser)
        assert shown["title"] == f"Sural: emergency alert, one patient ({alert[-8:]})"
        assert shown["link"] == f"http://127.0.0.1:8123/worklist/alert/{alert}"
    assert push_service.bodies(stranger) == []
    assert pushing.task(alert)["status"] == "received"


@pytest.mark.requirement("REQ-15")
def test_neither_the_push_service_nor_the_device_learns_anything_of_the_patient(
    pushing: Service, triage: Triage, push_service: PushService
) -> None:
    browser = push_service.browser("phone")
    subscribe(pushing, browser)
    pushing.hears(triage.publish(an_assessment()))
    pushing.sends()

    (path, headers, body), (shown,) = push_service.requests[0], push_service.shown(browser)
    for canary in CANARIES:
        assert canary not in body
        assert canary not in json.dumps([path, headers, shown]).encode()
    assert b"emergency" not in body


def test_the_push_service_can_check_who_sends_and_whom_to_ask(
    settings: NotifySettings, pushing: Service, triage: Triage, push_service: PushService
) -> None:
    subscribe(pushing, push_service.browser("phone"))
    pushing.hears(triage.publish(an_assessment()))
    pushing.sends()

    headers = push_service.requests[0][1]
    claims, key = prove_sender(headers["authorization"])
    assert settings.vapid is not None
    assert key == settings.vapid.public
    assert (claims["aud"], claims["sub"]) == (push_service.url, CONTACT)
    assert time.time() < claims["exp"] <= time.time() + 24 * 3600
    assert (headers["content-encoding"], headers["urgency"], headers["ttl"]) == ("aes128gcm", "high", "3600")


def test_a_second_attempt_takes_the_place_of_the_first_on_the_device(
    pushing: Service, triage: Triage, push_service: PushService
) -> None:
    browser = push_service.browser("phone")
    push_service.statuses["/wpush/phone"] = 503
    subscribe(pushing, browser)
    pushing.hears(triage.publish(an_assessment("same_day")), kind=RAISE_ROUTINE)
    pushing.sends()
    assert delivery(pushing) == ("pending", "http-503")

    push_service.statuses.clear()
    pushing.everything_due()
    pushing.sends()

    topics = [headers["topic"] for _, headers, _ in push_service.requests]
    assert delivery(pushing) == ("sent", "http-201")
    assert len(topics) == 2
    assert len(set(topics)) == 1
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,32}", topics[0])


@pytest.mark.parametrize("status", [404, 410])
def test_a_device_that_is_gone_is_forgotten_and_the_delivery_refused(
    pushing: Service, triage: Triage, push_service: PushService, status: int
) -> None:
    push_service.statuses["/wpush/phone"] = status
    subscribe(pushing, push_service.browser("phone"))
    pushing.hears(triage.publish(an_assessment()))
    pushing.sends()

    assert delivery(pushing) == ("failed", f"http-{status}")
    assert pushing.rows("SELECT 1 FROM push_subscription") == []


def test_one_device_that_is_gone_leaves_the_others_told(
    pushing: Service, triage: Triage, push_service: PushService
) -> None:
    push_service.statuses["/wpush/old-phone"] = 410
    for name in ("old-phone", "phone"):
        subscribe(pushing, push_service.browser(name))
    pushing.hears(triage.publish(an_assessment()))
    pushing.sends()

    assert delivery(pushing) == ("sent", "http-201")
    (left,) = pushing.rows("SELECT endpoint FROM push_subscription")
    assert left["endpoint"].endswith("/wpush/phone")


def test_a_push_service_that_hangs_delays_no_other_device_of_the_person(
    pushing: Service, triage: Triage, push_service: PushService
) -> None:
    with a_server_that(hangs) as hanging, ThreadPoolExecutor(1) as threads:
        subscribe(pushing, Browser(f"http://127.0.0.1:{hanging.port}/wpush/stuck"))
        subscribe(pushing, push_service.browser("phone"))
        pushing.hears(triage.publish(an_assessment()))
        sending = threads.submit(pushing.sends)
        eventually(lambda: len(push_service.requests) == 1)
        assert not sending.done(), "the other one hangs still"
        hanging.ended.set()
        assert sending.result(timeout=30) == 1

    assert delivery(pushing) == ("sent", "http-201")
    assert len(push_service.requests) == 1


def test_a_person_without_a_device_is_a_refusal_so_that_others_are_told(pushing: Service, triage: Triage) -> None:
    pushing.hears(triage.publish(an_assessment()))
    pushing.sends()

    assert delivery(pushing) == ("failed", "no-device")


def test_the_address_of_a_device_stands_in_no_fhir_resource(
    pushing: Service, triage: Triage, push_service: PushService
) -> None:
    subscribe(pushing, push_service.browser("phone"))
    pushing.hears(triage.publish(an_assessment()))
    pushing.sends()

    (told,) = pushing.resources("Communication")
    assert told["recipient"][0]["identifier"]["value"] == f"push/{PERSON}"
    assert "wpush" not in json.dumps(told)


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.8", "::1"])
def test_outside_the_sandbox_a_push_service_must_be_on_the_public_network(
    pushing: Service, push_service: PushService, address: str
) -> None:
    subscribe(pushing, Browser("https://push.example/wpush/phone"))
    door = Outbound(resolve=lambda _host, _port: [address], total_s=2)
    channel = PushChannel(Devices(pushing.notify.pool), Vapid(new_key(), CONTACT), door, 2)

    result = channel.send(a_message(recipient=PERSON))

    assert result == DeliveryResult(Answer.REFUSED, "address-refused")
    assert push_service.requests == []


def test_a_person_has_five_devices_at_the_most_and_the_oldest_goes(pushing: Service, push_service: PushService) -> None:
    for number in range(7):
        subscribe(pushing, push_service.browser(f"device-{number}"))

    kept = pushing.rows("SELECT endpoint FROM push_subscription ORDER BY created_at")
    assert [row["endpoint"].rpartition("-")[2] for row in kept] == ["2", "3", "4", "5", "6"]


def test_a_browser_that_changes_hands_is_told_for_its_new_owner_only(
    pushing: Service, push_service: PushService
) -> None:
    browser = push_service.browser("shared-tablet")
    subscribe(pushing, browser)
    subscribe(pushing, browser, person="p-other")

    assert pushing.rows("SELECT person FROM push_subscription") == [{"person": "p-other"}]


def test_one_device_reached_counts_and_one_to_try_again_counts_more_than_refusals() -> None:
    sent, refused = DeliveryResult(Answer.SENT, "http-201"), DeliveryResult(Answer.REFUSED, "http-410")
    later = DeliveryResult(Answer.FAILED, "http-429", retry_after=timedelta(seconds=30))

    assert together([refused, later, sent]) == sent
    assert together([refused, later]) == later
    assert together([refused, refused]) == refused


@pytest.mark.parametrize(
    ("key", "contact", "wrong"),
    [
        ("nonsense", CONTACT, "SURAL_PUSH_KEY is no private key"),
        (new_key(), "alerts@clinic.example", "SURAL_PUSH_CONTACT must start with"),
    ],
)
def test_a_key_that_signs_nothing_or_a_contact_nobody_can_ask_is_refused_at_start(
    key: str, contact: str, wrong: str
) -> None:
    environment = {
        "SURAL_MODE": "sandbox",
        "SURAL_NOTIFY_DATABASE_URL": "postgresql://x@127.0.0.1/x",
        "SURAL_PUSH_KEY": key,
        "SURAL_PUSH_CONTACT": contact,
    }
    with pytest.raises(ValueError, match=wrong):
        NotifySettings.load(environment)


def test_without_a_contact_there_is_no_web_push(settings: NotifySettings, open_service: Opened) -> None:
    with open_service(settings.model_copy(update={"push_contact": ""})) as service:
        assert "push" not in service.notify.channels


def test_what_sends_shows_neither_key_nor_address(settings: NotifySettings, push_service: PushService) -> None:
    vapid = settings.vapid
    assert vapid is not None
    browser = push_service.browser("phone")

    assert "PRIVATE" not in repr(vapid) + repr(replace(vapid, contact="x"))
    assert "PRIVATE" not in repr(settings.model_copy(update={"push_key": SecretStr(vapid.key)}))
    assert "wpush" not in repr(pushed(browser))


def pushed(browser: Browser) -> object:
    from services.notify.push.device import read_device
    from shared.ids import uuid7

    form = {name: [value] for name, value in browser.form(name="My phone").items()}
    return read_device(form, id=uuid7(), person=PERSON, door=Outbound(sandbox=True))

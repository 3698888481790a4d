"""An operator sees, without an alert, whether a person can be reached: by a message that says it is a test."""

from __future__ import annotations

from email.header import decode_header, make_header

import orjson
import pytest

from services.notify import trial
from services.notify.settings import NotifySettings
from tests.notify.conftest import ON_CALL, Service
from tests.notify.neighbours import MailServer, Receiver
from tests.notify.on_call.clinic import STANDARD, Clinic
from tests.notify.on_call.conftest import clinic as clinic


def test_the_addresses_of_the_settings_get_a_message_that_says_it_is_a_test(
    service: Service, settings: NotifySettings, mail: MailServer, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trial.run(settings)

    assert "a test message, nobody needs help" in str(make_header(decode_header(mail.mails[0]["Subject"])))
    assert b"no alert stands behind it" in mail.raw[0]
    assert orjson.loads(receiver.requests[0][1])["type"] == "alert.test"
    said = capsys.readouterr().out
    assert f"ok   email {ON_CALL}: sent (smtp-250)" in said
    assert "ok   webhook default: sent (http-204)" in said
    assert service.rows("SELECT 1 FROM alert") + service.rows("SELECT 1 FROM delivery") == []


def test_a_person_of_the_on_call_document_is_reached_by_that_persons_contacts(
    clinic: Clinic, settings: NotifySettings, capsys: pytest.CaptureFixture[str]
) -> None:
    clinic.agrees_on(STANDARD)

    assert trial.run(settings, "second")

    assert clinic.told() == ["second"]
    assert "ok   email second@clinic.example" in capsys.readouterr().out


def test_what_does_not_arrive_is_a_failure_with_its_class(
    service: Service, settings: NotifySettings, mail: MailServer, capsys: pytest.CaptureFixture[str]
) -> None:
    mail.refusal = "550 no such user"

    assert not trial.run(settings)

    assert f"FAIL email {ON_CALL}: refused (smtp-550)" in capsys.readouterr().out


def test_somebody_whom_the_document_does_not_know_is_named_with_those_that_it_knows(
    clinic: Clinic, settings: NotifySettings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not trial.run(settings, "third")
    assert "There is no on-call document yet" in capsys.readouterr().out

    clinic.agrees_on(STANDARD)
    assert not trial.run(settings, "third")
    assert "It has: first, second, nurse, head." in capsys.readouterr().out

"""Settings that would let an alert go nowhere, or a secret go anywhere, are refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.notify.context import channels, plan, ways
from services.notify.escalation import Recipient
from services.notify.push.vapid import new_key
from services.notify.settings import NotifySettings

SANDBOX = {"SURAL_MODE": "sandbox", "SURAL_NOTIFY_DATABASE_URL": "postgresql://sural_notify@127.0.0.1/sural"}
REAL = {
    "SURAL_MODE": "production",
    "SURAL_SERVICE_TOKEN": "a secret of at least thirty-two characters",
    "SURAL_NOTIFY_DATABASE_URL": SANDBOX["SURAL_NOTIFY_DATABASE_URL"],
    "SURAL_PUBLIC_URL": "https://sural.clinic.example",
    "SURAL_ALERT_RECIPIENTS": "a@clinic.example, b@clinic.example,a@clinic.example",
    "SURAL_SMTP_URL": "smtps://user:p%40ss@mail.clinic.example",
}
HOOK = {"SURAL_WEBHOOK_URL": "https://hooks.clinic.example/x/token", "SURAL_WEBHOOK_SECRET": "whsec_c2VjcmV0"}


def test_each_recipient_is_told_once_and_a_webhook_is_told_by_name() -> None:
    told = plan(NotifySettings.load(REAL | HOOK)).recipients

    assert told == (
        Recipient("email", "a@clinic.example"),
        Recipient("email", "b@clinic.example"),
        Recipient("webhook", "default"),
    )


def test_contacts_can_be_on_what_is_set_up_and_on_nothing_else() -> None:
    more = {
        "SURAL_WEBHOOKS": '[{"id": "pager", "url": "https://p.example", "secrets": ["whsec_c2VjcmV0"]}]',
        "SURAL_PUSH_KEY": new_key(),
        "SURAL_PUSH_CONTACT": "mailto:a@clinic.example",
        "SURAL_APPRISE_TARGETS": '{"night-sms": "twilio://AC:token@12025550123/12025550199"}',
    }

    assert ways(NotifySettings.load(SANDBOX)) == set()
    assert ways(NotifySettings.load(REAL)) == {"email"}
    assert ways(NotifySettings.load(REAL | HOOK | more)) == {
        "email",
        "push",
        "webhook:default",
        "webhook:pager",
        "apprise:night-sms",
    }


def test_secrets_are_not_shown_by_what_holds_them() -> None:
    shown = repr(channels(NotifySettings.load(REAL | HOOK))) + repr(NotifySettings.load(REAL | HOOK))

    assert "p%40ss" not in shown
    assert "x/token" not in shown
    assert "thirty-two" not in shown
    assert "c2VjcmV0" not in shown


@pytest.mark.requirement("REQ-26")
@pytest.mark.parametrize(
    "missing", ["SURAL_ALERT_RECIPIENTS", "SURAL_SMTP_URL", "SURAL_PUBLIC_URL", "SURAL_SERVICE_TOKEN"]
)
def test_outside_the_sandbox_somebody_must_be_told_and_find_the_way(missing: str) -> None:
    with pytest.raises(ValidationError, match=missing):
        NotifySettings.load({name: value for name, value in REAL.items() if name != missing})


@pytest.mark.parametrize(
    "change",
    [
        {"SURAL_WEBHOOK_URL": "http://hooks.clinic.example/x"},
        {"SURAL_WEBHOOK_URL": "https://user:password@hooks.clinic.example/x"},
        {"SURAL_WEBHOOK_URL": "ftp://hooks.clinic.example/x"},
        {"SURAL_WEBHOOK_URL": "https:///x"},
        {"SURAL_WEBHOOK_SECRET": ""},
        {"SURAL_WEBHOOK_SECRET": "plain"},
        {"SURAL_SMTP_URL": "imap://mail.clinic.example"},
        {"SURAL_SMTP_URL": "smtp://user:password@mail.clinic.example"},
        {"SURAL_ALERT_RECIPIENTS": "nobody"},
        {"SURAL_ALERT_RECIPIENTS": "on-call@sural.example"},
        {"SURAL_SERVICE_TOKEN": "short"},
        {"SURAL_PUBLIC_URL": "http://sural.clinic.example"},
        {"SURAL_ALERT_RECIPIENTS": "a@b.example\nBcc: c@d.example"},
    ],
    ids=str,
)
def test_unsafe_addresses_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        NotifySettings.load(REAL | HOOK | change)


def test_the_sandbox_needs_no_recipient_and_may_post_to_loopback() -> None:
    settings = NotifySettings.load(SANDBOX | HOOK | {"SURAL_WEBHOOK_URL": "http://127.0.0.1:9/x"})

    assert settings.sandbox
    assert plan(NotifySettings.load(SANDBOX)).recipients == ()

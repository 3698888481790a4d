"""What the use cases of notify need from outside: database, neighbour, channels, plan. Made once per process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlsplit

from services.notify import store
from services.notify.channels import Channel, Message
from services.notify.channels.apprise import AppriseChannel
from services.notify.channels.email import EmailChannel
from services.notify.channels.push import PushChannel
from services.notify.channels.receivers import DEFAULT
from services.notify.channels.smtp import MailServer
from services.notify.channels.webhook import WebhookChannel
from services.notify.escalation import APPRISE, EMAIL, PUSH, WATCHDOG, WEBHOOK, Plan, Recipient
from services.notify.push.store import Devices
from services.notify.records import Alert, Delivery
from services.notify.settings import NotifySettings
from services.notify.subscriptions.registrations import Registrations, registrations_of
from services.notify.subscriptions.send import Sender
from services.notify.watchdog.channel import WatchdogChannel
from services.notify.write_back.ehr import Ehr, credentials_of
from shared.access.opening import outbound_of
from shared.access.service_token import signer
from shared.fhir.client import FhirClient
from shared.outbound import Outbound
from shared.postgres import Pool, open_pool


@dataclass(frozen=True, slots=True)
class Notify:
    """One process's view of the outside."""

    pool: Pool
    triage: FhirClient
    channels: Mapping[str, Channel]
    plan: Plan
    channel_timeout_s: float
    public_url: str
    sandbox: bool
    outbound: Outbound
    ehr: Ehr | None = None
    registrations: Registrations | None = None

    @property
    def sender(self) -> Sender:
        """What tells subscribers."""
        base = f"{self.public_url.rstrip('/')}/fhir"
        return Sender(self.pool, self.triage, self.outbound, base, self.registrations)

    def message(self, alert: Alert, delivery: Delivery, token: str | None = None) -> Message:
        """What this delivery says. `token`: of its one-time link."""
        return Message(
            delivery_id=delivery.id,
            alert_id=alert.id,
            urgency=delivery.urgency,
            step=delivery.step,
            opened_at=alert.opened_at,
            recipient=delivery.recipient,
            public_url=self.public_url,
            sandbox=self.sandbox,
            notice=delivery.notice,
            still_open=alert.state.absorbs,
            refused_client=alert.refused_client,
            refused_at=alert.refused_at,
            token=token,
            tenant_id=alert.tenant_id,
        )

    def close(self) -> None:
        """Give the connections back."""
        for channel in self.channels.values():
            if isinstance(channel, EmailChannel | WebhookChannel):
                channel.close()
        if self.registrations is not None:
            self.registrations.close()
        self.triage.close()
        self.pool.close()


def open_notify(settings: NotifySettings, *, size: int, name: str) -> Notify:
    """Everything that the settings name. The caller closes it."""
    pool = open_pool(settings.notify_database_url.get_secret_value(), schema=store.SCHEMA, size=size, name=name)
    return Notify(
        pool=pool,
        triage=FhirClient(settings.triage_url, token=signer(settings.service_token, "notify")),
        channels={**channels(settings, pool), WATCHDOG.channel: WatchdogChannel(pool)},
        plan=plan(settings),
        channel_timeout_s=settings.channel_timeout_s,
        public_url=settings.public_url,
        sandbox=settings.sandbox,
        outbound=outbound_of(settings),
        ehr=ehr(settings),
        registrations=registrations_of(settings),
    )


def ehr(settings: NotifySettings) -> Ehr | None:
    """The EHR's server, to which its operator named the way and which may be in a private network; None without one."""
    if not settings.ehr_url:
        return None
    host = (urlsplit(settings.ehr_url).hostname or "").removesuffix(".")
    door = Outbound(frozenset({host}), sandbox=settings.sandbox, total_s=settings.channel_timeout_s)
    credentials = credentials_of(settings.ehr_token, settings.ehr_client_id, settings.ehr_client_key)
    return Ehr(settings.ehr_url.rstrip("/"), credentials, door, f"{settings.public_url.rstrip('/')}/fhir")


def channels(settings: NotifySettings, pool: Pool | None = None) -> dict[str, Channel]:
    """The channels that are configured; Web Push only with a pool, as the devices are in the database."""
    configured: dict[str, Channel] = {}
    timeout_s = settings.channel_timeout_s
    if settings.smtp_url is not None:
        url = settings.smtp_url.get_secret_value()
        name = settings.smtp_from.rpartition("@")[2]
        configured[EMAIL] = EmailChannel(MailServer(url, name, timeout_s, settings.smtp_ca), settings.smtp_from)
    if receivers := settings.receivers:
        configured[WEBHOOK] = WebhookChannel(receivers, timeout_s, settings.sandbox)
    if pool is not None and (vapid := settings.vapid) is not None:
        door = replace(outbound_of(settings), total_s=timeout_s)
        configured[PUSH] = PushChannel(Devices(pool), vapid, door, timeout_s)
    if targets := settings.targets:
        configured[APPRISE] = AppriseChannel(targets, timeout_s)
    return configured


def ways(settings: NotifySettings) -> frozenset[str]:
    """What contacts of the on-call document can be reached by here: channels, and each receiver and Apprise target."""
    named: dict[str, Iterable[str]] = {WEBHOOK: settings.receivers, APPRISE: settings.targets}
    push = {PUSH} if settings.vapid is not None else set()
    others = frozenset(channels(settings)) - named.keys() | push
    return others | {f"{channel}:{name}" for channel, names in named.items() for name in names}


def plan(settings: NotifySettings) -> Plan:
    """Who is told and when again. Other receivers than `default` are told where the on-call document says so."""
    recipients = [Recipient(EMAIL, address) for address in settings.recipients if settings.smtp_url is not None]
    if DEFAULT in settings.receivers:
        recipients.append(Recipient(WEBHOOK, DEFAULT))
    return Plan(
        recipients=tuple(recipients),
        repeat_emergency=timedelta(seconds=settings.repeat_emergency_s),
        repeat_same_day=timedelta(seconds=settings.repeat_same_day_s),
        budget=settings.messages_per_hour,
    )

"""Settings of notify."""

from __future__ import annotations

import ssl
from typing import Self
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from pydantic import Field, SecretStr, model_validator

from services.notify.channels.apprise import parse_targets
from services.notify.channels.receivers import (
    DEFAULT,
    Receiver,
    check_receiver,
    check_receivers,
    parse_receivers,
    split_secrets,
)
from services.notify.push.vapid import Vapid, check_vapid
from services.notify.sign_in.provider import parse_roles
from services.notify.write_back.ehr import credentials_of
from shared.ids import DEFAULT_TENANT
from shared.settings import SHORTEST_SECRET, ServiceSettings, is_loopback

NOBODY = "@sural.example"
"""Where the sandbox sends its mail: an address that can belong to nobody."""
SMTP_SCHEMES = ("smtp", "smtps", "smtp+starttls")


class NotifySettings(ServiceSettings):
    """SURAL_* variables that notify reads. Times are in seconds."""

    notify_database_url: SecretStr
    """Login of the role `sural_notify`; its schema is `notify`."""
    triage_url: str = "http://127.0.0.1:8000"
    """Where RiskAssessments are read."""
    intake_url: str = "http://127.0.0.1:8000"
    """Where the pages read what patients answered, the watchdog sends its synthetic emergencies, and subscribers'
    registrations are looked up."""
    patient_link: str = ""
    """Address of a patient's record in the EHR, with {value} where the identifier belongs. Empty: no link."""
    smtp_url: SecretStr | None = None
    """smtp://user:password@host:port, smtps://… (TLS from the start) or smtp+starttls://… Unset: no e-mail."""
    smtp_ca: str = ""
    """Certificates of authorities (PEM) that the mail server's certificate must come from. Empty: the usual ones."""
    smtp_from: str = "sural@localhost"
    alert_recipients: str = ""
    """E-mail addresses that get every alert, separated by commas."""
    webhook_url: SecretStr | None = None
    """Where alerts are posted. https, or http in the sandbox. May carry a token in its path, so it is a secret."""
    webhook_secret: SecretStr | None = None
    """Standard Webhooks secret (`whsec_…`) that signs what is posted; two, with a blank between, in a change."""
    webhooks: SecretStr = SecretStr("")
    """Further receivers with names, as JSON; see `channels.receivers`."""
    push_key: SecretStr = SecretStr("")
    """Private key on P-256 (PEM) that signs what goes to push services. Empty: no Web Push."""
    push_contact: str = ""
    """mailto: or https: address that a push service may ask when something is wrong. Empty: no Web Push."""
    apprise_targets: SecretStr = SecretStr("")
    """SMS and chat services with a name each, as JSON; see `channels.apprise`."""
    repeat_emergency_s: float = Field(default=300, gt=0)
    repeat_same_day_s: float = Field(default=3600, gt=0)
    """An alert that nobody acknowledged is told again after this time."""
    channel_timeout_s: float = Field(default=10, gt=0, le=60)
    """Longest time that one attempt to send may take."""
    messages_per_hour: int = Field(default=20, ge=1)
    """Most messages that are no emergencies that one person gets in an hour; the next are suppressed, and recorded."""
    digest_at: str = Field(default="07:00", pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9])?$")
    """When the daily digest goes out, on the clock of each person's place (UTC without a document). Empty: never."""
    watchdog_every_s: float = Field(default=60, ge=0)
    """A synthetic emergency goes through the whole line this often; 0: never. Needs SURAL_SERVICE_TOKEN."""
    watchdog_url: SecretStr | None = None
    """Asked (GET) after each full round, so that somebody outside notices silence."""
    ehr_url: str = ""
    """FHIR base of the EHR's server on which Tasks and Communications are kept too. Empty: none."""
    ehr_token: SecretStr | None = None
    """Access token for it that does not end. Unset: asked for with the two settings below, or none is sent."""
    ehr_client_id: str = ""
    """What we are registered as at its token endpoint (SMART Backend Services)."""
    ehr_client_key: SecretStr | None = None
    """Our private key there: PEM or JSON Web Key on P-384."""
    ehr_tenant: UUID = DEFAULT_TENANT
    """Whose alerts are kept there."""
    account_key: SecretStr | None = None
    """Key under which the secrets of second factors are kept. Unset: they are kept as they are."""
    oidc_issuer: str = ""
    """OpenID Connect provider that signs people in: the issuer, as it stands in its ID tokens. Empty: none."""
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr | None = None
    """What the provider gave us. Without a secret we are a public client; PKCE holds either way."""
    oidc_scope: str = "openid profile"
    oidc_roles_claim: str = "roles"
    """Claim of the ID token that names groups or roles: a text or an array; dots lead into objects."""
    oidc_roles: str = ""
    """What they mean here, as JSON: `{"sural-clinicians": "clinician"}`. Who has none of them is not let in."""
    oidc_person_claim: str = ""
    """Claim that holds the person's id in the on-call document. Empty: none does."""
    oidc_tenant: str = str(DEFAULT_TENANT)
    """Tenant of everybody whom the provider signs in."""

    @property
    def recipients(self) -> tuple[str, ...]:
        """The e-mail addresses, each once, in their order."""
        return tuple(dict.fromkeys(part.strip() for part in self.alert_recipients.split(",") if part.strip()))

    @property
    def targets(self) -> dict[str, str]:
        """Apprise URLs by name."""
        return parse_targets(self.apprise_targets.get_secret_value(), sandbox=self.sandbox)

    @property
    def vapid(self) -> Vapid | None:
        """Who sends Web Push; None where it is not set up."""
        key = self.push_key.get_secret_value()
        return Vapid(key, self.push_contact) if key.strip() and self.push_contact else None

    @property
    def receivers(self) -> dict[str, Receiver]:
        """All receivers of webhooks by id."""
        named = parse_receivers(self.webhooks.get_secret_value())
        if self.webhook_url is not None and self.webhook_secret is not None:
            secrets = split_secrets(self.webhook_secret.get_secret_value())
            named[DEFAULT] = Receiver(DEFAULT, self.webhook_url.get_secret_value(), secrets)
        return named

    @model_validator(mode="after")
    def require_somebody_to_tell(self) -> Self:
        """Outside the sandbox an alert must reach people."""
        if self.sandbox:
            return self
        if not self.recipients or self.smtp_url is None:
            raise ValueError("Set SURAL_ALERT_RECIPIENTS and SURAL_SMTP_URL: without them no alert reaches anybody.")
        if any(address.endswith(NOBODY) for address in self.recipients):
            raise ValueError(f"SURAL_ALERT_RECIPIENTS names {NOBODY}: no alert reaches anybody there.")
        return self

    @model_validator(mode="after")
    def check_sign_in(self) -> Self:
        """A key that nobody guesses, and an identity provider of which all is known that it takes."""
        key = self.account_key
        if key is not None and len(key.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"SURAL_ACCOUNT_KEY needs at least {SHORTEST_SECRET} characters.")
        if not self.oidc_issuer:
            return self
        url = urlsplit(self.oidc_issuer)
        if url.scheme not in (("https", "http") if self.sandbox else ("https",)) or not url.hostname:
            raise ValueError("SURAL_OIDC_ISSUER must be the https:// address that stands as iss in the ID tokens.")
        if not self.oidc_client_id:
            raise ValueError("Set SURAL_OIDC_CLIENT_ID to the id under which the provider knows Sural.")
        if not parse_roles(self.oidc_roles):
            raise ValueError("Set SURAL_OIDC_ROLES, or nobody whom the provider signs in has a role here.")
        UUID(self.oidc_tenant)
        return self

    @model_validator(mode="after")
    def check_addresses(self) -> Self:
        """Recipients look like addresses and hold nothing that could become a header of its own."""
        for address in (*self.recipients, self.smtp_from):
            name, _, domain = address.rpartition("@")
            if not name or not domain or any(character.isspace() or ord(character) < 32 for character in address):
                raise ValueError("SURAL_ALERT_RECIPIENTS or SURAL_SMTP_FROM holds something that is no e-mail address.")
        return self

    @model_validator(mode="after")
    def check_patient_link(self) -> Self:
        """https (http only in the sandbox), with a place for the patient behind the host."""
        if not self.patient_link:
            return self
        url = _split("SURAL_PATIENT_LINK", SecretStr(self.patient_link))
        if url.scheme != "https" and not (url.scheme == "http" and self.sandbox):
            raise ValueError("SURAL_PATIENT_LINK must start with https:// (http:// only in the sandbox).")
        if "{value}" not in self.patient_link or "{" in url.netloc:
            raise ValueError("SURAL_PATIENT_LINK must hold {value} behind the host, where the patient's id belongs.")
        return self

    @model_validator(mode="after")
    def check_smtp(self) -> Self:
        """A known scheme, a host, and no password in the open outside the sandbox."""
        if self.smtp_url is None:
            return self
        url = _split("SURAL_SMTP_URL", self.smtp_url)
        if url.scheme not in SMTP_SCHEMES:
            raise ValueError(f"SURAL_SMTP_URL must start with one of {', '.join(f'{s}://' for s in SMTP_SCHEMES)}.")
        if url.scheme == "smtp" and url.password and not self.sandbox and not is_loopback(url.hostname or ""):
            raise ValueError("SURAL_SMTP_URL would send a password in the open. Use smtps:// or smtp+starttls://.")
        return self

    @model_validator(mode="after")
    def check_ehr(self) -> Self:
        """https outside the sandbox, no credentials in the address, and a key where there is a client id."""
        if not self.ehr_url:
            return self
        url = _split("SURAL_EHR_URL", SecretStr(self.ehr_url))
        if url.scheme != "https" and not (url.scheme == "http" and self.sandbox):
            raise ValueError("SURAL_EHR_URL must start with https:// (http:// only in the sandbox).")
        if url.username or url.password or url.query or url.fragment:
            raise ValueError("SURAL_EHR_URL must hold no user, password, query or fragment; SURAL_EHR_TOKEN signs in.")
        credentials_of(self.ehr_token, self.ehr_client_id, self.ehr_client_key)
        return self

    @model_validator(mode="after")
    def check_webhooks(self) -> Self:
        """Receivers that can be reached, are named once, and whose secrets sign."""
        named = parse_receivers(self.webhooks.get_secret_value())
        check_receivers(named.values(), sandbox=self.sandbox)
        if self.webhook_url is None:
            return self
        if DEFAULT in named:
            raise ValueError(f"SURAL_WEBHOOK_URL is the receiver {DEFAULT}, and SURAL_WEBHOOKS names one too.")
        if self.webhook_secret is None:
            raise ValueError("Set SURAL_WEBHOOK_SECRET to the Standard Webhooks secret (whsec_…) of SURAL_WEBHOOK_URL.")
        check_receiver(self.receivers[DEFAULT], setting="SURAL_WEBHOOK_URL", sandbox=self.sandbox)
        return self

    @model_validator(mode="after")
    def check_watchdog(self) -> Self:
        """An address that may be asked."""
        if self.watchdog_url is not None:
            url = _split("SURAL_WATCHDOG_URL", self.watchdog_url)
            if url.scheme not in (("https", "http") if self.sandbox else ("https",)) or url.username or url.fragment:
                raise ValueError("SURAL_WATCHDOG_URL must be an https:// address without user, password and fragment.")
        return self

    @model_validator(mode="after")
    def check_push_and_apprise(self) -> Self:
        """A key that signs and a contact that can be asked, where both are given; targets that are allowed."""
        _ = self.targets
        if (vapid := self.vapid) is not None:
            check_vapid(vapid.key, vapid.contact)
        return self

    @model_validator(mode="after")
    def check_smtp_ca(self) -> Self:
        """Certificates that can be read."""
        if self.smtp_ca:
            try:
                ssl.create_default_context(cadata=self.smtp_ca)
            except (ssl.SSLError, ValueError):
                raise ValueError("SURAL_SMTP_CA holds no certificates in PEM.") from None
        return self


def _split(name: str, secret: SecretStr) -> SplitResult:
    try:
        url = urlsplit(secret.get_secret_value())
        _ = url.port
    except ValueError:
        raise ValueError(f"{name} is no address that can be read.") from None
    if not url.hostname:
        raise ValueError(f"{name} names no host.")
    return url

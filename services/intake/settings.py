"""Settings of intake."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, model_validator

from shared.settings import ServiceSettings


class IntakeSettings(ServiceSettings):
    """SURAL_* variables that intake reads."""

    intake_database_url: SecretStr
    """Login of the role `sural_intake`; its schema is `intake`."""
    triage_url: str = ""
    notify_url: str = ""
    """Where the neighbours' capabilities are asked for, to be merged into /fhir/metadata. Empty: alone."""
    token_key: SecretStr | None = None
    """Private keys (a JSON Web Key Set, P-384) of the token endpoint: the first signs, all are published."""
    quarantine_per_minute: int = Field(default=600, ge=1, le=10_000)
    """Most refused submissions of one tenant that are kept in a minute, or wait to be looked at."""
    quarantine_days: float = Field(default=30, ge=0)
    """Days for which an urgent refused submission is kept after its alert was acknowledged."""

    emergency_number: str = Field(default="", pattern=r"^(\+?[0-9 ]{2,15})?$")
    """The local emergency number, shown to patients on the forms. Empty: they are told to call "your local" one."""
    form_patient_system: str = ""
    """Which system (a URI) the patient numbers belong to that staff write down for a new form."""

    @model_validator(mode="after")
    def require_a_token_key(self) -> Self:
        """Outside the sandbox access tokens are signed with a key that survives a restart."""
        if not self.sandbox and not (self.token_key and self.token_key.get_secret_value()):
            raise ValueError(
                "Set SURAL_TOKEN_KEY_FILE to the key of the token endpoint. "
                "`python -m services.intake client token-key --out FILE` makes one."
            )
        return self

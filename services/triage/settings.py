"""Settings of triage."""

from __future__ import annotations

from pydantic import SecretStr

from shared.settings import ServiceSettings


class TriageSettings(ServiceSettings):
    """SURAL_* variables that triage reads."""

    triage_database_url: SecretStr
    """Login of the role `sural_triage`; its schema is `triage`."""
    intake_url: str = "http://127.0.0.1:8000"
    """Where responses and Questionnaires are read."""
    notify_url: str = ""
    """Where Tasks are asked for that a search includes (`_revinclude=Task:focus`). Empty: none are."""

"""One process for all that the services do in the background: relays, catch-up, sweeps, escalation."""

from __future__ import annotations

from services.intake.background import loops as intake_loops
from services.intake.settings import IntakeSettings
from services.notify.background import loops as notify_loops
from services.notify.settings import NotifySettings
from services.triage.background import loops as triage_loops
from services.triage.settings import TriageSettings
from shared.serve import run_loops
from shared.telemetry import configure_logging


def main() -> None:
    """Run all loops until told to stop."""
    intake = IntakeSettings.load()
    configure_logging(service="background", level=intake.log_level)
    run_loops([*intake_loops(intake), *triage_loops(TriageSettings.load()), *notify_loops(NotifySettings.load())])


if __name__ == "__main__":
    main()

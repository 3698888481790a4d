"""Bring the schema and the shipped content of every service up to date, as the owner of the database."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from deploy.local.errors import StartError
from services.intake.__main__ import migrate as migrate_intake
from services.intake.settings import IntakeSettings
from services.notify.__main__ import migrate as migrate_notify
from services.notify.settings import NotifySettings
from services.triage.__main__ import migrate as migrate_triage
from services.triage.settings import TriageSettings
from shared.postgres import unavailable
from shared.problems import ProblemError


def migrate_all(variables: Mapping[str, str]) -> dict[str, list[str]]:
    """Do what has not been done yet; returns what was done, by service.

    `variables` are a whole environment with SURAL_DATABASE_URL. Raises StartError for a wrong setting, an
    absent database and a migration whose text has changed.
    """
    owner = variables["SURAL_DATABASE_URL"]
    try:
        return {
            "intake": migrate_intake(owner, IntakeSettings.load(variables)),
            "triage": migrate_triage(owner, TriageSettings.load(variables)),
            "notify": migrate_notify(owner, NotifySettings.load(variables)),
        }
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_context=False, include_url=False)[0]
        if not wrong["loc"]:  # a rule about several of them, which names them
            raise StartError(str(wrong["msg"]).removeprefix("Value error, "), "Nothing was started.") from None
        name = "_".join(["SURAL", *(str(part).upper() for part in wrong["loc"])])
        raise StartError(f"The setting {name} is wrong: {wrong['msg']}.", "Correct the variable.") from None
    except ProblemError as error:
        raise StartError(error.problems[0].message, "Nothing was started.") from error
    except Exception as error:
        if not unavailable(error):
            raise
        raise StartError(
            "The database does not answer or refuses the login.", "Start it, or correct SURAL_DATABASE_URL."
        ) from error

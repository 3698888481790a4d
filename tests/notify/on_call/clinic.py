"""A small clinic for the stories: who works there, who is on call, and a clock that can be moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.notify.escalate import repeat_due
from services.notify.hear import RAISE_ROUTINE, RAISE_URGENT
from services.notify.on_call import store
from shared.ids import DEFAULT_TENANT
from shared.postgres import tenant_transaction
from tests.notify.conftest import Service
from tests.notify.neighbours import MailServer, Triage, an_assessment

PEOPLE = """
time_zone = "Europe/London"

[people.first]
name = "Dr First"
contacts = [{ channel = "email", address = "first@clinic.example" }]

[people.second]
name = "Dr Second"
contacts = [{ channel = "email", address = "second@clinic.example" }]

[people.nurse]
name = "Nurse Night"
contacts = [{ channel = "email", address = "nurse@clinic.example" }]

[people.head]
name = "Head of the clinic"
contacts = [{ channel = "email", address = "head@clinic.example" }]

[fallback]
tell = ["person:head"]
"""

TEAM = """
[teams.vascular]
name = "Vascular team"
members = ["first", "second"]
policy = "standard"
"""

POLICY = """
[policies.standard]
name = "First, then second"
repeat = 1

[[policies.standard.emergency]]
after_minutes = 0
tell = ["person:first"]

[[policies.standard.emergency]]
after_minutes = 5
tell = ["person:second"]

[[policies.standard.same_day]]
after_minutes = 0
tell = ["person:first"]

[[policies.standard.same_day]]
after_minutes = 60
tell = ["person:second"]
"""

ALWAYS_FIRST = """
[rotas.doctors]
name = "Doctors"
slots = [{ from = "00:00", to = "24:00", people = ["first"] }]
"""

STANDARD = PEOPLE + TEAM + POLICY


@dataclass(frozen=True)
class Clinic:
    """The service, its neighbours, and what a story says of them."""

    service: Service
    triage: Triage
    mail: MailServer

    def agrees_on(self, text: str) -> int:
        """A new version of the on-call document, saved without the check, so that stories can have gaps."""
        with tenant_transaction(self.service.notify.pool, DEFAULT_TENANT) as connection:
            edited = store.newest(connection, DEFAULT_TENANT)
            version = store.save(connection, DEFAULT_TENANT, text, edited=edited, by="Dr Lead")
        assert version is not None
        return version

    def sees(self, urgency: str = "emergency", **of: Any) -> None:
        """An assessment comes, and what is to be sent at once is sent."""
        kind = RAISE_URGENT if urgency == "emergency" else RAISE_ROUTINE
        self.service.hears(self.triage.publish(an_assessment(urgency, **of)), kind=kind)
        self.service.sends()

    def minutes_pass(self, minutes: float) -> int:
        """Move the clock by moving every time that something waits for; then a tick. Returns how many steps began."""
        for table, column in (
            ("alert", "due_at"),
            ("alert", "opened_at"),
            ("job", "due_at"),
            ("delivery", "held_until"),
        ):
            self.service.rows(
                f"UPDATE {table} SET {column} = {column} - make_interval(secs => %s) WHERE {column} IS NOT NULL",
                minutes * 60,
            )
        begun = repeat_due(self.service.notify.pool, self.service.notify.plan)
        self.service.sends()
        return begun

    def told(self) -> list[str]:
        """Who got a mail, in order: the part of the address before the @."""
        return [str(mail["To"]).partition("@")[0] for mail in self.mail.mails]

    def events(self) -> list[str]:
        """What stands in the ledger beside what was delivered."""
        return [kind for kind in self.service.events() if kind != "delivered"]

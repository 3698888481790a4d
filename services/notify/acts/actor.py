"""Who acts on an alert, and by which way the act came. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Self

from shared.problems import Category, Problem, ProblemError

Way = Literal["page", "link", "task", "webhook", "watchdog"]
"""A button of a page, a one-time link, an update of the FHIR Task, a signed answer to a webhook; `watchdog`: nobody."""

NAME_LENGTH = 120


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts. `name` stands in the ledger; `person` is the id in the on-call document, where it is known."""

    name: str
    person: str | None
    way: Way

    def checked(self) -> Self:
        """The same with a tidy name. Raises ProblemError 422 when there is none, or none that can be shown."""
        name = " ".join(self.name.split())
        if not name or len(name) > NAME_LENGTH or not name.isprintable():
            message = f"Give the name of the person who acknowledges, 1 to {NAME_LENGTH} characters."
            raise ProblemError(Problem(Category.UNPROCESSABLE, "person", message, issue_code="required"))
        return replace(self, name=name)


@dataclass(frozen=True, slots=True)
class Line:
    """What the ledger keeps of an act beside who and when.

    `detail`: the outcome that closed the alert. `reason`: why its urgency was not followed. `target`: id of the person
    or team that it was handed to. `until`: the end of a snooze.
    """

    detail: str | None = None
    reason: str | None = None
    target: str | None = None
    until: datetime | None = None


NOTHING = Line()

"""Who looks at a page, and what that person may do. The tenant of every page comes from here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from starlette.requests import Request

from shared.ids import DEFAULT_TENANT


class Role(StrEnum):
    """What somebody may do on the pages. Everybody who is signed in may look at the worklist but the auditor."""

    CLINICIAN = "clinician"  # sees alerts and patients, acts on alerts
    LEAD = "lead"  # a clinician who also sees measures and changes who is on call
    ADMINISTRATOR = "administrator"  # accounts and settings, no patients
    AUDITOR = "auditor"  # the record of who did what, no acts


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who looks at a page.

    `name` is what stands in the ledger; empty where nobody signed in (sandbox), so that a form has to ask for it.
    `person` is the id in the on-call document, when the account is tied to one. `csrf` is what forms send back.
    """

    tenant: UUID
    name: str
    roles: frozenset[Role]
    account: UUID | None = None
    person: str | None = None
    csrf: str = ""

    def may(self, *roles: Role) -> bool:
        """Whether any of these roles is among theirs."""
        return not self.roles.isdisjoint(roles)


SANDBOX_VISITOR = Visitor(DEFAULT_TENANT, "", frozenset(Role))
"""Whoever opens a page of the sandbox: nobody signs in, everybody may do everything with test data."""


def visitor_of(request: Request) -> Visitor:
    """Who looks at this page. Raises AttributeError where no sign-in saw the request: then nobody is shown anything."""
    visitor: Visitor = request.state.visitor
    return visitor

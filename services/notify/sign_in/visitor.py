"""Who looks at a page, and what that person may do. The tenant of every page comes from here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from starlette.requests import Request

from shared.ids import DEFAULT_TENANT


class Role(StrEnum):
    """What somebody may do on the pages; `reach.py` says which pages these are."""

    CLINICIAN = "clinician"  # sees alerts and patients, acts on alerts
    LEAD = "lead"  # a clinician who also sees measures and changes who is on call
    ADMINISTRATOR = "administrator"  # accounts and settings, no patients
    AUDITOR = "auditor"  # the record of who did what, no acts


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who looks at a page.

    `name` is what stands in the ledger; empty where nobody signed in (sandbox), so that a form has to ask for it.
    `person` is the id in the on-call document, when the account is tied to one. `csrf` is what forms send back; empty
    where there is no session that another site could ride on. `session` names the session on the account page.
    `complete`: nothing of the sign-in is left to do.
    """

    tenant: UUID
    name: str
    roles: frozenset[Role]
    account: UUID | None = None
    person: str | None = None
    csrf: str = ""
    session: UUID | None = None
    complete: bool = True

    @property
    def signed_in(self) -> bool:
        """Whether this is somebody with an account, whose sign-in is complete."""
        return self.account is not None and self.complete

    def may(self, *roles: Role) -> bool:
        """Whether any of these roles is among theirs."""
        return not self.roles.isdisjoint(roles)

    def reaches(self, *roles: Role) -> bool:
        """Whether pages for these roles are shown to them: not before their sign-in is complete."""
        return self.complete and self.may(*roles)


SANDBOX_VISITOR = Visitor(DEFAULT_TENANT, "", frozenset(Role))
"""Whoever opens a page of the sandbox: nobody signs in, everybody may do everything with test data."""

BEHIND_PROXY = Visitor(DEFAULT_TENANT, "", frozenset({Role.CLINICIAN, Role.LEAD}))
"""Whoever a proxy before us let in (SURAL_PAGES=behind-sign-in). We do not know who it is, so forms ask for a name."""

NOBODY = Visitor(DEFAULT_TENANT, "", frozenset())
"""Whoever opens a page that needs no sign-in: the sign-in itself, style sheets, a one-time link."""


class RoleNeeded(Exception):
    """This page is for others. `roles`: for whom."""

    def __init__(self, visitor: Visitor, roles: frozenset[Role]) -> None:
        super().__init__(", ".join(sorted(roles)))
        self.visitor, self.roles = visitor, roles

    @property
    def sentence(self) -> str:
        """For whom the page is, and what one can do."""
        theirs = " and ".join(sorted(self.visitor.roles)) or "no role"
        return (
            f"This page is for the role {' or '.join(sorted(self.roles))}, and you are signed in as {theirs}. "
            "An administrator can change that."
        )


def visitor_of(request: Request) -> Visitor:
    """Who looks at this page. Raises AttributeError where no sign-in saw the request: then nobody is shown anything."""
    visitor: Visitor = request.state.visitor
    return visitor


def require_role(request: Request, *roles: Role) -> Visitor:
    """The visitor, who has one of these roles. Raises RoleNeeded, which becomes a page with status 403."""
    visitor = visitor_of(request)
    if not visitor.may(*roles):
        raise RoleNeeded(visitor, frozenset(roles))
    return visitor

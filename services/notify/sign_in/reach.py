"""Which page is for whom: the one table from method and address to roles. Who adds a page for others adds it here.

What the table does not know is for clinicians and leads, as most pages show patients: a forgotten line shows nothing to
an administrator or an auditor, and nothing to whoever is not signed in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.notify.sign_in.visitor import Role

EVERYBODY: frozenset[Role] = frozenset(Role)
CLINICAL = frozenset({Role.CLINICIAN, Role.LEAD})
_ANY = ("GET", "HEAD", "POST")
_READ = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Reach:
    """For whom an address is. `roles` None: for anybody, signed in or not. `halfway`: also amid a sign-in."""

    roles: frozenset[Role] | None
    halfway: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """Requests of these methods whose path matches, and for whom they are."""

    methods: tuple[str, ...]
    path: re.Pattern[str]
    reach: Reach


def _rule(methods: tuple[str, ...], path: str, roles: frozenset[Role] | None, *, halfway: bool = False) -> Rule:
    return Rule(methods, re.compile(path), Reach(roles, halfway))


RULES = (
    _rule(_READ, r"/worklist/assets/.*", None),
    _rule(_ANY, r"/worklist/sign-in(/(oidc|back))?", None),
    _rule(_ANY, r"/worklist/sign-in/.*", EVERYBODY, halfway=True),
    _rule(_ANY, r"/worklist/sign-out", EVERYBODY, halfway=True),
    _rule(_ANY, r"/a/.*", None),  # a one-time link: who has it was told
    _rule(_ANY, r"/worklist/account(/.*)?", EVERYBODY),
    _rule(_ANY, r"/worklist/accounts(/.*)?", frozenset({Role.ADMINISTRATOR})),
    _rule(_READ, r"/worklist/audit", frozenset({Role.AUDITOR})),
    _rule(_ANY, r"/worklist/measures(/.*)?", frozenset({Role.LEAD})),
    _rule(_READ, r"/worklist/on-call", EVERYBODY),
    _rule(_ANY, r"/worklist/on-call(/.*)?", frozenset({Role.LEAD})),
)
UNKNOWN = Reach(CLINICAL)


def reach_of(method: str, path: str) -> Reach:
    """For whom this is. `path` is decoded, starts with a slash and has no query."""
    for rule in RULES:
        if method in rule.methods and rule.path.fullmatch(path):
            return rule.reach
    return UNKNOWN

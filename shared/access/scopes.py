"""SMART scopes v2 for systems: `system/QuestionnaireResponse.cruds`, `system/*.rs`.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html. A scope that is not understood grants
nothing, and one with a query (`system/Task.rs?status=requested`) is refused: without its query it would grant more
than was asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CREATE, READ, UPDATE, DELETE, SEARCH = "c", "r", "u", "d", "s"
EVERY_PERMISSION = "cruds"
EVERY_TYPE = "*"
_V2 = re.compile(r"system/(\*|[A-Z][A-Za-z]{0,63})\.(c?r?u?d?s?)")
_V1 = re.compile(r"system/(\*|[A-Z][A-Za-z]{0,63})\.(read|write|\*)")
_V1_PERMISSIONS = {"read": "rs", "write": "cud", "*": EVERY_PERMISSION}
MOST_SCOPES = 100


class ScopeError(ValueError):
    """A scope that cannot be granted. The text says why, and holds nothing but what the sender wrote as scope."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What may be done with one resource type, or with every type (`*`)."""

    resource_type: str
    permissions: str

    def __str__(self) -> str:
        return f"system/{self.resource_type}.{self.permissions}"

    def allows(self, resource_type: str, permission: str) -> bool:
        """Whether it grants this. Only a scope for every type grants what is asked of every type."""
        return permission in self.permissions and self.resource_type in (EVERY_TYPE, resource_type)


@dataclass(frozen=True, slots=True)
class Scopes:
    """All that somebody was granted; empty: nothing."""

    granted: tuple[Scope, ...] = ()

    def __str__(self) -> str:
        return " ".join(str(scope) for scope in self.granted)

    def allows(self, resource_type: str, permission: str) -> bool:
        """Whether one of them grants this."""
        return any(scope.allows(resource_type, permission) for scope in self.granted)

    def covers(self, wanted: Scope) -> bool:
        """Whether all that `wanted` would allow is granted."""
        return all(self.allows(wanted.resource_type, permission) for permission in wanted.permissions)


NOTHING = Scopes()
EVERYTHING = Scopes((Scope(EVERY_TYPE, EVERY_PERMISSION),))


def parse_scopes(text: str, *, v1: bool = False) -> Scopes:
    """The scopes of a request or a registration, separated by spaces, each once, in their order.

    `v1` also takes `.read`, `.write` and `.*`. Raises ScopeError at the first that is not understood.
    """
    words = dict.fromkeys(text.split(" ")) if text else {}
    if not words:
        raise ScopeError("No scope. Ask for what you need, for example system/QuestionnaireResponse.c.")
    if len(words) > MOST_SCOPES:
        raise ScopeError(f"More than {MOST_SCOPES} scopes.")
    return Scopes(tuple(dict.fromkeys(_scope(word, v1) for word in words)))


def understood(text: str, *, v1: bool = False) -> Scopes:
    """The scopes of another issuer's token that mean something here; the rest (`openid`) grants nothing."""
    found = []
    for word in text.split(" ")[:MOST_SCOPES]:
        try:
            found.append(_scope(word, v1))
        except ScopeError:
            continue
    return Scopes(tuple(dict.fromkeys(found)))


def _scope(word: str, v1: bool) -> Scope:
    if (match := _V2.fullmatch(word)) and match[2]:
        return Scope(match[1], match[2])
    if match := _V1.fullmatch(word):
        if v1:
            return Scope(match[1], _V1_PERMISSIONS[match[2]])
        raise ScopeError(f"{word} is a scope of SMART version 1. Write .rs for .read, .cud for .write, .cruds for .*.")
    shown = word[:100] if word.isascii() and word.isprintable() else "(not printable)"
    if "?" in word:
        raise ScopeError(f"{shown} has a query; scopes with a query are not offered here. Ask without it.")
    raise ScopeError(f"{shown} is no scope that is offered here. Write system/TYPE. and letters of cruds, in order.")

"""What each request needs: the one table from method and path to SMART permissions. Who adds a route adds it here.

What the table does not know needs every permission, so a forgotten line closes a door and never opens one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from shared.access.scopes import CREATE, DELETE, EVERY_PERMISSION, EVERY_TYPE, READ, SEARCH, UPDATE, Scope
from shared.principal import Principal
from shared.problems import Category, Problem, ProblemError

RESPONSE = "QuestionnaireResponse"
FOLLOWED = ("RiskAssessment", "DetectedIssue", "Provenance", "Task", "CommunicationRequest", "Communication")
"""What a response leads to, and what `$everything` gives out beside the response itself."""

Needs = tuple[Scope, ...]
"""All of these. Empty: a token, and nothing more."""

_TYPE = r"(?P<type>[A-Z][A-Za-z]{0,63})"
_ID = r"[A-Za-z0-9\-.]{1,64}"
_VERSION = r"[^/]+"
THIS = ""
"""Stands for the type that the path names."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Requests of these methods whose path below /fhir matches, and what they need."""

    methods: tuple[str, ...]
    path: re.Pattern[str]
    needs: Needs


def _rule(methods: str, path: str, *needs: tuple[str, str]) -> Rule:
    scopes = tuple(Scope(resource_type, permissions) for resource_type, permissions in needs)
    return Rule(tuple(methods.split()), re.compile(path), scopes)


RULES = (
    # Interactions of R4 (http.html).
    _rule("GET", _TYPE, (THIS, SEARCH)),
    _rule("GET POST", f"{_TYPE}/_search", (THIS, SEARCH)),
    _rule("POST", _TYPE, (THIS, CREATE)),
    _rule("GET", f"{_TYPE}/{_ID}", (THIS, READ)),
    _rule("GET", f"{_TYPE}/{_ID}/_history/{_VERSION}", (THIS, READ)),
    _rule("GET", f"{_TYPE}/{_ID}/_history", (THIS, READ)),
    _rule("GET", f"{_TYPE}/_history", (THIS, SEARCH)),
    _rule("PUT PATCH", f"{_TYPE}/{_ID}", (THIS, UPDATE)),
    _rule("PUT PATCH", _TYPE, (THIS, UPDATE)),
    _rule("DELETE", f"{_TYPE}/{_ID}", (THIS, DELETE)),
    _rule("DELETE", _TYPE, (THIS, DELETE)),
    _rule("GET", "_history", (EVERY_TYPE, SEARCH)),
    _rule("POST", ""),  # batch and transaction: each entry is judged on its own
    _rule("GET", f"{_TYPE}/\\$changed-tenants", (THIS, SEARCH)),  # answered to our own services only
    _rule("GET", r"\$registrations", (EVERY_TYPE, READ)),  # answered to our own services only
    _rule("GET", f"{_TYPE}/\\$audit", ("AuditEvent", SEARCH)),  # answered to our own services only
    # Operations. A dry run stores nothing, but shows what an assessment would say.
    _rule("POST", f"{RESPONSE}/\\$validate", (RESPONSE, CREATE)),
    _rule("GET POST", f"{RESPONSE}/{_ID}/\\$validate", (RESPONSE, READ)),
    _rule("POST", "Questionnaire/\\$validate", ("Questionnaire", CREATE)),
    _rule("GET POST", f"Questionnaire/{_ID}/\\$validate", ("Questionnaire", READ)),
    _rule("POST", f"{RESPONSE}/\\$triage", (RESPONSE, CREATE), ("RiskAssessment", READ)),
    _rule("GET POST", f"{RESPONSE}/{_ID}/\\$triage", (RESPONSE, READ), ("RiskAssessment", READ)),
    _rule("POST", f"Questionnaire(/{_ID})?/\\$process-response", (RESPONSE, CREATE)),
    _rule("GET", f"{RESPONSE}/{_ID}/\\$status", (RESPONSE, READ)),
    # Refused submissions: the operation itself lets in our own services alone.
    _rule("GET POST", f"{RESPONSE}/\\$quarantine(/\\$changed-tenants)?", (EVERY_TYPE, READ)),
    _rule("GET POST", f"{RESPONSE}/{_ID}/\\$everything", *((kind, READ) for kind in (RESPONSE, *FOLLOWED))),
    # How subscriptions stand, and what they were told; content in full needs more, which the operation asks itself.
    _rule("GET POST", f"Subscription(/{_ID})?/\\$status", ("Subscription", READ)),
    _rule("GET POST", f"Subscription/{_ID}/\\$events", ("Subscription", READ)),
    _rule("GET", r"CodeSystem/\$(lookup|validate-code)", ("CodeSystem", READ)),
    _rule("GET", rf"ValueSet/(\$validate-code|\$expand|{_ID}/\$expand)", ("ValueSet", READ)),
)
UNKNOWN: Needs = (Scope(EVERY_TYPE, EVERY_PERMISSION),)
_STORES_NOTHING = re.compile(rf"/fhir/{RESPONSE}/\$(validate|triage)")


@lru_cache(maxsize=1024)
def needed(method: str, path: str) -> Needs:
    """What this request needs. `path` starts with /fhir and is decoded, without query; HEAD needs what GET needs."""
    below = path.removeprefix("/fhir").removeprefix("/")
    verb = "GET" if method == "HEAD" else method
    for rule in RULES:
        if verb in rule.methods and (match := rule.path.fullmatch(below)):
            named = match.groupdict().get("type") or ""
            return tuple(Scope(need.resource_type or named, need.permissions) for need in rule.needs)
    return UNKNOWN


def stores_nothing(method: str, path: str) -> bool:
    """Whether this is a POST that only judges what it carries: services ask it of each other, and may else only look.

    From clients it needs more (`RULES`), as the answer shows what an assessment would say.
    """
    return method == "POST" and _STORES_NOTHING.fullmatch(path) is not None


def authorise(principal: Principal, method: str, path: str) -> None:
    """Let pass what the principal may do. Raises ProblemError 403, whether or not the resource exists."""
    require(principal, needed(method, path))


def require(principal: Principal, needs: Iterable[Scope]) -> None:
    """Raises ProblemError 403 that names what is missing."""
    missing = [str(need) for need in needs if not principal.scopes.covers(need)]
    if missing:
        raise ProblemError(
            Problem(
                Category.FORBIDDEN,
                "scope",
                f"Your token does not grant {' '.join(missing)}. Ask for it at the token endpoint; if it is refused "
                "there, your registration does not include it.",
                issue_code="forbidden",
            )
        )

"""The use case of a transaction Bundle: all of its writes are stored, or none.

It may write what intake owns, responses and Questionnaires. What other services own cannot be written in the same
database transaction; a Bundle that asks for it is refused as a whole and told to come as a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias
from uuid import UUID

import orjson

from services.intake import publish, receive, store
from services.intake.bundle import ORDER, Entry, check_type, moved, resolved
from services.intake.context import IntakeContext
from services.intake.entry_links import LOCAL
from services.intake.judge import Judged, judge, stops
from services.intake.keys import business_identifier
from services.intake.preconditions import read_preconditions
from services.intake.publication import Authored, examine
from services.intake.safety_net import NOT_STORED
from services.intake.store import Outcome
from services.intake.written import published_problems, received_problems
from shared.access.needs import authorise
from shared.fhir.resources import Stored
from shared.ids import uuid7
from shared.postgres import DictConnection, tenant_transaction
from shared.principal import Principal
from shared.problems import Category, Problem, ProblemError

RESPONSE: Final = "QuestionnaireResponse"
OWNED: Final = (RESPONSE, "Questionnaire")
READS: Final = ("GET", "HEAD")

Name: TypeAlias = tuple[str, str, str]
"""Type, and system and value of an identifier or url and version."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a write of the transaction came to."""

    entry: Entry
    stored: Stored
    outcome: Outcome
    problems: Sequence[Problem]


def transact(intake: IntakeContext, entries: Sequence[Entry], principal: Principal) -> list[Done]:
    """Carry out the writes of a transaction, in the order of their methods, in one database transaction.

    Raises ProblemError with the place of the entry; then nothing is stored.
    """
    writes = [entry for entry in entries if entry.method not in READS]
    for entry in writes:
        with _at(entry):
            _check_offered(entry)
            authorise(principal, entry.method, f"/fhir/{entry.path}")
            check_type(entry)
    writes.sort(key=lambda entry: (ORDER.index(entry.method), entry.number))
    try:
        done = _done(intake, writes, principal)
    except ProblemError as refused:
        intake.net.turned_away(refused, principal.tenant)
        raise
    if any(each.outcome in receive.WRITTEN and each.entry.type == RESPONSE for each in done):
        intake.stored()
    if any(problem.code == NOT_STORED for each in done for problem in each.problems):
        intake.net.kept()
    if any(each.entry.type != RESPONSE for each in done):
        intake.catalogue.entries(principal.tenant)
    return done


def _done(intake: IntakeContext, writes: Sequence[Entry], principal: Principal) -> list[Done]:
    """The writes in one database transaction, with the texts that are passed over: all is durable, or nothing."""
    _check_full_urls(writes)
    ids = {entry.number: str(uuid7()) for entry in writes}
    with tenant_transaction(intake.api.pool, principal.tenant) as connection:
        targets = _targets(writes, ids, connection, principal.tenant)
        linked = resolved(writes, targets)
        judged = _judged(intake, linked, principal.tenant)
        done = [_store(entry, one, intake, connection, principal, ids) for entry, one in judged]
        if linked != writes:
            _check_links(done, targets)
        return [_passed_over(each, intake, principal, connection) for each in done]


def _passed_over(done: Done, intake: IntakeContext, principal: Principal, connection: DictConnection) -> Done:
    """With what is told of other answers under a known identifier, which are kept for the safety net."""
    text = done.entry.resource
    if text is None or done.entry.type != RESPONSE:
        return done
    with _at(done.entry):
        return replace(done, problems=intake.net.passed_over_with(connection, text, principal, done.problems))


def _check_offered(entry: Entry) -> None:
    if entry.type not in OWNED or "$" in entry.path:
        message = (
            "A transaction can only create, update and read responses and Questionnaires here: what other services own "
            "cannot be stored together with them. Send these entries as a batch."
        )
        raise _refused(entry, "transaction-type", message)
    if entry.method not in ("POST", "PUT"):
        raise _refused(entry, "method", "A transaction has POST, PUT and GET here. Send another entry.")
    if not entry.writes or (entry.method == "PUT" and entry.path == "Questionnaire"):
        raise ProblemError(
            Problem(
                Category.INCORRECT,
                "bundle-request",
                "In a transaction a POST names a type, as in QuestionnaireResponse, and a PUT one resource, as in "
                "QuestionnaireResponse/123. Send a search as GET, anything else by itself.",
                expression=f"{entry.place}.request.url",
                issue_code="value",
            )
        )


def _check_full_urls(writes: Sequence[Entry]) -> None:
    """Raises ProblemError for a fullUrl that means something in this Bundle only and is used twice.

    R4 does not forbid it where versions differ, but a link to it would lead to no one of them.
    """
    met: set[str] = set()
    for entry in writes:
        if entry.full_url in met:
            message = "Another entry that writes has this fullUrl. Give each a fullUrl of its own."
            place = f"{entry.place}.fullUrl"
            raise ProblemError(
                Problem(Category.INCORRECT, "full-url-twice", message, expression=place, issue_code="value")
            )
        if entry.full_url.startswith(LOCAL):
            met.add(entry.full_url)


def _targets(
    writes: Sequence[Entry], ids: Mapping[int, str], connection: DictConnection, tenant: UUID
) -> dict[str, str]:
    """What each fullUrl that means something in this Bundle only will be found under, as `Type/id`.

    `ids`: those of what is new, by the number of the entry. What comes twice is stored once, so both are the first.
    """
    if not any(entry.full_url.startswith(LOCAL) for entry in writes):
        return {}
    targets: dict[str, str] = {}
    first: dict[Name, str] = {}
    for entry in writes:
        name = _name(entry)
        known = _known(name, connection, tenant)
        address = f"{entry.type}/{_id_in(entry) or known or ids[entry.number]}"
        targets[entry.full_url] = address if name is None else first.setdefault(name, address)
    return {full_url: address for full_url, address in targets.items() if full_url.startswith(LOCAL)}


def _check_links(done: Sequence[Done], targets: dict[str, str]) -> None:
    """Raises ProblemError (503) when an entry became another resource than links to it say: somebody else stored it
    meanwhile. Sent again, it is known from the beginning."""
    for each in done:
        became = f"{each.stored.type}/{each.stored.id}"
        if targets.get(each.entry.full_url, became) != became:
            message = (
                "Another sender stored one of these at this moment. Nothing was stored: send the same Bundle again."
            )
            raise ProblemError(
                Problem(Category.UNAVAILABLE, "overtaken", message, expression=each.entry.place, issue_code="transient")
            )


def _name(entry: Entry) -> Name | None:
    """By what a resource is known when it comes again: the sender's identifier, or url and version."""
    content = _loosely(entry)
    if entry.type != RESPONSE:
        return (entry.type, str(content.get("url", "")), str(content.get("version", "")))
    identifier = business_identifier(content)
    return None if identifier is None else (entry.type, *identifier)


def _known(name: Name | None, connection: DictConnection, tenant: UUID) -> str | None:
    """The id of what is here under this name."""
    if name is None:
        return None
    resource_type, *key = name
    if resource_type == RESPONSE:
        return store.identified(connection, tenant, (key[0], key[1]))
    return next((one.id for one in store.published(connection, tenant) if [one.url, one.version] == key), None)


def _id_in(entry: Entry) -> str | None:
    """The id that the sender chose."""
    if entry.method != "PUT":
        return None
    if "/" in entry.path:
        return entry.path.partition("/")[2]
    chosen = _loosely(entry).get("id")
    return chosen if isinstance(chosen, str) else None


def _loosely(entry: Entry) -> dict[str, Any]:
    content = orjson.loads(entry.resource or b"{}")
    return content if isinstance(content, dict) else {}


def _judged(intake: IntakeContext, entries: Sequence[Entry], tenant: UUID) -> list[tuple[Entry, Judged | Authored]]:
    """Every resource, judged. Raises ProblemError with the problems of all of them."""
    found: list[tuple[Entry, Judged | Authored]] = []
    problems: list[Problem] = []
    for entry in entries:
        assert entry.resource is not None
        try:
            if entry.type == RESPONSE:
                found.append((entry, judge(entry.resource, catalogue=intake.catalogue, tenant=tenant)))
            else:
                authored = examine(entry.resource, find_value_set=intake.value_sets_of(tenant))
                found.append((entry, authored))
        except ProblemError as refused:
            problems += [moved(problem, entry) for problem in refused.problems]
    if stops(problems):
        raise ProblemError(problems)
    return found


def _store(
    entry: Entry,
    judged: Judged | Authored,
    intake: IntakeContext,
    connection: DictConnection,
    principal: Principal,
    ids: Mapping[int, str],
) -> Done:
    given: dict[str, Any] = {"connection": connection, "tenant": principal.tenant}
    resource_id = entry.path.partition("/")[2]
    new_id = ids[entry.number]
    with _at(entry):
        asked = read_preconditions(entry.headers, client=principal.id)
        if isinstance(judged, Authored):
            if entry.method == "PUT":
                stored, outcome = publish.update(resource_id, judged, asked=asked, **given)
            else:
                stored, outcome = publish.create(judged, asked=asked, new_id=new_id, **given)
            return Done(entry, stored, outcome, published_problems(stored, outcome, judged.warnings))
        if entry.method == "POST":
            received = receive.create(judged, asked=asked, new_id=new_id, **given)
        elif resource_id:
            received = receive.update(resource_id, judged, asked=asked, **given)
        else:
            received = receive.update_identified(entry.query, judged, asked=asked, new_id=new_id, **given)
        return Done(entry, received.stored, received.outcome, received_problems(received, intake.api.base))


@contextmanager
def _at(entry: Entry) -> Iterator[None]:
    """Problems in this block are told as those of the entry."""
    try:
        yield
    except ProblemError as refused:
        inside = [
            problem if (problem.expression or "").startswith("Bundle") else moved(problem, entry)
            for problem in refused.problems
        ]
        raise ProblemError(inside) from None


def _refused(entry: Entry, code: str, message: str) -> ProblemError:
    place = f"{entry.place}.request"
    return ProblemError(Problem(Category.UNPROCESSABLE, code, message, expression=place, issue_code="not-supported"))

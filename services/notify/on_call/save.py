"""Use case: somebody saves a new version of the on-call document. What has a gap is refused."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from services.notify.on_call import store
from services.notify.on_call.check import find_flaws
from services.notify.on_call.document import Document
from services.notify.on_call.flaw import DocumentFlawed
from services.notify.on_call.read import read_document
from services.notify.on_call.store import Watch
from shared.postgres import Pool, database_now, tenant_transaction
from shared.problems import Category, Problem, ProblemError


def checked(
    text: str, at: datetime, *, ways: Collection[str] | None = None, devices: Collection[str] | None = None
) -> Document:
    """The document in a text that leaves nobody unheard for 30 days from `at`. Raises DocumentFlawed with all flaws."""
    document = read_document(text)
    if flaws := find_flaws(document, at, ways=ways, devices=devices):
        raise DocumentFlawed(flaws)
    return document


def save_document(
    pool: Pool, tenant: UUID, text: str, *, edited: int, by: str, ways: Collection[str] | None = None
) -> int:
    """Save the text as the version after `edited`; returns its number. It is for everything that begins from now on.

    A text that is the same as that version makes no new one. Raises DocumentFlawed, or ProblemError 409 when somebody
    else saved meanwhile.
    """
    with tenant_transaction(pool, tenant) as connection:
        now = database_now(connection)
        checked(text, now, ways=ways)
        held = store.saved(connection, tenant, edited)
        if held is not None and held.text == text and store.newest(connection, tenant) == edited:
            return edited
        version = store.save(connection, tenant, text, edited=edited, by=by)
        if version is None:
            newest = store.newest(connection, tenant)
            raise ProblemError(
                Problem(
                    Category.CONFLICT,
                    "on-call-version",
                    f"Version {edited} was edited, and version {newest} is the newest by now. "
                    "Read that one and make the change in it.",
                    issue_code="conflict",
                )
            )
        store.save_watch(connection, tenant, Watch(version, now, gap_hours=0, flaws=0, first_gap=None))
    return version

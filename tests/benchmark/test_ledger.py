"""What was lost or done twice is found, whatever else went well."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from deploy.local.benchmark.generator import Post
from deploy.local.benchmark.ledger import COMMITTED, TOLD, Ledger, Wrong
from deploy.local.benchmark.system import System


@dataclass
class Found:
    """What the database and the mail server say at the end."""

    mail: Path
    assessed: list[tuple[str, float]] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)

    def ask(self, query: str, *_parameters: object) -> list[Any]:
        return {COMMITTED: self.assessed, TOLD: self.told}[query]

    def takes(self, delivery: str, at: float) -> None:
        with self.mail.open("a") as lines:
            lines.write(f"{at} {delivery}\n")


def post(name: str, *, urgent: bool = False, status: int = 201) -> Post:
    return Post(due=100.0, sent=100.1, answered=100.2, status=status, id=name, urgent=urgent)


@pytest.fixture
def found(tmp_path: Path) -> Found:
    """A calm response and an emergency, each assessed once, the emergency told once."""
    found = Found(tmp_path / "mail.txt", [("calm", 100.5), ("urgent", 100.4)], [("urgent", "d1")])
    found.takes("d1", 101.0)
    return found


def ledger(found: Found, *more: Post) -> Ledger:
    return Ledger(cast(System, found), [post("calm"), post("urgent", urgent=True), *more])


def test_where_everything_was_once_nothing_is_wrong(found: Found) -> None:
    assert ledger(found).wrong() == Wrong()
    assert not ledger(found).wrong()


def test_a_response_without_an_assessment_is_lost(found: Found) -> None:
    assert ledger(found, post("other")).wrong() == Wrong(lost=1)


def test_an_emergency_that_the_mail_server_never_took_is_lost_even_when_a_delivery_was_noted(found: Found) -> None:
    found.assessed.append(("other", 100.5))
    found.told.append(("other", "d2"))
    assert ledger(found, post("other", urgent=True)).wrong() == Wrong(lost=1)


def test_a_second_current_assessment_and_a_second_mail_are_found(found: Found) -> None:
    found.assessed.append(("calm", 100.9))
    found.takes("d1", 102.0)
    assert ledger(found).wrong() == Wrong(doubled=2)


def test_what_was_not_accepted_is_neither_lost_nor_forgotten(found: Found) -> None:
    assert ledger(found, post("", status=503), post("", status=0)).wrong() == Wrong(refused=2)


def test_times_count_from_the_moment_a_request_was_due_not_from_its_sending(found: Found) -> None:
    posts = ledger(found).posts
    assert sorted(ledger(found).assessment_times(posts)) == pytest.approx([0.4, 0.5])
    assert ledger(found).mail_times(posts) == pytest.approx([1.0])

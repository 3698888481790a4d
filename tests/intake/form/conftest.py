"""Intake's pages with a real triage behind them, and a person who fills in forms without a script."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import httpx
import orjson
import psycopg
import pytest
from psycopg.rows import dict_row

from services.intake.app import create_app as create_intake
from services.intake.settings import IntakeSettings
from services.triage.app import create_app as create_triage
from services.triage.settings import TriageSettings
from shared.fhir.resources import unpacked
from tests.builders import UNREMARKABLE, posterior_lower_limb
from tests.conftest import Database
from tests.serving import client_of, served

FORM = "/questionnaire/posterior-lower-limb"
NO = ("No", "No, none of these", "None of these")
TOKEN = "a secret that the services share, long enough"


@pytest.fixture
def triage_url(database: Database) -> Iterator[str]:
    """Triage, which reads the form and validates at an intake of its own."""
    bare = create_intake(IntakeSettings(intake_database_url=database.intake_url))  # type: ignore[arg-type]
    with served(bare) as intake_url:
        triage = TriageSettings(triage_database_url=database.triage_url, intake_url=intake_url)  # type: ignore[arg-type]
        with served(create_triage(triage)) as url:
            yield url


@pytest.fixture
def intake(database: Database, triage_url: str) -> Iterator[httpx.Client]:
    settings = IntakeSettings(
        intake_database_url=database.intake_url,  # type: ignore[arg-type]
        mode="sandbox",
        triage_url=triage_url,
        emergency_number="112",
    )
    with client_of(create_intake(settings)) as client:
        client.headers["Sec-Fetch-Site"] = "same-origin"
        client.follow_redirects = True
        yield client


@pytest.fixture
def stored(database: Database) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """All versions of all responses, in the order in which they came."""
    with psycopg.connect(database.owner_url, autocommit=True, row_factory=dict_row) as connection:

        def read() -> list[dict[str, Any]]:
            rows = connection.execute(
                "SELECT body FROM intake.resource WHERE type = 'QuestionnaireResponse' ORDER BY id, version_id"
            ).fetchall()
            return [orjson.loads(unpacked(row["body"])) for row in rows]

        yield read


@dataclass
class Person:
    """Somebody who answers what a page asks: what the test says, else as a healthy adult would."""

    client: httpx.Client
    answers: Mapping[str, object] = field(default_factory=dict)
    page: httpx.Response = field(init=False)

    def opens(self, address: str = f"{FORM}/plain") -> httpx.Response:
        self.page = self.client.get(address)
        return self.page

    @property
    def asked(self) -> list[str]:
        """linkIds that the page asks."""
        found = re.search(r'name="asked" value="([^"]*)"', self.page.text)
        return found[1].split() if found else []

    @property
    def words(self) -> str:
        """The page without its tags."""
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", self.page.text)).split())

    def fields(self) -> dict[str, list[str]]:
        chosen = {**UNREMARKABLE, **self.answers}
        filled = {f"q.{link_id}": _value(link_id, chosen) for link_id in self.asked}
        return {"asked": [" ".join(self.asked)], **{name: value for name, value in filled.items() if value}}

    def goes_on(self, **changed: list[str]) -> httpx.Response:
        """Press Next."""
        fields = {**self.fields(), **changed}
        if 'name="warned"' in self.page.text:
            fields["warned"] = ["yes"]
        action = re.search(r'action="([^"]+)"', self.page.text)
        assert action, self.page.text
        address = str(self.page.url.copy_with(query=None).join(unescape(action[1])))
        self.page = self.client.post(address, data=fields)
        return self.page

    def finishes(self) -> httpx.Response:
        """Press Next until all is answered, and Send."""
        for _ in range(60):
            if "/check" in str(self.page.url):
                break
            if "Go on with the questions" in self.page.text:
                onward = re.search(r'href="([^"]+)">Go on', self.page.text)
                assert onward
                self.page = self.client.get(unescape(onward[1]))
                continue
            assert self.goes_on().status_code == 200, self.words
        self.page = self.client.post(f"{FORM}/send")
        return self.page


def _value(link_id: str, chosen: Mapping[str, object]) -> list[str]:
    item = posterior_lower_limb().items[link_id]
    wanted = chosen.get(link_id)
    if not item.options:
        return [] if wanted is None and not item.required else [str(40 if wanted is None else wanted)]
    codes = [option.value.code for option in item.options]  # type: ignore[union-attr]
    if wanted is None:
        wanted = next((code for code in ("N", "none", "no") if code in codes), codes[0] if item.required else None)
    if wanted is None:
        return []
    several = wanted if isinstance(wanted, list) else [wanted]
    return [str(codes.index(code)) for code in several]


@pytest.fixture
def person(intake: httpx.Client) -> Person:
    return Person(intake)

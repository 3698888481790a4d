"""The handover: what is open, who has it, what people did and wrote, who goes and who comes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.acts.resolve import resolve
from services.notify.app import create_app
from services.notify.settings import NotifySettings
from shared.ids import DEFAULT_TENANT
from tests.browser import Page
from tests.notify.conftest import Service
from tests.notify.neighbours import MailServer, Triage
from tests.notify.on_call.clinic import STANDARD, Clinic
from tests.notify.worklist.many import Rows, fill
from tests.notify.worklist.test_list import opens
from tests.serving import client_of

DR_OSEI = Actor("Dr Osei", None, "page")
ROTA = """
[rotas.vascular]
name = "Vascular"
[[rotas.vascular.slots]]
from = "08:00"
to = "20:00"
people = ["first"]
[[rotas.vascular.slots]]
from = "20:00"
to = "08:00"
people = ["nurse"]
"""


@pytest.fixture
def client(settings: NotifySettings) -> Iterator[httpx.Client]:
    with client_of(create_app(settings)) as opened:
        yield opened


def test_the_next_shift_reads_what_is_open_and_what_was_done(
    client: httpx.Client, service: Service, triage: Triage
) -> None:
    pool = service.notify.pool
    opens(service, triage, "Wanda Waits")
    acknowledge(pool, DEFAULT_TENANT, opens(service, triage, "Hal Held"), by=DR_OSEI)
    closed = opens(service, triage, "Carl Closed")
    acknowledge(pool, DEFAULT_TENANT, closed, by=DR_OSEI)
    resolve(pool, DEFAULT_TENANT, closed, by=DR_OSEI, outcome="seen-and-treated", note="Wife will call <again> at 7.")

    text = client.get("/worklist/handover").text

    lists, acts = text.split('<h2 id="acts">')
    assert "Waiting for somebody: 1" in lists
    assert "Somebody has it: 1" in lists
    assert "Wanda Waits" in lists
    assert "Hal Held" in lists
    assert "Carl Closed" not in lists
    assert "closed it: Seen and treated" in acts
    assert "Wife will call &lt;again&gt; at 7." in acts
    assert acts.count("acknowledged") == 2


def test_acts_of_an_earlier_shift_are_shown_when_asked_for(
    client: httpx.Client, service: Service, triage: Triage, rows: Rows
) -> None:
    acknowledge(service.notify.pool, DEFAULT_TENANT, opens(service, triage, "Hal Held"), by=DR_OSEI)
    rows("ALTER TABLE alert_event DISABLE TRIGGER USER")
    rows("UPDATE alert_event SET at = at - interval '13 hours'")
    rows("ALTER TABLE alert_event ENABLE TRIGGER USER")

    assert "acknowledged</td>" not in client.get("/worklist/handover").text
    assert "acknowledged</td>" in client.get("/worklist/handover?hours=24").text
    assert "last 12 hours" in client.get("/worklist/handover?hours=9999").text


def test_it_says_who_goes_and_who_comes(
    client: httpx.Client, service: Service, triage: Triage, mail: MailServer
) -> None:
    Clinic(service, triage, mail).agrees_on(STANDARD + ROTA)

    text = client.get("/worklist/handover").text

    shifts = re.search(r'<th scope="row">Vascular</th>(.*?)</tr>', text, flags=re.DOTALL)
    assert shifts is not None
    assert sorted(re.findall(r"<strong>([^<]+)</strong>", shifts[1])) == ["Dr First", "Nurse Night"]


def test_of_thousands_it_shows_the_most_urgent_and_says_how_many_there_are(client: httpx.Client, rows: Rows) -> None:
    fill(rows, 5000)

    text = client.get("/worklist/handover").text

    assert "Only 200 of 5000 stand here." in text


def test_on_paper_there_are_no_buttons_and_no_navigation(site: str, page: Page) -> None:
    page.goto(f"{site}/worklist/handover")
    page.emulate_media(media="print")

    assert not page.get_by_role("navigation", name="Pages").is_visible()
    assert page.get_by_role("heading", name="Handover").is_visible()


def test_who_looks_at_the_handover_is_recorded(client: httpx.Client, rows: Rows) -> None:
    client.get("/worklist/handover").raise_for_status()

    assert [row["query"] for row in rows("SELECT query FROM audit_event WHERE type = 'Task'")] == ["handover"]

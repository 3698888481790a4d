"""What the worklist shows: parts, filters, search, who is told next, and pages of thousands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest

from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.acts.snooze import snooze
from services.notify.app import create_app
from services.notify.settings import NotifySettings
from services.notify.worklist import store
from services.notify.worklist.filters import Cursor, Filters, Section, read_filters
from services.notify.worklist.store import Looker
from services.notify.worklist.words import left_words
from shared.ids import DEFAULT_TENANT
from shared.postgres import tenant_transaction
from tests.notify.conftest import Service
from tests.notify.neighbours import MailServer, Triage, an_assessment
from tests.notify.on_call.clinic import STANDARD, Clinic
from tests.notify.worklist.many import Rows, fill
from tests.serving import client_of

DR_OSEI = Actor("Dr Osei", None, "page")


@pytest.fixture
def client(settings: NotifySettings) -> Iterator[httpx.Client]:
    with client_of(create_app(settings)) as opened:
        yield opened


@pytest.fixture
def clinic(service: Service, triage: Triage, mail: MailServer) -> Clinic:
    return Clinic(service, triage, mail)


def opens(service: Service, triage: Triage, name: str, *, urgency: str = "emergency") -> UUID:
    service.hears(triage.publish(an_assessment(urgency, patient=f"Patient/{name.replace(' ', '-')}", name=name)))
    [row] = service.rows("SELECT id FROM alert WHERE subject ->> 'display' = %s", name)
    found: UUID = row["id"]
    return found


def part(text: str, section: str) -> str:
    """The text of one part of the page."""
    found = re.search(rf'<section id="{section}".*?</section>', text, flags=re.DOTALL)
    assert found is not None, section
    return found[0]


def patients(text: str) -> list[str]:
    return re.findall(r'<h3 id="patient-[^"]+"><a [^>]*>([^<]+)</a>', text)


def test_each_alert_stands_in_the_part_where_it_is(client: httpx.Client, service: Service, triage: Triage) -> None:
    pool = service.notify.pool
    opens(service, triage, "Wanda Waits")
    snooze(pool, DEFAULT_TENANT, opens(service, triage, "Sam Snoozed"), by=DR_OSEI, minutes=5)
    acknowledge(pool, DEFAULT_TENANT, opens(service, triage, "Hal Held"), by=DR_OSEI)
    closed = opens(service, triage, "Carl Closed")
    acknowledge(pool, DEFAULT_TENANT, closed, by=DR_OSEI)
    service.rows("UPDATE alert SET state = 'completed', closed_at = now() WHERE id = %s", closed)

    text = client.get("/worklist").text

    assert {section: patients(part(text, section)) for section in Section} == {
        "waiting": ["Wanda Waits"],
        "snoozed": ["Sam Snoozed"],
        "held": ["Hal Held"],
        "closed": ["Carl Closed"],
    }
    assert re.search(r"comes back <time[^>]*>in [34] min \d+ s", part(text, "snoozed"))
    assert "known to Dr Osei" in part(text, "held")


def test_what_was_closed_long_ago_is_gone(client: httpx.Client, service: Service, triage: Triage) -> None:
    closed = opens(service, triage, "Carl Closed")
    acknowledge(service.notify.pool, DEFAULT_TENANT, closed, by=DR_OSEI)
    service.rows("UPDATE alert SET state = 'completed', closed_at = now() - interval '25 hours'")

    assert patients(client.get("/worklist").text) == []


def test_what_the_watchdog_makes_is_nobody_and_stands_nowhere(
    client: httpx.Client, service: Service, triage: Triage
) -> None:
    opens(service, triage, "Wanda Dog")
    service.rows("UPDATE alert SET synthetic = true")

    assert patients(client.get("/worklist").text) == []
    assert "Waiting for somebody: 0" in client.get("/worklist").text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=smith", ["Ann Smith", "Bob Smith"]),
        ("q=SMITH+ann", ["Ann Smith"]),
        ("q=Patient/Cat", ["Cat O%_Neil"]),
        ("q=%25_", ["Cat O%_Neil"]),
        ("q=nobody", []),
        ("urgency=emergency", ["Ann Smith", "Cat O%_Neil"]),
        ("urgency=same_day&q=smith", ["Bob Smith"]),
        ("urgency=routine", ["Ann Smith", "Cat O%_Neil", "Bob Smith"]),
        ("state=nonsense", ["Ann Smith", "Cat O%_Neil", "Bob Smith"]),
        ("pathway=posterior-lower-limb", ["Ann Smith", "Cat O%_Neil", "Bob Smith"]),
        ("pathway=another", []),
        ("state=held", []),
    ],
)
def test_the_list_is_searched_and_filtered_by_its_address(
    client: httpx.Client, service: Service, triage: Triage, query: str, found: list[str]
) -> None:
    opens(service, triage, "Ann Smith")
    opens(service, triage, "Bob Smith", urgency="same_day")
    opens(service, triage, "Cat O%_Neil")

    assert patients(client.get(f"/worklist?{query}").text) == found


def test_an_alert_is_found_by_the_number_that_messages_name(
    client: httpx.Client, service: Service, triage: Triage
) -> None:
    alert = opens(service, triage, "Ann Smith")
    opens(service, triage, "Bob Smith")

    assert patients(client.get(f"/worklist?q={alert.hex[-8:]}").text) == ["Ann Smith"]


def test_filters_never_keep_waiting_emergencies_from_sight_silently(
    client: httpx.Client, service: Service, triage: Triage
) -> None:
    opens(service, triage, "Ann Smith")
    opens(service, triage, "Bob Jones", urgency="same_day")

    assert "Not shown" not in client.get("/worklist").text
    assert "Not shown: 2 that wait, 1 of them emergencies." in client.get("/worklist?state=closed").text
    assert "Not shown: 1 that wait, 1 of them emergencies." in client.get("/worklist?q=jones").text
    assert "Not shown: 1 that wait." in client.get("/worklist?urgency=emergency").text


def test_mine_are_those_that_i_have_and_those_that_i_was_told_of(
    client: httpx.Client, service: Service, triage: Triage, clinic: Clinic
) -> None:
    clinic.agrees_on(STANDARD)
    clinic.sees(patient="Patient/1", name="Told First")
    clinic.sees(patient="Patient/2", name="Told Second")
    service.rows("UPDATE delivery SET person = 'second' WHERE alert_id IN "
                 "(SELECT id FROM alert WHERE subject ->> 'display' = 'Told Second')")  # fmt: skip
    clinic.sees(patient="Patient/3", name="Held First")
    [held] = service.rows("SELECT id FROM alert WHERE subject ->> 'display' = 'Held First'")
    acknowledge(service.notify.pool, DEFAULT_TENANT, held["id"], by=Actor("Dr First", "first", "page"))

    def mine(person: str | None, name: str) -> set[str]:
        with tenant_transaction(service.notify.pool, DEFAULT_TENANT) as connection:
            parts = store.page(connection, DEFAULT_TENANT, Filters(mine=True), Looker(person, name))
        return {row["subject"]["display"] for one in parts.values() for row in one.rows}

    assert mine("first", "Dr First") == {"Told First", "Held First"}
    assert mine("second", "Dr Second") == {"Told Second"}
    assert mine(None, "Dr Nobody") == set()


def test_the_list_says_who_is_told_next_and_who_has_it(client: httpx.Client, service: Service, clinic: Clinic) -> None:
    clinic.agrees_on(STANDARD + ROTA)
    clinic.sees()

    text = client.get("/worklist").text
    assert re.search(r"next: Dr Second <time[^>]*>in [45] min", text)
    assert "Dr First by e-mail sent" in text
    assert re.search(r"On call now: Nights: <strong>Nurse Night</strong>", text)

    clinic.minutes_pass(5)
    assert re.search(r"next: Dr First <time", client.get("/worklist").text)

    acknowledge(service.notify.pool, DEFAULT_TENANT, service.alert()["id"], by=Actor("A. Second", "second", "link"))
    assert "known to Dr Second" in client.get("/worklist").text


ROTA = """
[rotas.nights]
name = "Nights"
[[rotas.nights.slots]]
from = "00:00"
to = "00:00"
people = ["nurse"]
"""


def test_five_thousand_open_alerts_are_one_short_page(client: httpx.Client, rows: Rows) -> None:
    fill(rows, 5000)
    fill(rows, 300, state="accepted", name="Held")

    first = client.get("/worklist")

    shown = patients(part(first.text, "waiting"))
    assert len(shown) == 60
    assert shown[0] == "Patient 5000", "the emergency that waits longest"
    assert len(patients(first.text)) == 80
    assert "Waiting for somebody: 5000" in first.text
    assert '<span class="number">300</span>' in first.text
    assert len(first.content) < 250_000


def test_page_after_page_shows_every_alert_once(client: httpx.Client, rows: Rows) -> None:
    fill(rows, 250)
    for section, state in (("held", "accepted"), ("closed", "completed")):
        fill(rows, 230, state=state, name=section)

    for section, number in (("waiting", 250), ("held", 230), ("closed", 230)):
        address, seen, pages = f"/worklist?state={section}", [], 0
        while address:
            text = client.get(address).text
            seen += patients(part(text, section))
            pages += 1
            more = re.search(r'<p class="more"><a class="button plain" href="([^"]+)"', text)
            address = more[1].replace("&amp;", "&") if more else ""
        assert (len(seen), len(set(seen)), pages) == (number, number, 3)


def test_a_page_of_thousands_reads_its_indexes(service: Service, rows: Rows) -> None:
    fill(rows, 5000)
    fill(rows, 5000, state="completed", name="Done")
    values = {"tenant_id": DEFAULT_TENANT, "everything": True, "urgency": None, "pathway": None, "team": None,
              "mine": False, "person": None, "name": "", "told": [], "words": None, "after_late": None,
              "after_at": None, "after_id": None, "waiting": 61, "snoozed": 11, "held": 21, "closed": 11}  # fmt: skip

    with tenant_transaction(service.notify.pool, DEFAULT_TENANT) as connection:
        lines = connection.execute("EXPLAIN (ANALYZE) " + store.QUERIES["page"], values).fetchall()
    plan = "\n".join(line["QUERY PLAN"] for line in lines)

    for index in ("alert_waiting", "alert_snoozed", "alert_held", "alert_closed"):
        assert f"using {index} on alert" in plan
    read = [int(number) for number in re.findall(r"using alert_waiting on alert[^\n]*actual time=\S+ rows=(\d+)", plan)]
    assert read == [61], "no more waiting alerts are read than are shown"


def test_the_parameters_of_an_address_come_back_as_they_were() -> None:
    query = "state=waiting&urgency=emergency&mine=1&team=vascular&pathway=a-b&q=ann+smith"
    filters = read_filters(dict(pair.split("=") for pair in query.replace("+", " ").split("&")))

    assert filters.query == query
    assert read_filters({"q": "x" * 500, "team": " a  b "}) == Filters(search="x" * 100, team="a b")


@pytest.mark.parametrize("text", ["", "1", "2.1.00", "0.-1.00000000000000000000000000000000", "1.1.xyz"])
def test_a_place_that_cannot_be_read_begins_at_the_beginning(text: str) -> None:
    assert read_filters({"state": "waiting", "after": text}).after is None


def test_a_place_is_kept_to_the_microsecond() -> None:
    cursor = Cursor(True, datetime(2026, 3, 1, 12, 0, 0, 123457, UTC), UUID(int=7))

    assert Cursor.of(str(cursor)) == cursor


def test_words_for_the_time_that_is_left() -> None:
    words = [left_words(timedelta(seconds=seconds)) for seconds in (-5, 0, 12, 200, 7500)]

    assert words == ["now", "now", "in 12 s", "in 3 min 20 s", "in 2 h 5 min"]

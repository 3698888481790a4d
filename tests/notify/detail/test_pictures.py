"""The pictures of the README, taken from the running system. SURAL_PICTURES=write replaces those in docs/pictures.

What differs from one run to the next (numbers of alerts, times) is set to what always stands there.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from services.notify.acts.acknowledge import acknowledge
from services.notify.acts.actor import Actor
from services.notify.acts.snooze import snooze
from services.notify.on_call import store as on_call
from shared.ids import DEFAULT_TENANT
from shared.postgres import tenant_transaction
from tests.browser import OpenPage, Page
from tests.notify.detail.conftest import Clinic

ROOT = Path(__file__).resolve().parents[3]
PICTURES = ROOT / "docs" / "pictures"
PATIENTS = {
    "cold-pale-foot": "Ines Almeida",
    "dvt-with-chest-pain": "Tom Baker",
    "dvt-after-surgery": "Grace Chen",
    "achilles-rupture": "Noah Dietrich",
    "hot-swollen-joint": "Ella Farouk",
}
SETTLED = """() => {
    const set = (selector, words) => document.querySelectorAll(selector).forEach((one) => { one.textContent = words })
    set("#updated", "03:12:45 UTC")
    const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT)
    const numbers = new Map()
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        node.data = node.data.replace(/alert [0-9a-f]{8}\\b/g, (found) => {
            if (!numbers.has(found)) numbers.set(found, `alert 5c21f07${numbers.size}`)
            return numbers.get(found)
        })
        node.data = node.data.replace(/\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d(:\\d\\d)?/g, (_, seconds) =>
            seconds ? "2026-12-01 03:05:12" : "2026-12-01 03:05")
    }
}"""


def an_on_call_document() -> str:
    """The example, so that the same people are told and on call whenever the picture is taken."""
    text = (ROOT / "examples" / "on-call.toml").read_text(encoding="utf-8")
    kept = (line for line in text.splitlines() if not line.startswith(('  { channel = "push"', "quiet = ")))
    return "\n".join(kept).replace('to = "20:00"\npeople = ["osei"]', 'to = "20:00"\npeople = ["lind"]')


def a_busy_night(clinic: Clinic) -> None:
    """Five patients: three wait, one is snoozed, one is in hand."""
    with tenant_transaction(clinic.service.notify.pool, DEFAULT_TENANT) as connection:
        on_call.save(connection, DEFAULT_TENANT, an_on_call_document(), edited=0, by="Dr Ama Osei")
    for number, (example, name) in enumerate(PATIENTS.items()):
        response = json.loads((ROOT / "examples" / f"{example}.json").read_bytes())
        clinic.sends({**response, "subject": {"reference": f"Patient/{number + 1}", "display": name}})
        clinic.works()
    by, ids = Actor("Dr Ama Osei", "osei", "page"), ids_of(clinic)
    acknowledge(clinic.service.notify.pool, DEFAULT_TENANT, ids["Ella Farouk"], by=by)
    snooze(clinic.service.notify.pool, DEFAULT_TENANT, ids["Noah Dietrich"], by=by, minutes=10)
    clinic.service.rows("UPDATE alert SET opened_at = now() - interval '7 minutes 30 seconds'")
    clinic.service.rows("UPDATE alert SET due_at = now() + interval '200.9 seconds' WHERE due_at IS NOT NULL")


def ids_of(clinic: Clinic) -> dict[str, object]:
    rows = clinic.service.rows("SELECT id, subject ->> 'display' AS name FROM alert")
    return {row["name"]: row["id"] for row in rows}


def taken(page: Page, name: str, folder: Path) -> Path:
    """The picture of the page as it is now, settled."""
    page.evaluate(SETTLED)
    path = (PICTURES if os.environ.get("SURAL_PICTURES") == "write" else folder) / name
    page.screenshot(path=path, animations="disabled")
    return path


def test_the_readme_s_picture_of_the_worklist(clinic: Clinic, open_page: OpenPage, tmp_path: Path) -> None:
    a_busy_night(clinic)
    page = open_page(java_script_enabled=True, viewport={"width": 1200, "height": 900})
    page.route("**/assets/worklist.js*", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.context.add_cookies([{"name": "sural_name", "value": "Dr%20Ama%20Osei", "url": f"{clinic.site}/worklist"}])
    page.goto(f"{clinic.site}/worklist")

    assert page.locator("#waiting article").count() == 3
    assert taken(page, "worklist.png", tmp_path).stat().st_size > 20_000


def test_the_readme_s_picture_of_an_alert(clinic: Clinic, open_page: OpenPage, tmp_path: Path) -> None:
    a_busy_night(clinic)
    page = open_page(viewport={"width": 1200, "height": 1000})
    page.goto(clinic.address(ids_of(clinic)["Tom Baker"]))

    assert page.get_by_role("heading", name="Tom Baker").is_visible()
    assert taken(page, "alert.png", tmp_path).stat().st_size > 20_000

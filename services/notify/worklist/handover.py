"""What the next shift needs: what is open, snoozed and in hand, and what people did and wrote before. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.notify.acts.outcomes import CS_OUTCOME, CS_OVERRIDE, display
from services.notify.channels import short_id
from services.notify.worklist.filters import Section
from services.notify.worklist.store import Count, Part
from services.notify.worklist.view import TITLES, SectionView
from services.notify.worklist.words import Surroundings, clock, patient_words, shown
from shared.fhir.codes import Urgency

HOURS = (8, 12, 24)
SHIFT_HOURS = 12
MOST = 200
"""Alerts of a section, and acts; of more the page says how many there are."""
SECTIONS = (Section.WAITING, Section.SNOOZED, Section.HELD)
ACTS = {
    "acknowledged": "acknowledged",
    "started": "began to work on it",
    "snoozed": "snoozed it",
    "handed_over": "handed it over",
    "completed": "closed it",
    "cancelled": "closed it, cancelled",
    "rejected": "closed it, rejected",
    "noted": "changed it",
    "feedback": "gave feedback",
}


@dataclass(frozen=True, slots=True)
class ShownAct:
    """What somebody did or wrote, and of which alert."""

    at: str
    person: str
    words: str
    patient: str
    alert_id: str
    short: str
    urgency: Urgency


@dataclass(frozen=True, slots=True)
class HandoverView:
    """All that the template needs. `cut`: there are more acts than are shown."""

    sections: Sequence[SectionView]
    acts: Sequence[ShownAct]
    cut: bool
    hours: int
    choices: Sequence[int]
    now: str


def handover_view(
    parts: Mapping[Section, Part],
    counts: Sequence[Count],
    acts: Sequence[Mapping[str, Any]],
    known: Surroundings,
    *,
    hours: int,
    now: datetime,
) -> HandoverView:
    """The page."""
    return HandoverView(
        sections=[
            SectionView(
                section,
                TITLES[section],
                sum(count.number for count in counts if count.section is section),
                [shown(row, known) for row in parts[section].rows],
                f"state={section}" if parts[section].next else "",
                "None.",
            )
            for section in SECTIONS
        ],
        acts=[shown_act(row, known) for row in acts[:MOST]],
        cut=len(acts) > MOST,
        hours=hours,
        choices=HOURS,
        now=clock(now),
    )


def hours_of(text: str) -> int:
    """How far back the page looks, of the choices that it offers; else a shift of 12 hours."""
    return int(text) if text in map(str, HOURS) else SHIFT_HOURS


def shown_act(row: Mapping[str, Any], known: Surroundings) -> ShownAct:
    """A line of the ledger, or a note of a person, in words."""
    return ShownAct(
        at=clock(row["at"]),
        person=known.names.get(row["person_id"] or "") or row["person"],
        words=row["note"] or _act_words(row, known),
        patient=patient_words(row["subject"])[0],
        alert_id=str(row["alert_id"]),
        short=short_id(row["alert_id"]),
        urgency=Urgency(row["urgency"]),
    )


def _act_words(row: Mapping[str, Any], known: Surroundings) -> str:
    words = ACTS.get(row["kind"], row["kind"].replace("_", " "))
    if row["until"]:
        words += f" until {clock(row['until'])}"
    if row["target"]:
        words += f" to {known.names.get(row['target'], row['target'])}"
    codes = [(CS_OUTCOME, row["detail"]), (CS_OVERRIDE, row["reason"])]
    said = [display(system, code) for system, code in codes if code] if row["kind"] in CLOSES else []
    return f"{words}: {'; '.join(said)}" if said else words


CLOSES = ("completed", "cancelled", "rejected")

"""The story of an alert as lines: what happened, who did it, who was told and how that went. Pure.

All of the ledger is shown, also a kind of event that this module has no words for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.notify.acts.outcomes import CS_OUTCOME, CS_OVERRIDE, Outcome, display
from services.notify.detail.assessed import Assessed
from services.notify.detail.words import channel_word, clock, readable, urgency_word
from shared.fhir.codes import Urgency

WAYS = {
    "page": "on this page",
    "link": "by a one-time link",
    "task": "by an update of the FHIR Task",
    "webhook": "by an answer to a webhook",
}
SYSTEM = "Sural"
SENT = "delivered"
MESSAGES = {
    SENT: "{channel} to {told}: sent.",
    "delivery_failed": "{channel} to {told}: this attempt failed ({detail}); tried again.",
    "delivery_refused": "{channel} to {told}: refused ({detail}). This message reached nobody.",
    "delivery_given_up": "{channel} to {told}: given up ({detail}). This message reached nobody.",
    "withdrawn": "{channel} to {told}: not sent any more ({detail}).",
    "suppressed": "{channel} to {told}: held back ({detail}).",
}
EVENTS = {
    "opened": "Alert opened: {urgency}.",
    "joined": "A further assessment ({urgency}) joined. Nobody was told again.",
    "woken": "Open again: a further assessment ({urgency}) ended the snooze. The chain began anew.",
    "raised": "More urgent: {urgency}. The chain began anew.",
    "eased": "An assessment is less urgent now: {urgency}. Whoever was told hears of it.",
    "assessment_withdrawn": "An assessment was withdrawn: entered in error. Whoever was told hears of it.",
    "repeated": "Nobody had acknowledged: step {step} began.",
    "repeat_failed": "The next step failed and was put off.",
    "acknowledged": "Acknowledged.",
    "started": "Work on it began.",
    "handed_over": "Handed over to {target}. The chain began anew.",
    "snoozed": "Snoozed until {until}.",
    "snooze_ended": "The snooze ended: open again.",
    "completed": "Closed: {detail}.",
    "rejected": "Closed: {detail}.",
    "cancelled": "Closed: {detail}.",
    "noted": "A note was written.",
}
BAD = frozenset({"delivery_refused", "delivery_given_up", "repeat_failed"})


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `at` None: not yet over. `who`: the person, and the way by which the act came; "" for the system."""

    at: datetime | None
    text: str
    who: str = ""
    bad: bool = False
    message: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """What a person wrote, as it stands on the Task."""

    author: str
    time: str
    text: str


def notes_of(task: Mapping[str, Any]) -> tuple[Note, ...]:
    """The notes that people wrote, in their order; what the system notes on the Task stands in the ledger."""
    found = (
        Note(str(one.get("authorString", "")), str(one.get("time", "")), str(one.get("text", "")))
        for one in task.get("note", ())
    )
    return tuple(note for note in found if note.author != SYSTEM)


def ledger_lines(
    events: Iterable[Mapping[str, Any]], unsent: Iterable[Mapping[str, Any]], names: Mapping[str, str]
) -> tuple[Line, ...]:
    """All events in order, then what is still being tried. `names`: of people and teams by id."""
    lines = [_line(event, names) for event in events]
    return (*lines, *(_trying(one, names) for one in unsent))


def with_submission(lines: Iterable[Line], received: datetime | None, assessed: Assessed | None) -> tuple[Line, ...]:
    """The same with the times of the answers behind it, where they are known."""
    found = list(lines)
    if received is not None:
        found.append(Line(received, "The answers that were assessed were received."))
    if assessed is not None and assessed.at is not None:
        found.append(Line(assessed.at, f"Assessed: {urgency_word(assessed.urgency)} (version {assessed.version})."))
    return tuple(sorted(found, key=lambda line: (line.at is None, line.at.timestamp() if line.at else 0.0)))


def _line(event: Mapping[str, Any], names: Mapping[str, str]) -> Line:
    kind, detail = str(event["kind"]), event.get("detail")
    text = MESSAGES.get(kind) if event.get("channel") else None
    words = {
        "channel": channel_word(event.get("channel") or "").capitalize(),
        "told": _told(event, names),
        "detail": _detail(detail),
        "urgency": _urgency(detail),
        "step": event.get("step"),
        "target": names.get(event.get("target") or "", event.get("target") or "somebody else"),
        "until": clock(until) if (until := event.get("until")) else "later",
    }
    known = text or EVENTS.get(kind)
    said = known.format(**words) if known else f"{readable(kind).capitalize()} ({detail or 'no detail'})."
    if reason := event.get("reason"):
        said += f" Reason: {display(CS_OVERRIDE, reason)}."
    return Line(event["at"], said, _who(event), kind in BAD, bool(event.get("channel")))


def _trying(delivery: Mapping[str, Any], names: Mapping[str, str]) -> Line:
    tries = delivery["attempts"]
    so_far = f", {tries} attempts so far ({delivery['answer']})" if tries else ""
    text = f"{channel_word(delivery['channel']).capitalize()} to {_told(delivery, names)}: being tried{so_far}."
    return Line(None, text, message=True, bad=tries > 1)


def _told(row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    person = str(row.get("told") or "")
    address = str(row.get("recipient") or "somebody")
    return f"{names[person]} ({address})" if person in names else address


def _who(event: Mapping[str, Any]) -> str:
    person = event.get("person")
    if not person:
        return ""
    way = WAYS.get(event.get("way") or "", "")
    return f"{person}, {way}" if way else str(person)


def _detail(detail: str | None) -> str:
    """A detail in words: an outcome as its display, anything else as it is."""
    if detail in list(Outcome):
        return display(CS_OUTCOME, str(detail))
    return readable(detail or "without further words")


def _urgency(detail: str | None) -> str:
    return urgency_word(Urgency(detail)) if detail in list(Urgency) else readable(detail or "not known")

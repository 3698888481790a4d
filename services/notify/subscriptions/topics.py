"""What can be subscribed to: topics by their canonical URLs, and how events of each can be filtered. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.fhir.codes import CANONICAL

PATIENT: Final = "patient"


@dataclass(frozen=True, slots=True)
class Topic:
    """Every new resource of a type, and every new version of one, is an event. `filters`: search parameters."""

    id: str
    resource_type: str
    filters: tuple[str, ...]
    title: str
    description: str

    @property
    def url(self) -> str:
        """The canonical that a Subscription names in `criteria`."""
        return f"{CANONICAL}/SubscriptionTopic/{self.id}"


ALERT: Final = Topic(
    "alert",
    "Task",
    (PATIENT, "priority", "status"),
    "An alert was opened, or something happened to it",
    "The Task of an alert is new or has a new version: opened, told, raised, acknowledged, handed over, snoozed, "
    "exhausted, resolved, withdrawn.",
)
ASSESSMENT: Final = Topic(
    "assessment",
    "RiskAssessment",
    (PATIENT, "_tag"),
    "A response was assessed",
    "A RiskAssessment of any urgency is new, or has a new version because its response was amended or withdrawn.",
)
TOPICS: Final = {topic.id: topic for topic in (ALERT, ASSESSMENT)}


def topic_of(canonical: str) -> Topic | None:
    """The topic of this canonical, with or without a version, or None."""
    url = canonical.partition("|")[0]
    return next((topic for topic in TOPICS.values() if topic.url == url), None)

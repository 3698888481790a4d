"""What must be reached, on two cores that generator and servers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """A figure of the report and its limit."""

    key: str
    words: str
    limit: float
    unit: str
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Whether this is good enough."""
        return value >= self.limit if self.at_least else value <= self.limit

    @property
    def limit_words(self) -> str:
        """As it stands in a table."""
        return f"{'at least' if self.at_least else 'at most'} {self.limit:,g}"


TARGETS = (
    Target("whole_path_ms", "a response, whole path", 3.0, "ms CPU"),
    Target("whole_path_units", "the same in units", 90, "units"),
    Target("intake_ms", "a response, intake alone", 1.5, "ms CPU"),
    Target("intake_units", "the same in units", 45, "units"),
    Target("validation_ms", "gate and validation, 60 items", 0.3, "ms CPU"),
    Target("throughput_per_s", "whole path sustained, closed loop", 500, "a second", at_least=True),
    Target("post_p50_ms", "100/s: POST to 201, median", 5, "ms"),
    Target("post_p99_ms", "100/s: POST to 201, 99th", 25, "ms"),
    Target("assessment_p50_ms", "100/s: POST to RiskAssessment, median", 20, "ms"),
    Target("assessment_p99_ms", "100/s: POST to RiskAssessment, 99th", 100, "ms"),
    Target("alert_p50_ms", "20 urgent/s: POST to SMTP, median", 50, "ms"),
    Target("alert_p99_ms", "20 urgent/s: POST to SMTP, 99th", 300, "ms"),
    Target("growth_ratio", "largest store against 10 thousand", 1.7, "times"),
    Target("rest_memory_mb", "memory of all at rest (PSS)", 600, "MB"),
)


def verdict(target: Target, figures: Mapping[str, Any]) -> str:
    """`met`, `missed`, or nothing where it was not measured."""
    value = figures.get(target.key)
    return "" if value is None else "met" if target.met(float(value)) else "MISSED"

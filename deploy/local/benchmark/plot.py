"""The report as a picture (SVG): latency by rate, cost by process, cost by stage. For light and for dark ground."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from typing import Any

from deploy.local.benchmark.numbers import short

WIDTH, LEFT = 860, 290
ROOM = WIDTH - LEFT - 130
ROW, BAR, TITLE, GAP = 20, 12, 34, 18
LONGEST_LIST = 24
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1a1a1a; }
.title { font-weight: 600; font-size: 15px; }
.quiet { fill: #595959; }
.bar { fill: #1f5fa8; } .more { fill: #9dbfe6; } .line { stroke: #595959; stroke-width: 1; }
.ground { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f0f0; }
.quiet { fill: #b4b4b4; }
.bar { fill: #6aa9f0; } .more { fill: #2f5580; } .line { stroke: #b4b4b4; }
.ground { fill: #161616; }
}
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A bar, and a paler one behind it that reaches further (`more`)."""

    label: str
    value: float
    more: float | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars below a title. `logarithmic`: each step to the right is ten times as much."""

    title: str
    rows: Sequence[Row]
    logarithmic: bool = False


def plot(report: dict[str, Any]) -> str:
    """The picture of a report; panels of what was not measured are left out."""
    panels = [panel for panel in _panels(report) if panel.rows]
    drawn, top = [], GAP
    for panel in panels:
        drawn += list(_draw(panel, top))
        top += TITLE + ROW * len(panel.rows) + GAP
    machine = report["machine"]
    words = f"{machine['date'][:10]}, commit {machine['commit']}, {machine['processor']}, {machine['cores']} cores"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 2 * ROW}" role="img" '
            f'aria-label="What a response costs and how long it takes">',
            f"<style>{STYLE}</style>",
            f'<rect class="ground" width="{WIDTH}" height="{top + 2 * ROW}"/>',
            *drawn,
            _text(GAP, top + ROW, words, "quiet"),
            "</svg>\n",
        ]
    )


def _panels(report: dict[str, Any]) -> Iterator[Panel]:
    latencies = [
        Row(f"{rate}: {words}", measured[what]["p50"], measured[what]["p99"])
        for rate, measured in (report.get("rates") or {}).items()
        for what, words in (
            ("answer", "POST to 201"),
            ("assessment", "to RiskAssessment"),
            ("mail", "to SMTP accepted"),
        )
        if measured[what]["p50"] is not None
    ]
    yield Panel(
        "Milliseconds from the moment it was due: median, and 99th percentile (pale); logarithmic", latencies, True
    )
    for key, words in (("whole_path", "Whole path"), ("intake", "Intake alone")):
        costs = (report.get(key) or {}).get("ms_by_name", {})
        title = f"{words}: milliseconds of processor time a response, by process"
        yield Panel(title, [Row(name, cost) for name, cost in costs.items() if cost >= 0.005])
    stages = report.get("stages") or {}
    rows = [Row(name, stage["us"], stage["us"] + stage["server_us"]) for name, stage in stages.items()]
    yield Panel(
        "Stages alone: microseconds a response, here, and with the server (pale); logarithmic",
        rows[:LONGEST_LIST],
        True,
    )


def _draw(panel: Panel, top: float) -> Iterator[str]:
    yield _text(GAP, top + 16, panel.title, "title")
    reach = [max(row.value, row.more or 0.0) for row in panel.rows]
    length = _logarithmic(panel.rows, max(reach)) if panel.logarithmic else _linear(max(reach))
    for number, (row, most) in enumerate(zip(panel.rows, reach, strict=True)):
        y = top + TITLE + ROW * number
        yield _text(LEFT - 8, y + BAR - 1, row.label, anchor="end")
        if row.more is not None:
            yield _bar(y, length(row.more), "more")
        yield _bar(y, length(row.value), "bar")
        words = short(row.value) + (f" / {short(row.more)}" if row.more is not None and row.more != row.value else "")
        yield _text(LEFT + length(most) + 6, y + BAR - 1, words, "quiet")
    bottom = top + TITLE + ROW * len(panel.rows) - (ROW - BAR)
    yield f'<line class="line" x1="{LEFT}" x2="{LEFT}" y1="{top + TITLE - 4:g}" y2="{bottom + 4:g}"/>'


def _linear(most: float) -> Callable[[float], float]:
    """From a value to the length of its bar."""
    return lambda value: ROOM * max(value, 0.0) / (most or 1.0)


def _logarithmic(rows: Sequence[Row], most: float) -> Callable[[float], float]:
    """The same; the bars begin at the power of ten below the smallest value."""
    least = min((row.value for row in rows if row.value > 0), default=1.0)
    begin = floor(log10(0.8 * least))
    end = max(ceil(log10(most)) if most > 0 else begin, begin + 1)
    return lambda value: ROOM * max((log10(value) - begin) / (end - begin), 0.0) if value > 0 else 0.0


def _bar(y: float, length: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{LEFT}" y="{y:g}" width="{length:.1f}" height="{BAR}"/>'


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    shown = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:g}" text-anchor="{anchor}"{shown}>{escape(words)}</text>'

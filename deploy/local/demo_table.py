"""What `sural demo` prints: progress while it runs, then one row per example."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from deploy.local.demo import Row, expectations, run


def show(base_url: str, console: Console) -> bool:
    """Run the demo against this system and print it. True when every expected outcome came."""
    total = len(expectations())
    rows: list[Row] = []

    def progress(title: str) -> None:
        console.print(f"[{len(rows) + 1:2}/{total}] {title}", markup=False, highlight=False)

    for row in run(base_url, progress=progress):
        rows.append(row)
    console.print(_table(rows))
    failed = [row for row in rows if row.problem is not None]
    for row in failed:
        console.print(f"MISSING  {row.name}: {row.problem}", style="bold red", markup=False, soft_wrap=True)
    alerts = sum(row.acknowledged for row in rows)
    console.print(
        f"{total - len(failed)} of {total} as expected; {alerts} alerts delivered and acknowledged.",
        highlight=False,
    )
    return not failed


def _table(rows: list[Row]) -> Table:
    table = Table("case", "HTTP", "urgency", "red flags", "assessed", "alert delivered", "acknowledged")
    for row in rows:
        table.add_row(
            row.name,
            str(row.status or "-"),
            row.urgency or "-",
            row.flags or "-",
            _after(row.assessed_ms),
            _after(row.alerted_ms),
            "yes" if row.acknowledged else "-",
            style="red" if row.problem else None,
        )
    return table


def _after(milliseconds: int | None) -> str:
    return "-" if milliseconds is None else f"after {milliseconds} ms"

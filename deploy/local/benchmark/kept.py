"""Runs that are kept: the report as JSON, its picture, and the page that shows the last one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from deploy.local.benchmark.plot import plot
from deploy.local.benchmark.report import as_table
from deploy.local.folder import CHECKOUT

KEPT = CHECKOUT / "docs" / "benchmark"
PAGE = Path(__file__).with_name("page.md")

Json = dict[str, Any]


def last_kept(folder: Path = KEPT, *, mode: str = "full") -> Json | None:
    """The newest run that was kept of this kind, None where there is none."""
    found = [orjson.loads(path.read_bytes()) for path in folder.glob("*.json")]
    runs = [run for run in found if isinstance(run, dict) and run.get("mode") == mode]
    return max(runs, key=lambda run: str(run["machine"]["date"]), default=None)


def keep(report: Json, before: Json | None, folder: Path) -> list[Path]:
    """Write `<date>-<commit>.json` and `.svg`, and the page anew; returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = report["machine"]
    name = f"{machine['date'][:10]}-{machine['commit'].rstrip('+')}"
    text, picture, page = folder / f"{name}.json", folder / f"{name}.svg", folder / "README.md"
    text.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    picture.write_text(plot(report), encoding="utf-8")
    page.write_text(page_of(report, before, picture.name), encoding="utf-8")
    return [text, picture, page]


def page_of(report: Json, before: Json | None, picture: str) -> str:
    """How it is measured, how to read it, and the last run."""
    machine = report["machine"]
    where = (
        f"{machine['date'][:16].replace('T', ' ')} UTC, commit `{machine['commit']}`, {report['mode']} run. "
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']:.0f} GB, Linux {machine['kernel']}, "
        f"Python {machine['python']}, PostgreSQL {machine['postgresql']}, load {machine['load']:.1f} when it began."
    )
    compared = ""
    if before:
        compared = (
            f"`x` compares with the run of {before['machine']['date'][:10]}, `{before['machine']['commit']}`.\n\n"
        )
    table = "\n".join(as_table(report, before))
    last = f"{where}\n\n{compared}![Latency and cost]({picture})\n\n```\n{table}\n```\n"
    return PAGE.read_text(encoding="utf-8").replace("LAST RUN\n", last)

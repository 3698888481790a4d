"""`python -m tests.mutants [--only NAME] [--jobs N] [--write]`.

Exit code 1 when a mutant lives, or a test fails without one.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import typer

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import ROOT
from tests.mutants.run import Fate, try_mutant, try_whole

PAGE = ROOT / "docs" / "mutants.md"


def main() -> int:
    """Try each mutant; print a line for each, and write the page with `--write`."""
    given = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    given.add_argument("--only", metavar="NAME", action="append", help="only mutants with this in their name")
    given.add_argument("--jobs", metavar="N", type=int, default=2, help="so many at a time (2)")
    given.add_argument("--write", action="store_true", help="write docs/mutants.md")
    arguments = given.parse_args()
    wanted = [one for one in MUTANTS if not arguments.only or any(part in one.name for part in arguments.only)]
    with ThreadPoolExecutor(arguments.jobs) as workers:
        without = workers.submit(try_whole, [mutant.test for mutant in wanted])
        fates = list(workers.map(lambda mutant: told(try_mutant(mutant)), wanted))
    if (whole := without.result()) is not None:
        typer.echo(f"FAIL without any mutant: {whole}")
        return 1
    if arguments.write and all(fate.problem is None for fate in fates):
        PAGE.write_text(page(fates, datetime.now(UTC)), encoding="utf-8")
    return 0 if fates and all(fate.problem is None for fate in fates) else 1


def told(fate: Fate) -> Fate:
    """Print what became of a mutant."""
    typer.echo(f"{'ok  ' if fate.problem is None else 'FAIL'} {fate.mutant.name} ({fate.seconds:.0f} s)")
    if fate.problem is not None:
        typer.echo(f"     {fate.problem}")
    return fate


def page(fates: list[Fate], when: datetime) -> str:
    """The page: every mutant, what it would do, and the test that notices."""
    rows = [
        f"| {fate.mutant.name} | {fate.mutant.harm} | {_files(fate)} | `{fate.mutant.test}` | {fate.seconds:.0f} |"
        for fate in fates
    ]
    return "\n".join([HEAD.format(number=len(fates), day=when.date()), *rows, ""])


def _files(fate: Fate) -> str:
    return ", ".join(dict.fromkeys(f"`{Path(change.file)}`" for change in fate.mutant.changes))


HEAD = """# Mutants: proof that the tests bite

A test that cannot fail proves nothing. Each line below is a way to break the system on purpose: a few words of code or
SQL are replaced in a copy of the tree, one test is run there, and it must fail; without the change it must pass. All
{number} were noticed on {day}. Seconds are those of the test on the broken tree, its servers included, on a shared
machine.

    python -m tests.mutants [--only NAME] [--jobs N] [--write]

The daily tests only check that every change still applies and every named test exists
(`tests/mutants/test_mutants.py`). Whoever changes such a place finds the mutant there and adapts it; whoever adds a
promise adds its mutant to `tests/mutants/catalogue.py`.

| mutant | what it would do to a patient | file | caught by | s |
|---|---|---|---|---|"""


if __name__ == "__main__":
    sys.exit(main())

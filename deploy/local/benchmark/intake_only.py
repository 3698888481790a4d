"""Intake without its neighbours, as `./sural up` runs it: the web process, and intake's own background loops.

    python -m deploy.local.benchmark.intake_only --data DIR --port N

PostgreSQL and Valkey as ever; nobody assesses and nobody is told. Returns when it is ready; `./sural down` stops it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from deploy.local.children import Child
from deploy.local.folder import DataFolder
from deploy.local.up import Plan, run_detached


def intake_children(_given: Mapping[str, str], _data: DataFolder) -> list[Child]:
    """Who answers, and who relays and seals."""
    return [
        Child("web", "deploy.local.web"),
        Child("background", "services.intake", ["background"], stop_stage=1),
    ]


def main() -> None:
    """Start it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    run_detached(DataFolder.open(given.data), port=given.port, plan=Plan(children=intake_children))


if __name__ == "__main__":
    main()

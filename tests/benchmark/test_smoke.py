"""`./sural bench --smoke`: everything is started, posted to and measured, and nothing is lost on the way.

Not how fast: a machine that runs tests is busy. A run that `.ci/run` has just made is judged, and not made again:
SURAL_SMOKE names the folder where it was kept.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from deploy.local.benchmark.report import MISSING
from deploy.local.folder import CHECKOUT

NOT_IN_SMOKE = {"growth_ratio", "peers"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if made := os.environ.get("SURAL_SMOKE"):
        return kept_in(Path(made))
    folder = tmp_path_factory.mktemp("kept")
    command = [sys.executable, "-P", "-m", "deploy.local", "bench", "--smoke", "--json", "--out", str(folder)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=550, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    kept = kept_in(folder)
    assert orjson.loads(done.stdout).items() <= kept.items()
    return kept


def kept_in(folder: Path) -> dict[str, Any]:
    """The report that was kept in this folder, and what was written there."""
    [file] = folder.glob("*.json")
    measured: dict[str, Any] = orjson.loads(file.read_bytes())
    return measured | {"written": sorted(path.suffix for path in folder.iterdir())}


@pytest.mark.timeout(600)
def test_every_figure_was_measured(report: dict[str, Any]) -> None:
    figures = {key: report[key] for key in MISSING if key not in NOT_IN_SMOKE}

    assert all(isinstance(value, float) and value > 0 for value in figures.values()), figures
    assert report["written"] == [".json", ".md", ".svg"]


@pytest.mark.timeout(600)
def test_nothing_was_lost_or_done_twice(report: dict[str, Any]) -> None:
    assert (report["lost"], report["doubled"], report["refused"]) == (0, 0, 0)
    assert report["accepted"] >= 300


@pytest.mark.timeout(600)
def test_the_figures_agree_with_each_other(report: dict[str, Any]) -> None:
    assert report["post_p50_ms"] <= report["post_p99_ms"] <= report["rates"]["100/s"]["answer"]["max"]
    assert report["post_p50_ms"] < report["assessment_p50_ms"]
    assert report["intake_ms"] < report["whole_path_ms"]
    assert report["rest_memory_without_servers_mb"] < report["rest_memory_mb"]


@pytest.mark.timeout(600)
def test_every_process_is_in_the_account(report: dict[str, Any]) -> None:
    names = set(report["whole_path"]["ms_by_name"])

    assert {"sural-web", "sural-triage", "valkey-server", "PostgreSQL sural_intake"} <= names
    assert not any("benchmark" in name for name in names)


@pytest.mark.timeout(600)
def test_every_stage_has_a_cost_here_and_those_with_a_server_have_one_there(report: dict[str, Any]) -> None:
    stages = report["stages"]

    assert all(stage["us"] > 0 and stage["units"] > 0 for stage in stages.values())
    with_server = {name for name, stage in stages.items() if stage["server_us"] > 0}
    for word in ("insert", "relay", "claim", "Celery", "SMTP"):
        assert any(name.startswith(word) for name in with_server), word

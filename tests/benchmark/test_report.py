"""What the benchmark prints and keeps: every promised figure, the target beside it, a picture that can be drawn."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pytest

from deploy.local.benchmark.accounting import Memory
from deploy.local.benchmark.growth import Cost, Growth
from deploy.local.benchmark.kept import keep, last_kept, page_of
from deploy.local.benchmark.ledger import Wrong
from deploy.local.benchmark.load import Load, summed_up
from deploy.local.benchmark.machine import Machine
from deploy.local.benchmark.numbers import Block, Spread
from deploy.local.benchmark.pace import Times
from deploy.local.benchmark.peers import Peer
from deploy.local.benchmark.peers.bodies import DAMAGES
from deploy.local.benchmark.plot import plot
from deploy.local.benchmark.report import MISSING, as_table, figures_of_whole, report_of
from deploy.local.benchmark.stage import StageCost
from deploy.local.benchmark.targets import TARGETS, verdict
from deploy.local.benchmark.whole_path import Whole

SVG = "{http://www.w3.org/2000/svg}"
MACHINE = Machine("A <processor>", 2, 8.0, "6.1", "3.11.7", "18.6", "abc1234567", "2026-11-29T20:00:00+00:00", 0.1)
UNIT = 30e-6


def load(cost_ms: float, *, after: float = UNIT) -> Load:
    by_name = {"sural-web": cost_ms / 2e3, "PostgreSQL sural_intake": cost_ms / 2e3}
    return Load(Block(cost_ms / 1e3, UNIT, after), 1000, 600.0, 800.0, by_name, 0.1e-3, 0.2e-3)


def times(*milliseconds: float) -> Times:
    seconds = [each / 1e3 for each in milliseconds]
    return Times(seconds, [2 * each for each in seconds], [2.9 * each for each in seconds], 3, 1, 0.002)


def growth() -> list[dict[str, Any]]:
    costs = {"create": Cost(1.0, 1.5, 10.0)}
    return [asdict(Growth(10_000, 10**8, (), costs)), asdict(Growth(1_000_000, 10**10, ("body",), costs))]


def all_else() -> dict[str, Any]:
    """What only a full run measures, and the stages."""
    cost = StageCost(Spread(100.0, 90.0, 110.0, 7), Spread(50.0, 50.0, 50.0, 7), Spread(5.0, 4.0, 6.0, 7), 2)
    peer = Peer("A peer", "1.0", 140.0, 5.0, 0.5, 100.0, dict.fromkeys(DAMAGES, True), "PostgreSQL")
    return {
        "growth": growth(),
        "growth_ratio": 1.0,
        "validation_ms": 0.2,
        "stages": {"insert": cost.as_json()},
        "peers": {peer.name: peer.units},
        "peers_measured": [asdict(peer)],
        "malformed": {"inputs": 545, "slowest_ms": 80.0, "memory_mb": 6.0, "wrongly_answered": []},
    }


def a_report(**more: Any) -> dict[str, Any]:
    memory = {"sural-web": Memory(1, 100.0, 150.0), "PostgreSQL itself": Memory(9, 20.0, 60.0)}
    full = summed_up([load(2.0), load(3.0), load(4.0), load(9.0, after=2 * UNIT)])
    rates = {"25/s": times(1, 2), "100/s": times(*range(1, 101)), "200/s": times(5, 50), "alerts": times(10, 100)}
    whole = Whole(full, rates, memory, memory, 40.0, 3.0, Wrong(), 4000, "18.6")
    return report_of(MACHINE, "full", **figures_of_whole(whole, summed_up([load(1.2)])), **more)


def test_every_promised_key_is_there_and_null_where_nothing_was_measured() -> None:
    report = orjson.loads(orjson.dumps(a_report()))

    assert set(MISSING) <= set(report)
    assert report["growth_ratio"] is report["peers"] is report["validation_ms"] is None
    measured = set(MISSING) - {"growth_ratio", "peers", "validation_ms"}
    assert all(isinstance(report[key], float) for key in measured)


def test_the_figures_are_medians_over_the_blocks_that_count() -> None:
    report = a_report()

    assert report["whole_path_ms"] == pytest.approx(3.0)
    assert report["whole_path_units"] == pytest.approx(100)
    assert report["whole_path"]["dropped"] == 1
    assert report["whole_path"]["ms_by_name"]["sural-web"] == pytest.approx(1.5)
    assert report["intake_ms"] == pytest.approx(1.2)
    assert report["rest_memory_mb"] == 120
    assert report["rest_memory_without_servers_mb"] == 100


def test_latencies_are_those_at_a_hundred_a_second_and_of_the_emergencies() -> None:
    report = a_report()

    assert (report["post_p50_ms"], report["post_p99_ms"]) == pytest.approx((50, 99))
    assert (report["assessment_p50_ms"], report["assessment_p99_ms"]) == pytest.approx((100, 198))
    assert (report["alert_p50_ms"], report["alert_p99_ms"]) == pytest.approx((29, 290))


def test_each_target_says_whether_it_was_met_and_nothing_where_it_was_not_measured() -> None:
    said = {target.key: verdict(target, a_report()) for target in TARGETS}

    assert said["throughput_per_s"] == said["whole_path_ms"] == said["alert_p99_ms"] == "met"
    assert said["whole_path_units"] == said["post_p50_ms"] == "MISSED"
    assert said["growth_ratio"] == ""


def test_the_table_fits_a_terminal_and_compares_with_the_run_before() -> None:
    before = a_report() | {"throughput_per_s": 300.0}
    lines = list(as_table(orjson.loads(orjson.dumps(a_report(**all_else()))), before))

    assert max(map(len, lines)) <= 100
    [throughput] = [line for line in lines if line.startswith("whole path sustained")]
    assert throughput.split()[-2:] == ["x", "2.00"]
    assert all(any(line.startswith(target.words) for line in lines) for target in TARGETS)
    for word in ("insert", "create", "A peer", "545 malformed inputs"):
        assert any(word in line for line in lines), word


@pytest.mark.parametrize(
    "report", [a_report(**all_else()), report_of(MACHINE, "full")], ids=["measured", "nothing measured"]
)
def test_the_picture_is_well_formed_and_has_colours_for_dark_ground(report: dict[str, Any]) -> None:
    picture = plot(report)
    root = ET.fromstring(picture)

    assert root.tag == f"{SVG}svg"
    assert "prefers-color-scheme: dark" in picture
    assert "A <processor>" in "".join(root.itertext())
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")


def test_a_longer_time_has_a_longer_bar_and_the_99th_percentile_lies_behind_the_median() -> None:
    root = ET.fromstring(plot(a_report()))
    bars = [(bar.get("class"), float(bar.get("width", "0"))) for bar in root.iter(f"{SVG}rect")]
    pale = [width for kind, width in bars if kind == "more"]
    full = [width for kind, width in bars if kind == "bar"]

    assert 0 < full[0] < pale[0]
    assert full[3] > full[0]


def test_a_kept_run_is_found_again_and_the_page_shows_it(tmp_path: Path) -> None:
    older = a_report() | {"machine": a_report()["machine"] | {"date": "2026-11-01T00:00:00+00:00", "commit": "old"}}
    keep(older, None, tmp_path)
    written = keep(a_report(), last_kept(tmp_path), tmp_path)

    assert [path.name for path in written] == ["2026-11-29-abc1234567.json", "2026-11-29-abc1234567.svg", "README.md"]
    found = last_kept(tmp_path)
    assert found is not None
    assert found["machine"]["commit"] == "abc1234567"
    page = (tmp_path / "README.md").read_text()
    assert "![Latency and cost](2026-11-29-abc1234567.svg)" in page
    assert "2026-11-01, `old`" in page
    assert "LAST RUN" not in page


def test_nothing_kept_means_nothing_to_compare_with(tmp_path: Path) -> None:
    assert last_kept(tmp_path) is None
    assert "compares with" not in page_of(a_report(), None, "a.svg")

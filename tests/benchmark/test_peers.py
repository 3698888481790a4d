"""The arithmetic of the peers' table, what is posted to them, and what is said when there is no network."""

from __future__ import annotations

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import orjson
import pytest

from deploy.local.benchmark.peers import as_table
from deploy.local.benchmark.peers.bodies import DAMAGES, Posts
from deploy.local.benchmark.peers.catalogue import CANDIDATES, Candidate
from deploy.local.benchmark.peers.install import PROGRAMS, _run
from deploy.local.benchmark.peers.measure import Block, Peer, _install_all, _Running, refused_by
from deploy.local.benchmark.peers.server import Server, processor_s
from deploy.local.triage import shipped_form
from services.intake.conformance import check_conformance
from shared.fhir.parse import parse_resource
from shared.problems import ProblemError, Severity
from tests.waiting import eventually

EXAMPLE = (Path(__file__).resolve().parents[2] / "examples" / "dvt-after-surgery.json").read_bytes()
BUSY = "import time\nwhile time.process_time() < 2: pass"
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


def test_a_post_is_sound_and_was_never_posted_before() -> None:
    posts = Posts.of(EXAMPLE)
    first, second = (parse_resource(posts.fresh(), resource_type="QuestionnaireResponse").resource for _ in range(2))
    assert first["identifier"]["value"] != second["identifier"]["value"]
    assert {**first, "identifier": None} == {**second, "identifier": None}


def test_each_damaged_post_has_its_fault_and_no_other() -> None:
    posts = Posts.of(EXAMPLE)
    sound, damaged = orjson.loads(posts.fresh()), {name: orjson.loads(body) for name, body in posts.damaged().items()}
    assert set(damaged) == {"extra field", "status outside the value set", "linkId missing", "unknown linkId"}
    changed = {name: [key for key in body if body[key] != sound.get(key)] for name, body in damaged.items()}
    assert changed == {
        "extra field": ["identifier", "colour"],
        "status outside the value set": ["identifier", "status"],
        "linkId missing": ["identifier", "item"],
        "unknown linkId": ["identifier", "item"],
    }


def test_our_own_gate_refuses_every_damaged_post_and_takes_the_sound_one() -> None:
    posts = Posts.of(EXAMPLE)
    form = shipped_form(str(orjson.loads(EXAMPLE)["questionnaire"]))

    def refused(body: bytes) -> bool:
        try:
            response = parse_resource(body, resource_type="QuestionnaireResponse").resource
        except ProblemError:
            return True
        return any(problem.severity is Severity.ERROR for problem in check_conformance(form, response))

    assert not refused(posts.fresh())
    assert [name for name, body in posts.damaged().items() if not refused(body)] == []


def test_a_refusal_is_4xx_and_a_fault_of_the_server_is_none() -> None:
    answers = {"colour": 400, "banana": 500, "no-such-question": 201}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name is the library's
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send_response(next((status for word, status in answers.items() if word in body), 422))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        refuses = refused_by(Server(server.server_port, "/", os.getpid()), Posts.of(EXAMPLE))
        server.shutdown()
    assert refuses == {
        "extra field": True,
        "status outside the value set": False,
        "linkId missing": True,
        "unknown linkId": False,
    }


def test_units_are_server_and_database_per_post_and_the_median_block_counts() -> None:
    assert Block(100, 2.0, server_ms=200.0, database_ms=100.0, unit_ms=0.03).units == pytest.approx(100.0)
    running = _Running("peer", "1.0", "PostgreSQL", Server(1, "/", 1), dict.fromkeys(DAMAGES, True))
    running.blocks = [Block(100, 2.0, 100.0 * each, 0.0, 0.1) for each in (1, 9, 2)]
    measured = running.as_peer()
    assert (measured.units, measured.server_ms, measured.per_second) == (pytest.approx(20.0), 2.0, 50.0)


def test_the_table_says_beside_each_figure_what_is_checked_and_where_it_is_kept() -> None:
    refuses = {name: name != "unknown linkId" for name in DAMAGES}
    lines = list(as_table([Peer("peer", "1.0", 41.6, 1.5, 0.25, 99.0, refuses, "SQLite")]))
    assert lines[1].split() == ["peer", "1.0", "42", "1.50", "0.25", "99", "y/y/y/n", "SQLite"]
    assert lines[-1] == "refuses: extra field, status outside the value set, linkId missing, unknown linkId"


def test_processor_time_counts_what_children_did() -> None:
    command = [sys.executable, "-c", PARENT, BUSY]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert eventually(lambda: processor_s(process.pid) > 0.4)
        process.kill()


def test_without_a_package_index_peers_are_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_INDEX_URL", "NPM_CONFIG_REGISTRY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    said: list[str] = []
    one = Candidate("peer", "1.0", ["no-such-package-of-anybody==1.0"], ["env/bin/python"], "/", "no")
    with pytest.raises(SystemExit, match="needs a connection to the package indexes"):
        _install_all([one], tmp_path, said.append)
    assert any("peer is not measured" in line for line in said)


def test_every_peer_is_pinned_and_its_programs_are_here() -> None:
    for each in CANDIDATES:
        assert all("==" in package or "@" in package[1:] for package in each.packages), each.name
        assert all((PROGRAMS / name).is_file() for name in each.programs), each.name


def test_what_others_wrote_is_installed_without_our_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURAL_SERVICE_TOKEN", "a-token-of-the-real-system-4711")

    _run(
        tmp_path,
        [sys.executable, "-c", "import os, sys; sys.exit(any('4711' in value for value in os.environ.values()))"],
    )

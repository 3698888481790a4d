"""`sural bench --peers`: what one post costs a peer and its database, in units of reading the same body.

Unit: the processor time of one `orjson.loads` of the body, measured before and after each block. Blocks of all servers
take turns, so that what else happens on the machine meets them alike; the median of the blocks counts.
"""

from __future__ import annotations

import http.client
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import orjson
import psycopg

from deploy.local.benchmark.peers.bodies import DAMAGES, Posts
from deploy.local.benchmark.peers.catalogue import CANDIDATES, Candidate
from deploy.local.benchmark.peers.install import NotInstalledError, install
from deploy.local.benchmark.peers.server import TYPE, NotStartedError, Server, our_intake, peer, processor_s
from deploy.local.environment import server_variables
from deploy.local.migrate import migrate_all
from deploy.local.servers import EmbeddedPostgres

OURS = "Sural intake"
ROUNDS, BLOCK_S, CONNECTIONS, WARM_UP_S = 7, 2.0, 4, 1.0
UNIT_RUNS = 200
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Block:
    """Posts that were accepted in one block, how long it took, and what it cost; `unit_ms` is that of the body."""

    posts: int
    seconds: float
    server_ms: float
    database_ms: float
    unit_ms: float

    @property
    def units(self) -> float:
        """Processor time of one post, server and database, in units."""
        return (self.server_ms + self.database_ms) / max(self.posts, 1) / self.unit_ms


@dataclass(frozen=True, slots=True)
class Peer:
    """What was measured of one server. `refuses` says of each damaged post whether it was refused (4xx)."""

    name: str
    version: str
    units: float
    server_ms: float
    database_ms: float
    per_second: float
    refuses: Mapping[str, bool]
    durable: str

    @property
    def checks(self) -> str:
        """A word for each damage in their order: y refused, n accepted."""
        return "/".join("y" if self.refuses[name] else "n" for name in DAMAGES)


@dataclass(slots=True)
class _Running:
    name: str
    version: str
    durable: str
    server: Server
    refuses: Mapping[str, bool] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def as_peer(self) -> Peer:
        return Peer(
            self.name,
            self.version,
            median(block.units for block in self.blocks),
            median(block.server_ms / max(block.posts, 1) for block in self.blocks),
            median(block.database_ms / max(block.posts, 1) for block in self.blocks),
            median(block.posts / block.seconds for block in self.blocks),
            self.refuses,
            self.durable,
        )


def measure_peers(
    body: bytes, progress: Progress, *, candidates: Sequence[Candidate] = CANDIDATES, rounds: int = ROUNDS
) -> list[Peer]:
    """Our intake first, then the peers that could be installed and started; of the others `progress` hears why not.

    `body` is a sound response to a Questionnaire that intake ships. Needs the package indexes of Python and npm; raises
    SystemExit when no peer could be installed. Everything is thrown away afterwards.
    """
    folder = Path(tempfile.gettempdir()) / f"sural-peers-{secrets.token_hex(4)}"
    posts = Posts.of(body)
    try:
        installed = _install_all(candidates, folder, progress)
        with EmbeddedPostgres(folder) as postgres, ExitStack() as stack:
            running = _start_all(stack, installed, folder, postgres, progress)
            for each in running:
                each.refuses = refused_by(each.server, posts)
                _block(each.server, posts, body, database=postgres.process.pid, seconds=WARM_UP_S)
            for number in range(1, rounds + 1):
                for each in running if number % 2 else reversed(running):
                    each.blocks.append(_block(each.server, posts, body, database=postgres.process.pid))
                progress(f"round {number} of {rounds} measured")
            return [each.as_peer() for each in running]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def refused_by(server: Server, posts: Posts) -> dict[str, bool]:
    """Of each damaged post, whether the server refuses it: 4xx. Another failure is no refusal."""
    return {name: 400 <= server.post(body) < 500 for name, body in posts.damaged().items()}


def as_table(peers: Sequence[Peer]) -> Iterator[str]:
    """Lines for a terminal. What is refused: extra field, bad status, linkId missing, unknown linkId."""
    yield f"{'server':34}{'units':>7}{'server ms':>11}{'database ms':>13}{'posts/s':>9}  {'refuses':9}{'kept in'}"
    for each in peers:
        yield (
            f"{each.name + ' ' + each.version:34.34}{each.units:7.0f}{each.server_ms:11.2f}{each.database_ms:13.2f}"
            f"{each.per_second:9.0f}  {each.checks:9}{each.durable}"
        )
    yield f"refuses: {', '.join(DAMAGES)}"


def _install_all(candidates: Sequence[Candidate], folder: Path, progress: Progress) -> list[tuple[Candidate, Path]]:
    installed: list[tuple[Candidate, Path]] = []
    for number, candidate in enumerate(candidates):
        progress(f"installing {candidate.name} {candidate.version}")
        place = folder / "peers" / str(number)
        try:
            install(candidate, place)
        except NotInstalledError as error:
            progress(f"{candidate.name} is not measured: {error}.")
        else:
            installed.append((candidate, place))
    if candidates and not installed:
        raise SystemExit(
            "No peer could be installed. --peers needs a connection to the package indexes of Python and npm; "
            "leave it out to measure without peers."
        )
    return installed


def _start_all(
    stack: ExitStack,
    installed: Sequence[tuple[Candidate, Path]],
    folder: Path,
    postgres: EmbeddedPostgres,
    progress: Progress,
) -> list[_Running]:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE peers")
    database_url = postgres.url.rpartition("/")[0] + "/peers"
    variables = _variables(postgres)
    migrate_all(variables)
    ours = stack.enter_context(our_intake({k: v for k, v in variables.items() if k != "SURAL_DATABASE_URL"}))
    running = [_Running(OURS, "", "PostgreSQL", ours)]
    for candidate, place in installed:
        try:
            server = stack.enter_context(peer(candidate, place, database_url))
        except NotStartedError as error:
            progress(f"{candidate.name} is not measured: {error}.")
        else:
            running.append(_Running(candidate.name, candidate.version, candidate.durable, server))
    return running


def _variables(postgres: EmbeddedPostgres) -> dict[str, str]:
    given = {"SURAL_MODE": "sandbox", "SURAL_ALERT_RECIPIENTS": "peers@sural.example"}
    servers = {"SURAL_DATABASE_URL": postgres.url, "SURAL_REDIS_URL": "redis://127.0.0.1:1/0"}
    return given | server_variables(given, servers, postgres.data)


def _block(server: Server, posts: Posts, body: bytes, *, database: int, seconds: float = BLOCK_S) -> Block:
    unit, began = unit_ms(body), time.monotonic()
    spent, kept = processor_s(server.pid), processor_s(database)
    accepted = _post_for(server, posts, seconds)
    took = time.monotonic() - began
    return Block(
        posts=accepted,
        seconds=took,
        server_ms=1000 * (processor_s(server.pid) - spent),
        database_ms=1000 * (processor_s(database) - kept),
        unit_ms=(unit + unit_ms(body)) / 2,
    )


def unit_ms(body: bytes, runs: int = UNIT_RUNS) -> float:
    """Processor time of one orjson.loads of the body, in milliseconds: the fastest of many."""
    work, taken = partial(orjson.loads, body), []
    for _ in range(runs):
        began = time.thread_time_ns()
        work()
        taken.append(time.thread_time_ns() - began)
    return min(taken) / 1e6


def _post_for(server: Server, posts: Posts, seconds: float) -> int:
    """Post from several connections, each as soon as its last answer came; returns how many were accepted.

    Raises SystemExit when a sound response is refused.
    """
    accepted, refused = [0] * CONNECTIONS, list[int]()
    end = time.monotonic() + seconds

    def send(at: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        while time.monotonic() < end:
            connection.request("POST", server.path, posts.fresh(), {"Content-Type": TYPE})
            answer = connection.getresponse()
            answer.read()
            if not 200 <= answer.status < 300:
                refused.append(answer.status)
                break
            accepted[at] += 1
        connection.close()

    threads = [threading.Thread(target=send, args=(at,)) for at in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if refused:
        raise SystemExit(f"{server.path} answered {refused[0]} to a sound response: the peers cannot be compared.")
    return sum(accepted)

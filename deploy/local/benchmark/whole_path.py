"""The whole path with real servers, and intake alone: cost, throughput, latency, memory, and whether each was once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx

from deploy.local.benchmark.accounting import Memory, spent
from deploy.local.benchmark.bodies import ALL
from deploy.local.benchmark.generator import PATH, Answered
from deploy.local.benchmark.ledger import Ledger, Wrong
from deploy.local.benchmark.load import FullLoad, Load, measure_load, summed_up
from deploy.local.benchmark.pace import Pace, Times, measure_paces
from deploy.local.benchmark.system import NotMeasurable, Place, System, intake_system, whole_system
from shared.fhir.codes import SID_RESPONSE

READ_S = 30.0

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured. Times in seconds.

    `within`: the longest wait for what was posted to be finished. `rest`: how long it is watched while it rests.
    `again`: at most so many times the wanted blocks are run, to make up for those that were dropped.
    """

    blocks: int
    block: float
    connections: int
    rounds: int
    paces: Sequence[Pace]
    reads: int
    within: float
    warm_up: int
    rest: float
    again: int
    stage_blocks: int
    stage: float


ALERTS, READABLE = "alerts", "100/s"
FULL = Sizes(
    blocks=9,
    block=3.0,
    connections=16,
    rounds=6,
    paces=(Pace("25/s", 25, 4), Pace(READABLE, 100, 3), Pace("200/s", 200, 2.5), Pace(ALERTS, 20, 9, ALL)),
    reads=20,
    within=240.0,
    warm_up=200,
    rest=3.0,
    again=2,
    stage_blocks=9,
    stage=0.15,
)
SMOKE = Sizes(
    blocks=1,
    block=1.0,
    connections=8,
    rounds=1,
    paces=(Pace("25/s", 25, 1), Pace(READABLE, 100, 1), Pace("200/s", 200, 0.5), Pace(ALERTS, 20, 1, ALL)),
    reads=3,
    within=120.0,
    warm_up=30,
    rest=1.0,
    again=1,
    stage_blocks=2,
    stage=0.02,
)


@dataclass(frozen=True, slots=True)
class Whole:
    """The whole path. `rest_ms_per_s`: processor time while nobody asks for anything.

    `read_after_ms`: how long after the commit a client that asked again and again had read the RiskAssessment.
    """

    load: FullLoad
    times: Mapping[str, Times]
    at_rest: Mapping[str, Memory]
    after_load: Mapping[str, Memory]
    rest_ms_per_s: float
    read_after_ms: float
    wrong: Wrong
    responses: int
    postgresql: str


def measure_whole(place: Place, sizes: Sizes, progress: Progress) -> Whole:
    """Start everything and measure. Raises NotMeasurable when it does not start or does not finish its work."""
    with whole_system(place) as system:
        ledger = Ledger(system)
        at_rest = system.memory()
        progress("warming up")
        _require_gate(system)
        _warm_up(system, sizes, lambda answered: ledger.wait(answered.posts, within_s=sizes.within))
        rest = _rest_ms_per_s(system, sizes.rest)

        def finish(answered: Answered) -> float:
            ledger.wait(answered.posts, within_s=sizes.within)
            return max(ledger.assessed(post for post in answered.posts if post.status == 201))

        blocks = _load(system, finish, sizes, rest, progress)
        times = measure_paces(
            ledger,
            sizes.paces,
            rounds=sizes.rounds,
            most=sizes.rounds * sizes.again,
            within_s=sizes.within,
            progress=progress,
        )
        read_after = _read_after_ms(system, ledger, sizes.reads)
        time.sleep(sizes.rest)
        return Whole(
            summed_up(blocks),
            times,
            at_rest,
            system.memory(),
            rest,
            read_after,
            ledger.wrong(),
            len(ledger.posts),
            system.version(),
        )


def measure_intake(place: Place, sizes: Sizes, progress: Progress) -> FullLoad:
    """Intake alone: web process, its PostgreSQL, relay and sealing. `per_second`: what was answered."""
    with intake_system(place) as system:

        def finish(answered: Answered) -> float:
            return max(post.answered for post in answered.posts)

        progress("intake alone")
        _require_gate(system)
        _warm_up(system, sizes, finish)
        return summed_up(_load(system, finish, sizes, _rest_ms_per_s(system, sizes.rest), progress))


def _load(
    system: System, finish: Callable[[Answered], float], sizes: Sizes, rest_ms_per_s: float, progress: Progress
) -> list[Load]:
    return measure_load(
        system,
        finish,
        blocks=sizes.blocks,
        most=sizes.blocks * sizes.again,
        seconds=sizes.block,
        connections=sizes.connections,
        rest_ms_per_s=rest_ms_per_s,
        progress=progress,
    )


def _require_gate(system: System) -> None:
    """Raises NotMeasurable where a response is taken from somebody without an access token."""
    answer = httpx.post(f"{system.url}{PATH}", content=b"{}", timeout=20, trust_env=False)
    if answer.status_code != 401:
        raise NotMeasurable(f"Without an access token {answer.status_code} was answered, and 401 was expected.")


def _warm_up(system: System, sizes: Sizes, finish: Callable[[Answered], object]) -> None:
    """Caches filled, statements prepared, connections open."""
    finish(system.post(seconds=30.0, connections=4, number=sizes.warm_up))


def _rest_ms_per_s(system: System, seconds: float) -> float:
    """Processor time of all processes in a second in which nobody asks for anything."""
    time.sleep(seconds)
    before = system.books()
    time.sleep(seconds)
    return 1e3 * sum(spent(before, system.books()).values()) / seconds


def _read_after_ms(system: System, ledger: Ledger, number: int) -> float:
    """Post a few, one at a time, and ask for each RiskAssessment until it is there: how long after its commit."""
    later = []
    with httpx.Client(base_url=system.url, timeout=20, trust_env=False) as client:
        client.headers["Authorization"] = f"Bearer {system.token()}"
        for _ in range(number):
            answered = system.post(seconds=5.0, connections=1, number=1, urgent_every=0)
            [post] = answered.posts
            read = _read(client, post.id)
            ledger.wait([post], within_s=READ_S)
            later.append(1e3 * (read - max(ledger.assessed([post]))))
    return statistics.median(later)


def _read(client: httpx.Client, response_id: str) -> float:
    """When a client had the RiskAssessment of this response."""
    end = time.monotonic() + READ_S
    while time.monotonic() < end:
        found = client.get("/fhir/RiskAssessment", params={"identifier": f"{SID_RESPONSE}|{response_id}"})
        if found.raise_for_status().json().get("entry"):
            return time.time()
    raise TimeoutError

"""Runs a plan: each fault under load, then rest, then the judge; at the end everything once more."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx

from deploy.local.faults import judge
from deploy.local.faults.actions import ACTIONS
from deploy.local.faults.database import owner
from deploy.local.faults.judge import Violation
from deploy.local.faults.ledger import Accepted, Ledger
from deploy.local.faults.plan import Step
from deploy.local.faults.posting import Tally
from deploy.local.faults.receivers import MailServer, Post, WebhookServer
from deploy.local.faults.result import Done, Result, begin
from deploy.local.faults.robot import Robot
from deploy.local.faults.sandbox import CHANNEL_TIMEOUT_S, Sandbox
from deploy.local.faults.scene import Scene
from deploy.local.faults.workload import EXPECTED_SHARES, SHARES, submissions, templates
from deploy.local.process import wait_until
from deploy.local.verify import check as check_invariants
from deploy.local.verify.checking import connect_as_owner

BEFORE_S, AFTER_S = 0.5, 0.5
"""The load goes on so long before a fault, and after it."""
ON_ITS_WAY_S = CHANNEL_TIMEOUT_S + 4.0
"""So long after an acknowledgement a message may arrive that was on its way."""
FREEZES = {"zombie": 15.0, "soak": 15.0, "one_way": 10.0}
QUIET_S, AT_REST_S = 20.0, 3.0
"""What is younger is not looked at by the invariants: at the end, and at rest after one fault."""
LASTS_S = 20.0
RECOMPUTED = 20
"""Assessments that the long suite makes again at its end."""
ROBOT_S = 60.0
LOST = ("accepted, and", "accepted and")
SETTLE_S = 150.0
FILLING_SENDERS, FILLED_AT_ONCE = 12, 2000


Tell = Callable[[str], None]


def run(
    plan: Sequence[Step],
    result: Result,
    *,
    within_s: float | None = None,
    begun: Callable[[Step], None] = lambda _step: None,
    ended: Callable[[Done], None] = lambda _done: None,
    progress: Tell = lambda _words: None,
) -> None:
    """Do everything in the plan, and keep in `result` what it has come to, at every moment.

    Where the result demands more responses than the faults took, they are accepted at the end. `within_s`: a step that
    would begin later is not run, and named in the result. `progress`: words while something takes long. Everything is
    gone afterwards, also where this is interrupted.
    """
    began = time.monotonic()
    templates()  # read before the first fault, which would wait for it
    with _scene(result.seed) as scene:
        started = datetime.now(UTC)

        def far(words: str) -> None:
            _sum_up(scene, result, began)
            progress(words)

        scene.tell = far
        try:
            for step in plan:
                if within_s is not None and time.monotonic() - began > within_s:
                    result.not_run.append(step.name)
                    continue
                result.unfinished = step.name
                begun(step)
                result.steps.append(begin(step))
                _do(scene, step, result.steps[-1])
                result.compared = len(scene.ledger.accepted)
                _sum_up(scene, result, began)
                ended(result.steps[-1])
            if result.demands and (missing := result.demands.responses - _responses(scene)) > 0:
                step = Step("--", f"{missing:,} more responses", "fill", result.seed)
                result.unfinished = step.name
                begun(step)
                result.steps.append(begin(step))
                _fill(scene, step, result.demands.responses, result.steps[-1])
                ended(result.steps[-1])
            result.unfinished = "the verdict on everything"
            far("looking at everything once more")
            result.final = _judge_all(scene, started, recompute=RECOMPUTED if result.long else 0)
            result.compared, result.unfinished = len(scene.ledger.accepted), ""
        finally:
            _sum_up(scene, result, began)


def _responses(scene: Scene) -> int:
    """How many different responses were accepted; several versions of one count once, and so does one sent again."""
    return len({entry.id for entry in scene.ledger.accepted})


def _do(scene: Scene, step: Step, done: Done) -> None:
    """One fault, from the load before it to the verdict."""
    first, first_arrival, started = len(scene.ledger.accepted), len(scene.post.arrivals), datetime.now(UTC)
    scene.complaints.clear()
    scene.remarks.clear()
    began = time.monotonic()
    with _loaded(scene, step) as tally:
        scene.pause(BEFORE_S if step.rate else 0)
        try:
            ACTIONS[step.action](scene, step)
        except Exception as error:
            done.violations.append(Violation("the fault could not be done", f"{type(error).__name__}: {error}"[:300]))
        mended = time.monotonic()
        scene.pause(AFTER_S if step.rate else 0)
    done.seconds = mended - began
    entries = scene.ledger.accepted[first:]
    rest = scene.rest(entries, within_s=step.rest_s)
    done.recovery_s = time.monotonic() - mended
    if rest.left:
        done.violations.append(Violation(f"not at rest after {step.rest_s:.0f} s", rest.left))
    done.posts, done.gap_s = tally.posts, tally.gap_s
    done.away = tally.answers["503"] + tally.answers["no answer"]
    done.remarks = list(scene.remarks)
    done.violations += [Violation("complaint", words) for words in (*scene.complaints, *tally.complaints)]
    if step.fault == "F2" and done.away:
        done.violations.append(Violation("intake turned somebody away while the broker was", f"{done.away} times"))
    _judge(scene, step, entries, first_arrival, done)
    if not rest.left:
        done.violations += _lasting(scene, started)


def _lasting(scene: Scene, started: datetime) -> list[Violation]:
    """What the invariants find after a fault, and still find a while later: what was on its way is no violation."""
    end = time.monotonic() + LASTS_S
    while (found := _invariants(scene, started, quiet_s=AT_REST_S)) and time.monotonic() < end:
        scene.pause(1.0)
    return found


def _invariants(scene: Scene, started: datetime, *, quiet_s: float, recompute: int = 0) -> list[Violation]:
    """What `./sural verify` says of everything since then, but what we know better: whoever acknowledged a message of
    an alert was told of it, also where its sender died before it could note that."""
    came = {f"Task/{arrival.alert}" for arrival in scene.post.arrivals}
    known = came & {f"Task/{entry.alert}" for entry in scene.ledger.acknowledged}
    with connect_as_owner(scene.sandbox.postgres.url) as connection:
        found = check_invariants(connection, quiet_s=quiet_s, since=started, recompute=recompute)
    return [
        Violation(f"{one.invariant}: {one.what}", one.id)
        for one in found
        if not (one.invariant == "I5" and one.id in known)
    ]


@contextmanager
def _loaded(scene: Scene, step: Step) -> Iterator[Tally]:
    if step.rate:
        shares = EXPECTED_SHARES if step.action == "soak" else SHARES
        line = submissions(step.seed, shares=shares)
        with scene.load(step.seed, rate=step.rate, most=step.most, line=line) as tally:
            yield tally
    else:
        yield Tally()


def _judge(scene: Scene, step: Step, entries: Sequence[Accepted], first_arrival: int, done: Done) -> None:
    arrivals = scene.post.arrivals[first_arrival:]
    with owner(scene.sandbox.postgres) as connection:
        done.violations += judge.check_ledger(connection, entries)
        done.violations += judge.check_acknowledgements(connection, scene.ledger.acknowledged)
        heard = arrivals
        if step.action == "hang":
            heard = [arrival for arrival in arrivals if arrival.channel != step.settings["channel"]]
        told = judge.told_after_s(connection, entries, heard)
        done.told_max_s = told[-1] if told else None
    on_its_way_s = ON_ITS_WAY_S + FREEZES.get(step.action, 0.0)
    done.violations += judge.check_arrivals(arrivals, scene.ledger.acknowledged, on_its_way_s=on_its_way_s)


def _fill(scene: Scene, step: Step, least: int, done: Done) -> None:
    """As many responses as are missing, as fast as they are taken."""
    first, began = len(scene.ledger.accepted), time.monotonic()
    line = submissions(f"{step.seed}-fill", shares=EXPECTED_SHARES)
    while (missing := least - _responses(scene)) > 0:
        tally = scene.send(line, min(missing, FILLED_AT_ONCE), senders=FILLING_SENDERS)
        done.posts += tally.posts
        done.violations += [Violation("complaint", words) for words in tally.complaints]
        scene.tell(f"{missing:,} responses were missing")
    mended = time.monotonic()
    done.seconds = mended - began
    entries = scene.ledger.accepted[first:]
    rest = scene.rest(entries, within_s=max(SETTLE_S, len(entries) / 20))
    done.recovery_s = time.monotonic() - mended
    if rest.left:
        done.violations.append(Violation("not at rest", rest.left))


def _judge_all(scene: Scene, started: datetime, *, recompute: int) -> list[Violation]:
    """The whole ledger, every invariant, and every place where health data must not be."""
    server = scene.sandbox.postgres
    if not wait_until(lambda: scene.robot.done, timeout_s=ROBOT_S):
        scene.robot.complaints.append(f"not everything was acknowledged within {ROBOT_S:.0f} s")
    with owner(server) as connection:
        found = judge.check_ledger(connection, scene.ledger.accepted)
    with httpx.Client(base_url=scene.sandbox.url, timeout=20, trust_env=False) as client:
        metrics = client.get("/metrics").text
    found += judge.check_leaks(scene.sandbox.data.path, scene.post.texts, metrics)
    found += [Violation("complaint", words) for words in scene.robot.complaints]
    return found + _invariants(scene, started, quiet_s=QUIET_S, recompute=recompute)


def _sum_up(scene: Scene, result: Result, began: float) -> None:
    """What the run has come to by now."""
    result.accepted, result.responses = len(scene.ledger.accepted), _responses(scene)
    result.acknowledged = len(scene.ledger.acknowledged)
    result.messages = len(scene.post.arrivals)
    result.doubled = judge.doubles(scene.post.arrivals)
    result.kills, result.failpoints = scene.kills.total(), set(scene.failpoints)
    result.lost = result.count(*LOST)
    result.soak = [
        {name: float(getattr(sample, name)) for name in ("seconds", "memory", "handles", "outbox", "jobs")}
        for sample in scene.samples
    ]
    result.seconds = time.monotonic() - began


@contextmanager
def _scene(seed: int) -> Iterator[Scene]:
    """A whole system with everybody around it, on a folder that is gone afterwards."""
    folder = Path(tempfile.gettempdir()) / f"sural-faults-{secrets.token_hex(4)}"
    folder.mkdir()
    folder.chmod(0o711)
    post = Post()
    try:
        with (
            Ledger(folder / "ledger.jsonl") as ledger,
            MailServer(post) as mail,
            WebhookServer(post) as webhook,
            Sandbox(folder / "data", mail_port=mail.port, webhook_port=webhook.port) as sandbox,
            Robot(sandbox.url, ledger, seed) as robot,
        ):
            post.heard = robot.hear
            yield Scene(sandbox, ledger, robot, post, mail, webhook)
    finally:
        shutil.rmtree(folder, ignore_errors=True)

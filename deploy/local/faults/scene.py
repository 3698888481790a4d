"""What a fault may use: the system, the ways to it, those who hear of alerts, and a load that goes on meanwhile."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from deploy.local.faults.database import owner
from deploy.local.faults.ledger import Accepted, Ledger
from deploy.local.faults.posting import Senders, Tally
from deploy.local.faults.quiet import Rest, wait_for_rest
from deploy.local.faults.receivers import MailServer, Post, WebhookServer
from deploy.local.faults.robot import Robot
from deploy.local.faults.samples import Sample
from deploy.local.faults.sandbox import Sandbox
from deploy.local.faults.workload import Submission, emergencies, submissions

SENDERS = 8
LOOK_S = 0.5
MOST_WAITING, MOST_WAITING_S = 100, 5.0
"""Things that may wait, and seconds of the load that may, before the senders wait too."""
WAITING = """
SELECT (SELECT count(*) FROM intake.outbox)
     + (SELECT count(*) FROM triage.job WHERE state IN ('pending', 'running') AND due_at <= now())
"""


@dataclass(slots=True)
class Scene:
    """One run.

    `complaints`: what a fault found to be wrong; `remarks`: what it could not do; `kills`: how many processes were
    killed so far; `failpoints`: those that killed, each as process and place; `tell`: takes words about what goes on.
    """

    sandbox: Sandbox
    ledger: Ledger
    robot: Robot
    post: Post
    mail: MailServer
    webhook: WebhookServer
    kills: Counter[str] = field(default_factory=Counter)
    failpoints: set[str] = field(default_factory=set)
    tell: Callable[[str], None] = lambda _words: None
    complaints: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def logs(self) -> Path:
        return self.sandbox.data.path / "logs"

    def pause(self, seconds: float) -> None:
        """Let the load meet the fault for this long."""
        self.stop.wait(seconds)

    @contextmanager
    def load(
        self, seed: int | str, *, rate: float, most: int | None = None, line: Iterator[Submission] | None = None
    ) -> Iterator[Tally]:
        """Submissions go on inside the block, `most` of them; those that were begun are answered when it ends."""
        line = line or submissions(seed)
        senders = Senders(self.sandbox.port, self.ledger, line, senders=SENDERS, rate=rate, most=most)
        ended = threading.Event()
        most_waiting = max(MOST_WAITING, int(rate * MOST_WAITING_S))
        watcher = threading.Thread(target=self._hold_back, args=(senders.held_back, ended, most_waiting), daemon=True)
        watcher.start()
        try:
            with senders:
                yield senders.tally
        finally:
            ended.set()
            watcher.join()

    def _hold_back(self, held_back: threading.Event, ended: threading.Event, most_waiting: int) -> None:
        """Senders wait while too much waits: what is looked for is loss, and a slow machine must not be buried."""
        while not ended.wait(LOOK_S):
            with suppress(psycopg.Error), owner(self.sandbox.postgres) as connection:
                row = connection.execute(WAITING).fetchone()
                (held_back.set if row and row[0] > most_waiting else held_back.clear)()

    def send(self, line: Iterator[Submission], number: int, *, senders: int = SENDERS) -> Tally:
        """Send so many submissions as fast as they are taken."""
        with Senders(self.sandbox.port, self.ledger, line, senders=senders, most=number, all_of_them=True) as sent:
            return sent.tally

    def send_emergencies(self, seed: int | str, number: int) -> Tally:
        """Send so many emergencies, each of another patient."""
        return self.send(emergencies(seed), number)

    def rest(self, accepted: Sequence[Accepted], *, within_s: float = 60.0) -> Rest:
        """Wait until nothing is left to do for these."""
        return wait_for_rest(self.sandbox.postgres, accepted, within_s=within_s, idle=lambda: self.robot.idle)

    def kill(self, name: str, *, pool: bool = False) -> None:
        """`kill -9` a process, or those that it forked, and count them."""
        self.kills[name] += self.sandbox.kill(name, pool=pool)

    def traps_sprung(self) -> Counter[str]:
        """How often each failpoint was reached with a trap in it, as the logs say."""
        found: Counter[str] = Counter()
        for log in self.logs.glob("*.log*"):
            for line in log.read_text(errors="replace").splitlines():
                if '"event": "failpoint"' in line:
                    found[json.loads(line)["kind"]] += 1
        return found

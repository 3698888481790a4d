"""F6, F7, F11: messages that nobody can read, that come again and again or out of order, and poison."""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from typing import Any

import redis

from deploy.local.faults.database import owner
from deploy.local.faults.kills import rolling_restart
from deploy.local.faults.plan import Step
from deploy.local.faults.scene import Scene
from deploy.local.faults.workload import CALM, EMERGENCIES, Submission, Version, templates
from deploy.local.process import wait_until
from shared.broker import KEY_PREFIX, TASKS, Publisher, make_celery
from shared.events import NOTIFY_ROUTINE, NOTIFY_URGENT, QUEUES, TRIAGE, Ref
from shared.ids import named

GARBAGE: Sequence[Any] = (
    None,
    17,
    "text",
    [],
    {},
    {"v": 2, "refs": []},
    {"v": 1, "refs": "all of them"},
    {"v": 1, "refs": [{"id": 7}, {"version": 1}, None, "x"]},
    {"v": 1, "refs": [{"id": "x" * 5000, "version": 1}]},
    {"v": 1, "refs": [{"id": "no-such-response", "version": 2**31 - 1}]},
    {"v": 1, "refs": [{"id": "p", "version": 1, "tenant": "no tenant"}]},
)
RAW = (b"not a message", b"{}", b'{"body": "AAAA", "headers": {}, "properties": {}}', b"\xff\x00\xfe")
AGAIN = 60
"""How many of the newest responses are named again."""
AT_ONCE = 50
TRIED_S = 40.0
ALERTS = """
SELECT count(*) FROM triage.assessment AS a
JOIN notify.alert_assessment AS raised ON raised.tenant_id = a.tenant_id AND raised.assessment_id = a.id
WHERE a.response_id = ANY (%s)
"""
ASSESSED = "SELECT count(*) FROM triage.assessment_run WHERE response_id = ANY (%s)"


def forge_messages(scene: Scene, step: Step) -> None:
    """What is no message of ours, and messages about what does not exist or belongs to others."""
    publish = Publisher(make_celery(scene.sandbox.broker_url))
    with redis.Redis.from_url(scene.sandbox.broker_url) as broker:
        for raw in RAW:
            broker.lpush(f"{KEY_PREFIX}{TRIAGE}", raw)
    for number in range(step.settings["number"]):
        queue = QUEUES[number % len(QUEUES)]
        publish.send(TASKS[queue], queue, GARBAGE[number % len(GARBAGE)])
        known = scene.ledger.accepted[-1].id if scene.ledger.accepted else "none"
        publish(queue, [Ref(known, 99), Ref(secrets.token_hex(8), 1), Ref(known, 1, named("somebody", "else"))])
    publish.close()


def repeat_messages(scene: Scene, step: Step) -> None:
    """One form 50 times at the same moment; then every message of the newest responses again, shuffled."""
    examples = templates()
    for name in (CALM[0], EMERGENCIES[0]):
        mark = f"{step.seed}-{name}"
        body = examples[name].filled(f"p-{mark}", f"f-{mark}")
        once = Submission("repeated", [Version(body, examples[name].urgency)], copies=AT_ONCE)
        scene.send(iter([once]), 1, senders=1)
    entries = scene.ledger.accepted[-AGAIN:]
    ids = sorted({entry.id for entry in entries})
    scene.rest(entries)
    before = _counted(scene, ids)
    refs = [Ref(entry.id, entry.version) for entry in entries] * step.settings["times"]
    random.Random(step.seed).shuffle(refs)  # noqa: S311 - a run has to be the same again
    publish = Publisher(make_celery(scene.sandbox.broker_url))
    for ref in refs:
        publish(TRIAGE, [ref])
    for queue in (NOTIFY_URGENT, NOTIFY_ROUTINE):
        for assessment in _assessments(scene, ids) * step.settings["times"]:
            publish(queue, [assessment])
    publish.close()
    scene.rest(entries)
    if (after := _counted(scene, ids)) != before:
        scene.complaints.append(f"repeated messages made {after} alerts and assessments of {before}")


def _assessments(scene: Scene, ids: Sequence[str]) -> list[Ref]:
    with owner(scene.sandbox.postgres) as connection:
        query = "SELECT id, version_id FROM triage.assessment WHERE response_id = ANY (%s)"
        return [Ref(row[0], row[1]) for row in connection.execute(query, (list(ids),)).fetchall()]


def _counted(scene: Scene, ids: Sequence[str]) -> tuple[int, ...]:
    with owner(scene.sandbox.postgres) as connection:
        rows = [connection.execute(query, (list(ids),)).fetchone() for query in (ALERTS, ASSESSED)]
        return tuple(row[0] for row in rows if row)


def poison(scene: Scene, step: Step) -> None:
    """The evaluation of some responses raises at every attempt: set aside after three, and a person is told."""
    example = templates()[CALM[0]]
    names = ("triage", "background")
    for name in names:
        scene.sandbox.arm(name, "triage.store.before_commit:raise")
    first = len(scene.ledger.accepted)
    bodies = [example.filled(f"p-{step.seed}-{n}", f"f-{step.seed}-{n}") for n in range(step.settings["number"])]
    scene.send(iter([Submission("poison", [Version(body, "same_day")]) for body in bodies]), len(bodies))
    ids = [entry.id for entry in scene.ledger.accepted[first:]]

    def tried() -> bool:
        with owner(scene.sandbox.postgres) as connection:
            query = "SELECT coalesce(min(attempts), 0) > 3 FROM triage.job WHERE ref_id = ANY (%s)"
            return connection.execute(query, (ids,)).fetchone() == (True,)

    if not wait_until(tried, timeout_s=TRIED_S):
        scene.complaints.append("poison was not tried three times in time")
    scene.sandbox.disarm(*names)
    with owner(scene.sandbox.postgres) as connection:  # what is hopeless waits a minute; nobody has to
        connection.execute("UPDATE triage.job SET due_at = now() WHERE ref_id = ANY (%s) AND state = 'pending'", (ids,))


def upgrade(scene: Scene, step: Step) -> None:
    """Every process is started anew under load, while messages of the version before, and of one after, arrive."""
    publish = Publisher(make_celery(scene.sandbox.broker_url))
    for entry in scene.ledger.accepted[-AGAIN:]:
        old = {"v": 1, "refs": [{"id": entry.id, "version": entry.version}]}
        publish.send(TASKS[TRIAGE], TRIAGE, old)
        publish.send(TASKS[TRIAGE], TRIAGE, {**old, "later": True})
    publish.close()
    rolling_restart(scene, step)

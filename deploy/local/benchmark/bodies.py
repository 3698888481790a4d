"""What is posted: shipped examples, each time as a form of its own of another patient; and the unit that they define.

Making a body costs the load generator one join, so that it takes little from the machine that is measured.
"""

from __future__ import annotations

import gc
import json
import time
from dataclasses import dataclass
from itertools import cycle

import orjson

from deploy.local.demo import EXAMPLES

CALM = ("calf-strain", "hamstring-strain", "achilles-tendinopathy")
"""Responses that alert nobody."""
URGENT = ("cold-pale-foot", "dvt-with-chest-pain", "compartment-syndrome", "cauda-equina")
"""Emergencies."""
MARK = "@MARK@"
CALIBRATION_RUNS = 100
ALL, NONE = 1, 0


@dataclass(frozen=True, slots=True)
class Body:
    """An example in pieces; between them goes what makes it a form of its own."""

    name: str
    parts: tuple[bytes, ...]

    def marked(self, mark: str) -> bytes:
        """The form of this identifier and patient."""
        return mark.encode().join(self.parts)


def body_of(name: str) -> Body:
    """A shipped example. Its identifier and its patient end with the mark."""
    response = json.loads((EXAMPLES / f"{name}.json").read_bytes())
    response["identifier"]["value"] += f"-{MARK}"
    response["subject"]["reference"] += f"-{MARK}"
    return Body(name, tuple(json.dumps(response).encode().split(MARK.encode())))


@dataclass(frozen=True, slots=True)
class Mix:
    """The bodies in turn: every `urgent_every`-th is an emergency (`ALL`: each, `NONE`: none)."""

    urgent_every: int

    def bodies(self, number: int) -> list[tuple[Body, bool]]:
        """So many bodies, and whether each is an emergency."""
        calm, urgent = cycle([body_of(name) for name in CALM]), cycle([body_of(name) for name in URGENT])
        urgently = [self.urgent_every > 0 and one % self.urgent_every == 0 for one in range(1, number + 1)]
        return [(next(urgent) if is_urgent else next(calm), is_urgent) for is_urgent in urgently]


TENTH = Mix(10)
"""One response in ten alerts somebody."""


def unit_s(mix: Mix = TENTH) -> float:
    """Processor time of one `orjson.loads` of a body, in seconds: mean over the mix of the fastest of many runs each.

    That of this thread, without the garbage collector, which is the same for all who are compared.
    """
    bodies = [body.marked("calibration") for body, _ in mix.bodies(20)]
    best = {body: _fastest(body) for body in dict.fromkeys(bodies)}
    return sum(best[body] for body in bodies) / len(bodies)


def _fastest(body: bytes) -> float:
    clock, loads = time.thread_time_ns, orjson.loads
    best = 1 << 62
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(CALIBRATION_RUNS):
            began = clock()
            loads(body)
            best = min(best, clock() - began)
    finally:
        if collecting:
            gc.enable()
    return best / 1e9

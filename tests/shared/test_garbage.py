"""A process that is ready lets the collector look seldom, and never again at what is there already."""

from __future__ import annotations

import subprocess
import sys

LOOKED = """
import gc
kept = [[] for _ in range(1000)]
from shared.garbage import look_seldom
look_seldom()
assert gc.isenabled()
print(gc.get_freeze_count() > 1000, gc.get_threshold()[0])
"""


def test_what_is_there_is_left_alone_and_new_circles_are_still_found() -> None:
    said = subprocess.run([sys.executable, "-c", LOOKED], capture_output=True, text=True, check=True).stdout.split()

    assert said[0] == "True"
    assert 700 < int(said[1]) <= 10_000

"""Senders that run beside the work that wakes them, so that no recipient waits for another.

A lane is one channel and one urgency. In it each recipient with due messages gets a thread of its own, a few at a time:
whoever hangs holds up nobody but the next message to the same recipient. Recipients whose last attempt failed may
hold half of a lane's threads at the most, so that the others always find one.

Whoever opened an alert has its messages sent by the senders that are free, which it holds before it commits: those
messages are its own to send with the commit. Everything else that is ordered only wakes the lanes: one look finds what
is due in all of them. What they do not get to is found by the background process, as every message to be sent is a due
row.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

MOST_SENDERS = 6
"""Threads of one lane in one process."""

Find = Callable[[], Mapping[str, Sequence[str]]]
"""The kinds of jobs that have due messages, each for one recipient, by lane; in a lane the longest due first."""
Stopped = Callable[[], bool]
Work = Callable[[str, Stopped], bool]
"""Sends what is due of one kind, and says whether all went well; asks between two messages whether it should stop."""

log = logging.getLogger(__name__)


def choose(due: Sequence[str], *, busy: Collection[str], failed: Mapping[str, float], most: int) -> list[str]:
    """Which of the due kinds get a thread now. `failed`: when the last attempt of a kind failed, if it did.

    Those that went well come first, but leave one thread to the others, and the others never hold more than half.
    Of these, the one that was tried longest ago comes first.
    """
    well = [kind for kind in due if kind not in busy and kind not in failed]
    unwell = sorted((kind for kind in due if kind not in busy and kind in failed), key=lambda kind: failed[kind])
    trying = sum(kind in failed for kind in busy)
    free = max(most - len(busy), 0)
    kept_free = min(len(unwell), 1 if trying == 0 else 0)
    chosen = well[: max(free - kept_free, 0)]
    return chosen + unwell[: max(min(free - len(chosen), most // 2 - trying), 0)]


class Lane:
    """The senders of one lane in one process. `wake`: asks for a look, and so for the next `begin`; never blocks."""

    def __init__(self, name: str, work: Work, wake: Callable[[], None], *, most: int = MOST_SENDERS) -> None:
        self.name = name
        self._work, self._wake, self._most = work, wake, most
        self._lock = threading.Lock()
        self._busy: dict[str, threading.Thread | object] = {}  # its thread, or whoever holds it
        self._failed: dict[str, float] = {}
        self._waiting = False

    def begin(self, due: Sequence[str], stopped: threading.Event) -> None:
        """Give threads to whoever has due messages. Raises RuntimeError when there is no thread to be had."""
        with self._lock:
            chosen = choose(due, busy=self._busy, failed=self._failed, most=self._most)
            self._waiting = len(chosen) < len(due)
            for kind in chosen:
                self._start(kind, partial(self._work, kind, stopped.is_set))

    def hold(self, kind: str, *, by: object) -> bool:
        """Keep the sender of this recipient for `by`; False where it is busy, failed last, or others wait."""
        with self._lock:
            free = choose([kind], busy=self._busy, failed=self._failed, most=self._most) and kind not in self._failed
            if not free or self._waiting:
                return False
            self._busy[kind] = by
            return True

    def send(self, kind: str, work: Callable[[], bool]) -> None:
        """Let the sender that is held for this recipient do this.

        Raises RuntimeError where no thread is to be had; it is still held then.
        """
        with self._lock:
            self._start(kind, work)

    def let_go(self, kind: str, *, by: object) -> None:
        """The sender is free if `by` still holds it; nothing where it sends, or is another's."""
        with self._lock:
            again = self._freed(kind, by) and self._waiting
        if again:
            self._wake()

    def _start(self, kind: str, work: Callable[[], bool]) -> None:
        thread = threading.Thread(target=self._send, args=(kind, work), name=kind, daemon=True)
        thread.start()
        self._busy[kind] = thread  # under the lock, without which it cannot end

    def _freed(self, kind: str, by: object) -> bool:
        if self._busy.get(kind) is not by:
            return False
        del self._busy[kind]
        return True

    def senders(self) -> list[threading.Thread]:
        """Threads that are sending now."""
        with self._lock:
            return [thread for thread in self._busy.values() if isinstance(thread, threading.Thread)]

    def _send(self, kind: str, work: Callable[[], bool]) -> None:
        well, again = False, True
        try:
            well = work()
        except Exception as error:
            again = False  # woken by others: what went wrong here would go wrong again at once
            log.exception("sender failed", extra={"kind": self.name, "error": type(error).__name__})
        finally:
            with self._lock:
                self._freed(kind, threading.current_thread())
                if well:
                    self._failed.pop(kind, None)
                    again = self._waiting  # somebody found no thread, or something came for this one meanwhile
                else:
                    self._failed[kind] = time.monotonic()
            if again:
                self._wake()


class Lanes:
    """All lanes of one process. Their thread starts at the first wake, after a fork."""

    def __init__(self, names: Iterable[str], find: Find, work: Work, *, most: int = MOST_SENDERS) -> None:
        self._find = find
        self._lanes = {name: Lane(name, work, self.wake, most=most) for name in names}
        self._wanted, self._stopped = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Look for due messages now. Never blocks."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="lanes", daemon=True)
            thread.start()  # where no thread is to be had, the next wake tries again
            self._thread = thread
        self._wanted.set()

    def hold(self, kind: str, *, by: object) -> bool:
        """Keep the sender of this recipient for `by`, who then calls `send`, and `let_go` in any case. Never blocks.

        False: there is none free, or no such lane, and the message is left to be found.
        """
        lane = self._lane(kind)
        return lane is not None and not self._stopped.is_set() and lane.hold(kind, by=by)

    def send(self, kind: str, work: Callable[[Stopped], bool]) -> None:
        """Let the sender that is held for this recipient do this: as `Work` does, it is told whether to stop."""
        lane = self._lane(kind)
        assert lane is not None
        try:
            lane.send(kind, partial(work, self._stopped.is_set))
        except RuntimeError as error:  # no thread: the row is due again when its lease ends
            log.exception("sender failed", extra={"kind": "lanes", "error": type(error).__name__})

    def let_go(self, kind: str, *, by: object) -> None:
        """The sender of this recipient is free if `by` still holds it; nothing where it sends, or is another's."""
        if (lane := self._lane(kind)) is not None:
            lane.let_go(kind, by=by)

    def _lane(self, kind: str) -> Lane | None:
        return self._lanes.get(kind.partition("/")[0])

    def close(self, timeout_s: float) -> None:
        """Let messages that are on their way end, up to this time for all of them."""
        end = time.monotonic() + timeout_s
        self._stopped.set()
        self._wanted.set()
        threads = [self._thread] if self._thread else []
        for thread in (*threads, *(sender for lane in self._lanes.values() for sender in lane.senders())):
            thread.join(max(end - time.monotonic(), 0))

    def _run(self) -> None:
        """Begin to send to whoever has due messages, whenever woken, until stopped."""
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._stopped.is_set():
                return
            try:
                for name, due in self._find().items():
                    self._lanes[name].begin(due, self._stopped)
            except Exception as error:
                # The rows are still due: the background process takes them, or the next look.
                log.exception("sender failed", extra={"kind": "lanes", "error": type(error).__name__})

"""Children for the small machine: one that waits, one that forks, one that cannot start, one with a failpoint, a Celery
worker."""

from __future__ import annotations

import os
import signal
import sys


def main(mode: str) -> None:
    """Do what the mode says."""
    match mode:
        case "waits":
            signal.pause()
        case "forks":
            for _ in range(2):
                if os.fork() == 0:
                    signal.pause()
            signal.pause()
        case "broken":
            sys.exit("the questionnaire folder is empty")
        case "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.write(1, b"hears nothing\n")
            while True:
                signal.pause()
        case "trapped":
            from shared.failpoint import reach

            reach("outbox.before_publish")
            os.write(1, b"passed\n")
            signal.pause()
        case "celery":
            from shared.broker import make_celery
            from shared.events import TRIAGE

            options = ["--queues", TRIAGE, "--concurrency=2", "--without-gossip", "--without-mingle"]
            make_celery(os.environ["SURAL_REDIS_URL"]).worker_main(["worker", *options])


if __name__ == "__main__":
    main(sys.argv[1])

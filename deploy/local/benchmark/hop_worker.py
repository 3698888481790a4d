"""A Celery worker that does nothing with a message but read it: what a hop costs by itself.

SURAL_REDIS_URL=... python -m deploy.local.benchmark.hop_worker
"""

from __future__ import annotations

import os
import signal
from typing import Any

from deploy.local.child import end_with_parent
from shared.broker import TASKS, make_celery, run_worker
from shared.events import TRIAGE, decode


def main() -> None:
    """Consume until told to stop."""
    end_with_parent(os.getppid(), signal.SIGTERM)
    app = make_celery(os.environ["SURAL_REDIS_URL"])

    @app.task(name=TASKS[TRIAGE])  # type: ignore[untyped-decorator]
    def take(message: Any) -> None:
        decode(message)

    run_worker(app, TRIAGE, log_level="error")


if __name__ == "__main__":
    main()

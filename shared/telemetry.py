"""Logs as JSON lines on standard output: ids, counts and classes of errors, never health data.

Fields are taken from an allow-list; anything else that code passes by mistake is dropped. Of an exception the class and
the places in the code are kept, never its text, because database and validation errors repeat the values they saw.
"""

from __future__ import annotations

import logging
import logging.config
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

ALLOWED_FIELDS = [
    "alert",
    "assessment",
    "attempts",
    "channel",
    "client",
    "delay_s",
    "delivery",
    "duration_ms",
    "error",
    "kind",
    "method",
    "migrations",
    "number",
    "path",
    "queue",
    "reference",
    "response",
    "state",
    "status",
    "urgency",
]
"""Extra fields that a log line may carry. Each holds an id, a number or a word from a fixed list."""


def configure_logging(*, service: str, level: str = "info") -> None:
    """Send every logger of this process (uvicorn, Celery and psycopg too) through the one formatter."""
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ExtraAdder(allow=ALLOWED_FIELDS),
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        "processors": [
            _name_service(service),
            _places_only,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": formatter},
            "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
            "root": {"handlers": ["out"], "level": level.upper()},
            "loggers": {
                name: {"handlers": [], "propagate": True, "level": quiet}
                for name, quiet in (
                    ("uvicorn", "WARNING"),
                    ("uvicorn.access", "ERROR"),
                    ("httpx", "WARNING"),
                    ("httpcore", "WARNING"),
                    ("celery", "WARNING"),
                    ("kombu", "WARNING"),
                    ("psycopg.pool", "ERROR"),
                )
            },
        }
    )


@contextmanager
def correlated(**ids: str) -> Iterator[None]:
    """Every log line in this block carries these ids, for example `correlation=<response id>`."""
    before = structlog.contextvars.bind_contextvars(**ids)
    try:
        yield
    finally:
        structlog.contextvars.reset_contextvars(**before)


def _name_service(service: str) -> Any:
    def processor(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        return event

    return processor


def _places_only(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace an exception by its class and the places it went through."""
    record = event.get("_record")
    info = event.pop("exc_info", None) or (record.exc_info if record is not None else None)
    if record is not None:
        record.exc_info = record.exc_text = None
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if isinstance(info, tuple) and info[0] is not None:
        event["exception"] = info[0].__name__
        event["places"] = [
            f"{frame.filename.rpartition('/site-packages/')[2]}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(info[2])[-12:]
        ]
    return event

"""Logs: one line per state change, to standard error, for people (a terminal) or for journald (key=value)."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any, TextIO, cast

import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
LONGEST = 400


class Lossy:
    """A stream for log lines; one that it does not take (a full disk, a closed pipe) is lost, no command with it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Writes what can be written."""
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Passes on what can be passed on."""
        with contextlib.suppress(OSError):
            self._stream.flush()


def configure(level: str = "info", *, colors: bool | None = None) -> None:
    """Sets up structlog and quietens the libraries; texts from products are cut and kept on one line."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            _one_line,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty() if colors is None else colors),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(file=cast("TextIO", Lossy(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    for name in ("aiohttp.access", "aiohttp.server", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _one_line(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Names and messages from products may hold anything; a log line stays one line."""
    for key, value in event.items():
        if isinstance(value, str):
            text = value if value.isprintable() else value.encode("unicode_escape").decode("ascii")
            event[key] = text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
    return event

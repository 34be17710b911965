"""Logs: one line per state change, to standard error, for people (a terminal) or for journald (key=value)."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from math import isfinite
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


class Recent:
    """The newest log lines as data, for whoever looks at the page; bounded.

    `wall` is Unix time. Between `begin` and `end` it hears every line that passes the log's level.
    """

    def __init__(self, wall: Callable[[], float], most: int = 500) -> None:
        self._wall = wall
        self._entries: deque[dict[str, Any]] = deque(maxlen=most)
        self._last = 0

    def begin(self) -> None:
        """Listens; processors are called in turn, so it stands first and changes nothing."""
        if self._hear not in (processors := structlog.get_config()["processors"]):
            structlog.configure(processors=[self._hear, *processors])

    def end(self) -> None:
        """Listens no more."""
        processors = structlog.get_config()["processors"]
        structlog.configure(processors=[one for one in processors if one != self._hear])

    def _hear(self, logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        self._last += 1
        said = _one_line(logger, method, dict(event))
        name = str(said.pop("event", ""))
        fields = {
            key: value if isinstance(value, (str, int, float, bool)) else str(value) for key, value in said.items()
        }
        fields = {
            key: str(value) if isinstance(value, float) and not isfinite(value) else value
            for key, value in fields.items()
        }
        self._entries.append(
            {"seq": self._last, "utc": round(self._wall(), 3), "level": method, "event": name, "fields": fields}
        )
        return event

    def since(self, after: int) -> dict[str, Any]:
        """The lines after a number, oldest first, and the number of the newest."""
        return {"entries": [entry for entry in self._entries if entry["seq"] > after], "last": self._last}


class Floodgate:
    """Lets at most `burst` lines of one event through at once and `per_s` a second after that (FAULTS H15).

    The first line that passes after others did not says how many those were. `clock` gives monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float], burst: float = 200.0, per_s: float = 1.0) -> None:
        self._clock, self._burst, self._per_s = clock, burst, per_s
        self._left: dict[str, tuple[float, float]] = {}
        self._held_back: Counter[str] = Counter()

    def __call__(self, _logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """Passes a line on; raises DropEvent."""
        name, now = str(event.get("event")), self._clock()
        left, at = self._left.get(name, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_s)
        if left < 1.0:
            self._left[name] = left, now
            self._held_back[name] += 1
            raise structlog.DropEvent
        self._left[name] = left - 1.0, now
        if held_back := self._held_back.pop(name, 0):
            event["held_back"] = held_back
        return event


def configure(level: str = "info", *, colors: bool | None = None) -> None:
    """Sets up structlog and quietens the libraries; texts from products are cut and kept on one line."""
    structlog.configure(
        processors=[
            Floodgate(time.monotonic),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            _one_line,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty() if colors is None else colors,
                exception_formatter=structlog.dev.plain_traceback,  # no local variables: one may be a password
            ),
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

"""The journal of commands: what a client was told is on the disk, or `fault` says that it is not (COMMANDS C16).

Rules of this file: everything here happens in the loop's thread; `fault` is set before anybody is told "accepted"
without a commit, and goes only when the disk has everything that was told so.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from gateway.core.histogram import Histogram
from gateway.engine.ports import Clock, Evidence
from gateway.store.database import Connect, connect
from gateway.store.opening import Opening
from gateway.store.writer import Bounds, Writer

COMMIT_S = 0.5
COMMIT_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, COMMIT_S)
CLOSE_S = 2.0
log = structlog.get_logger("journal")


class SqliteJournal:
    """Implements `engine.ports.Journal` in a state directory whose lock is held.

    Attributes:
        fault: why what was accepted is not on the disk, in words; "" when everything is.
        found: what happened to the command state before this start, in words; "" when nothing did.
        commits: how long a command waited for the disk; `events`: records by event and protocol since the start.
        on_fault: called whenever `fault` has come, changed or gone, before anybody is answered.
    """

    def __init__(self, folder: Path, *, clock: Clock, bounds: Bounds | None = None, connect: Connect = connect) -> None:
        self._opening, self._clock, self._bounds = Opening(folder, connect), clock, bounds or Bounds()
        self.fault = ""
        self.found = ""
        self.on_fault: Callable[[], None] = _nobody
        self.commits = Histogram(COMMIT_BOUNDS_S)
        self.events: Counter[tuple[str, str]] = Counter()
        self._oldest: float | None = None
        self._writer: Writer | None = None
        self._restored: dict[str, Any] = {}
        self._ticket = self._unsafe = 0
        self._asked: deque[tuple[int, asyncio.Future[bool]]] = deque()

    def open(self) -> None:
        """Reads what the last run left, and starts to write; needs the running loop.

        Raises:
            ConfigError: a newer gateway wrote it, another program holds it, or nothing of it can be read.
        """
        opened = self._opening.open()
        self._restored = {key: json.loads(value) for key, value in opened.states.items()}
        self._ticket = opened.mark.serial
        self.found = opened.found
        if opened.found:
            log.critical("journal.mended", reason=opened.found)
        if opened.connection is None:
            self._raise("the disk does not take it")
        self._loop = asyncio.get_running_loop()
        self._writer = Writer(
            self._opening,
            opened,
            self._bounds,
            self._clock.wall,
            committed=self._in_loop(self._on_committed),
            failed=self._in_loop(self._raise),
            trouble=self._in_loop(lambda text: log.warning("journal.trouble", reason=text)),
        )
        self._writer.start()

    def close(self) -> None:
        """Writes what waits, for at most 2 s."""
        writer, self._writer = self._writer, None
        if writer is not None and not writer.stop(CLOSE_S):
            log.critical("journal.not_saved", reason=self.fault or "the disk was too slow")

    def restored(self) -> Mapping[str, Any]:
        """The states that the last run left, by key."""
        return self._restored

    async def commit(self, states: Mapping[str, Any], evidence: Sequence[Evidence]) -> bool:
        """Returns True once both are on the disk; False when that failed, takes over 500 ms, or `fault` is set."""
        began = self._clock.monotonic()
        self.note(states, evidence)
        if self.fault:
            self._unsafe = self._ticket
            return False
        answer: asyncio.Future[bool] = self._loop.create_future()
        self._asked.append((self._ticket, answer))
        await asyncio.wait([answer], timeout=COMMIT_S)
        self.commits.observe(self._clock.monotonic() - began)
        if answer.done():
            return answer.result()
        self._raise(f"the disk needs longer than {COMMIT_S:g} s")
        return False

    def note(self, states: Mapping[str, Any], evidence: Sequence[Evidence]) -> None:
        """As commit, without waiting."""
        if self._writer is None:
            raise RuntimeError("the journal is not open")
        self._ticket += 1
        if self._oldest is None:
            self._oldest = self._clock.monotonic()
        self.events.update((event.event, event.origin.protocol) for event in evidence)
        texts = {key: None if value is None else json.dumps(value, allow_nan=False) for key, value in states.items()}
        now = self._clock.wall()
        self._writer.put(self._ticket, texts, [(now, event) for event in evidence])

    @property
    def waiting_s(self) -> float:
        """For how long the disk has not taken what it was given, 0 when it has everything."""
        return 0.0 if self._oldest is None else self._clock.monotonic() - self._oldest

    def _in_loop(self, call: Callable[[Any], None]) -> Callable[[Any], None]:
        def pass_on(argument: Any) -> None:
            try:
                self._loop.call_soon_threadsafe(call, argument)
            except RuntimeError:  # the loop has ended, and with it whoever would want to know
                return

        return pass_on

    def _on_committed(self, ticket: int) -> None:
        self._answer(ticket, on_disk=True)
        self._oldest = None if ticket >= self._ticket else self._clock.monotonic()
        if self.fault and ticket >= self._unsafe:
            self.fault = ""
            log.info("journal.restored")
            self.on_fault()

    def _raise(self, reason: str) -> None:
        """Nothing is safe until all that was given so far is on the disk."""
        if self.fault != reason:
            log.critical("journal.fault", reason=reason)
        self.fault, self._unsafe = reason, self._ticket
        self.on_fault()
        self._answer(self._ticket, on_disk=False)

    def _answer(self, ticket: int, *, on_disk: bool) -> None:
        while self._asked and self._asked[0][0] <= ticket:
            answer = self._asked.popleft()[1]
            if not answer.done():
                answer.set_result(on_disk)


def _nobody() -> None:
    """Nobody shows the fault yet."""

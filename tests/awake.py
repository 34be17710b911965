"""How long this process ran: for upper bounds that a machine with much else to do must not break."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

TICK_S, MOST_S = 0.005, 0.03


class Awake:
    """A clock that goes while this process goes: it stands while the process gets no CPU or is stopped.

    A thread of its own counts, so that an event loop that hangs in Python code, or waits for a file, does not stop it.
    A single call of C code that keeps the interpreter for itself does stop it.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._count, name="awake", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def __call__(self) -> float:
        return self._seconds

    def _count(self) -> None:
        last = time.monotonic()
        while not self._over.wait(TICK_S):
            now = time.monotonic()
            self._seconds += min(now - last, MOST_S)
            last = now

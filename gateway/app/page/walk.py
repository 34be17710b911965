"""Walks along the evidence, which may hold a million records, beside the loop: paced, bounded, one for all who ask.

Rules of this file: a thread that only computes keeps the loop waiting, and every Modbus client with it, so it rests
after a moment; nobody waits for longer than a browser does; a walk that nobody asks for any more ends.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Iterator

from gateway.core.errors import GatewayError
from gateway.store.chain import Verdict, verify
from gateway.store.evidence import EvidenceBook

WORKS_S, RESTS_S = 0.002, 0.001
LOOK_EVERY = 16
"""Lines between two looks at the time."""
WAIT_S = 10.0
"""How long one request waits for the verdict."""
FORGOTTEN_S = 60.0


class Abandoned(GatewayError):
    """Nobody waits for what is being read any more."""


def paced(lines: Iterable[str], look: Callable[[int], None]) -> Iterator[str]:
    """The lines, with a rest after each moment; `look` is told then how many there were, and may raise Abandoned."""
    since = time.perf_counter()
    for count, line in enumerate(lines):
        if count % LOOK_EVERY == 0 and time.perf_counter() - since > WORKS_S:
            look(count)
            time.sleep(RESTS_S)
            since = time.perf_counter()
        yield line


class ChainWalk:
    """The check of the whole chain; `book` opens the evidence as it is at the begin."""

    def __init__(self, book: Callable[[], EvidenceBook], wait_s: float = WAIT_S) -> None:
        self._book, self._wait_s = book, wait_s
        self._walking: asyncio.Task[Verdict] | None = None
        self._asked, self._count = 0.0, 0

    def forget(self) -> None:
        """Ends a walk that is under way: the gateway stops, and would wait for it."""
        self._asked = -math.inf

    async def verdict(self) -> Verdict:
        """What the walk came to; who asks while one is under way waits for that one.

        Raises:
            GatewayError: it is not finished yet, with how far it is; it goes on for those who ask again.
        """
        self._asked = time.monotonic()
        if self._walking is None:
            self._count = 0
            self._walking = asyncio.get_running_loop().create_task(asyncio.to_thread(self._walk))
            self._walking.add_done_callback(self._ended)
        walking = self._walking
        done, _ = await asyncio.wait([walking], timeout=self._wait_s)
        if not done:
            raise GatewayError(f"{self._count:,} records are checked and good so far; verify again to see the rest")
        return walking.result()

    def _ended(self, walking: asyncio.Task[Verdict]) -> None:
        self._walking = None
        if not walking.cancelled():
            walking.exception()  # told to those who wait, if any do

    def _walk(self) -> Verdict:
        book = self._book()
        return verify(paced(book.lines(), self._look), book.head)

    def _look(self, count: int) -> None:
        self._count = count
        if time.monotonic() - self._asked > FORGOTTEN_S:
            raise Abandoned("nobody waits for it any more")

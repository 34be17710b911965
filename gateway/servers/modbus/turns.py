"""Which points are being written, and who has to wait for that.

Rules of this file: an ordinary write waits for nobody but those who need their points alone; whoever needs them alone
(FC22 and FC23 read what they write) waits until nobody writes them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Collection


class Turns:
    """Writes under way, of all connections; points by table index."""

    def __init__(self) -> None:
        self._writers: Counter[int] = Counter()
        self._alone: set[int] = set()
        self._ended = asyncio.Event()

    @contextlib.asynccontextmanager
    async def take(self, points: Collection[int], *, alone: bool) -> AsyncIterator[None]:
        """Holds points while they are written; `alone` keeps every other write of them out."""
        while not self._alone.isdisjoint(points) or (alone and any(point in self._writers for point in points)):
            await self._ended.wait()
        held = set(points)
        self._writers.update(held)
        if alone:
            self._alone |= held
        try:
            yield
        finally:
            self._writers -= Counter(held)
            if alone:
                self._alone -= held
            self._ended.set()
            self._ended = asyncio.Event()

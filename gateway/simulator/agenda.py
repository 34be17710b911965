"""A list of things that will happen, in model time. Actions due at one instant run in the order they were added."""

import heapq
from collections.abc import Callable
from itertools import count

Action = Callable[[float], None]


class Agenda:
    """Future actions of one model; `run_until` runs them in time order, each with its own due time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Action]] = []
        self._serial = count()

    def at(self, due: float, action: Action) -> None:
        """Plans `action(due)` for the model time `due` in seconds."""
        heapq.heappush(self._heap, (due, next(self._serial), action))

    def run_until(self, now: float) -> None:
        """Runs every action due at or before `now`, including those planned meanwhile."""
        while self._heap and self._heap[0][0] <= now:
            due, _, action = heapq.heappop(self._heap)
            action(due)

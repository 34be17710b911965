"""When each periodic request of a source is due: a heap of jobs, replaced as a whole when the site changes.

Rules of this file: a job never overlaps itself, not even its successor of a newer plan; a job that is late runs
once, not as often as it was missed; each run is a little early or late, so that gateways that started together do not
ask together for ever, and the next one is counted from the job's own slot, so that jobs stay spread; nothing waits.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from gateway.core.point import KindSpec

OVERLAP_S = 0.2
JITTER = 0.05
"""Each run is at most this part of its period before or after its slot."""


@dataclass(order=True, slots=True)
class Job:
    """One periodic request; `spread` puts its second run that part of a period after its first.

    `slot` is when it should run, `due` when it will (jitter, lateness, `hasten`), `started` when it last did.
    """

    due: float
    order: int
    every_s: float = field(compare=False)
    label: str = field(compare=False)
    kind: KindSpec = field(compare=False)
    run: Callable[[], Awaitable[None]] = field(compare=False)
    indices: Callable[[], Sequence[int]] = field(compare=False)
    spread: float = field(compare=False, default=0.0)
    not_before: float = field(compare=False, default=0.0)
    slot: float = field(compare=False, default=0.0)
    started: float = field(compare=False, default=0.0)

    def next_slot(self) -> float:
        """Whole periods after the last slot, and at least half of one after the last start."""
        if self.spread:
            return self.slot + self.every_s * self.spread
        periods = math.ceil((self.started - self.slot) / self.every_s + 0.5)
        return self.slot + self.every_s * max(periods, 0)


class Schedule:
    """The jobs of one source; `uniform` draws the jitter, as random.uniform does."""

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._jobs: list[Job] = []
        self._running: set[str] = set()
        self._plan = 0
        self._order = 0
        self.overruns = 0

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def labels(self) -> set[str]:
        """All jobs, those that run now included."""
        return {job.label for job in self._jobs} | self._running

    def clear(self) -> dict[str, float]:
        """Begins a new plan; jobs that run now end without being put back. Returns when the others were due."""
        waiting = {job.label: job.due for job in self._jobs}
        self._jobs.clear()
        self._plan += 1
        return waiting

    def add(
        self,
        due: float,
        every_s: float,
        label: str,
        kind: KindSpec,
        run: Callable[[], Awaitable[None]],
        indices: Callable[[], Sequence[int]],
        *,
        spread: float = 0.0,
    ) -> None:
        """Puts one job into the plan."""
        self._order += 1
        heapq.heappush(self._jobs, Job(due, self._order, every_s, label, kind, run, indices, spread, slot=due))

    def wait_s(self, now: float, at_most: float) -> float:
        """How long nothing is due, 0 when something is."""
        return min(max(self._jobs[0].due - now, 0.0), at_most) if self._jobs else at_most

    def start(self, now: float) -> tuple[Job, int] | None:
        """The next due job with the plan it belongs to, None if none may start; `end` it with the same plan."""
        while self._jobs and self._jobs[0].due <= now:
            job = heapq.heappop(self._jobs)
            if job.label not in self._running:
                self._running.add(job.label)
                job.started = now
                return job, self._plan
            job.due = now + OVERLAP_S
            heapq.heappush(self._jobs, job)
        return None

    def start_cheapest(self, now: float) -> tuple[Job, int] | None:
        """As `start`, but whether due or not: the read with the fewest points, a list only when there is no read."""
        idle = [job for job in self._jobs if job.label not in self._running]
        if not idle:
            return None
        sizes = {job.order: len(job.indices()) for job in idle}
        job = min(idle, key=lambda one: (not sizes[one.order], sizes[one.order], one.order))
        self._jobs.remove(job)
        heapq.heapify(self._jobs)
        self._running.add(job.label)
        job.started = now
        return job, self._plan

    def end(self, job: Job, plan: int, now: float) -> None:
        """Puts a job back for its next run, unless a newer plan has replaced it."""
        self._running.discard(job.label)
        if plan != self._plan:
            return
        self.overruns += not job.spread and now > job.due + job.every_s
        job.slot, job.spread = job.next_slot(), 0.0
        jitter = self._uniform(-JITTER, JITTER) * job.every_s
        job.due, job.not_before = max(now, job.slot + jitter, job.not_before), 0.0
        heapq.heappush(self._jobs, job)

    def hasten(self, label: str, now: float) -> None:
        """Makes one waiting job due now."""
        for job in self._jobs:
            if job.label == label:
                job.due = min(job.due, now)
        heapq.heapify(self._jobs)

"""When each periodic request of a source is due: a heap of jobs, replaced as a whole when the site changes.

Rules of this file: a job never overlaps itself, not even its successor of a newer plan; a job that is late runs
once, not as often as it was missed; nothing here waits.
"""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from gateway.core.point import KindSpec

OVERLAP_S = 0.2


@dataclass(order=True, slots=True)
class Job:
    """One periodic request; `spread` puts its second run that part of a period after its first."""

    due: float
    order: int
    every_s: float = field(compare=False)
    label: str = field(compare=False)
    kind: KindSpec = field(compare=False)
    run: Callable[[], Awaitable[None]] = field(compare=False)
    indices: Callable[[], Sequence[int]] = field(compare=False)
    spread: float = field(compare=False, default=0.0)
    not_before: float = field(compare=False, default=0.0)


class Schedule:
    """The jobs of one source."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._running: set[str] = set()
        self._plan = 0
        self._order = 0
        self.overruns = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def clear(self) -> None:
        """Begins a new plan; jobs that run now end without being put back."""
        self._jobs.clear()
        self._plan += 1

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
        heapq.heappush(self._jobs, Job(due, self._order, every_s, label, kind, run, indices, spread))

    def wait_s(self, now: float, at_most: float) -> float:
        """How long nothing is due, 0 when something is."""
        return min(max(self._jobs[0].due - now, 0.0), at_most) if self._jobs else at_most

    def start(self, now: float) -> tuple[Job, int] | None:
        """The next due job with the plan it belongs to, None if none may start; `end` it with the same plan."""
        while self._jobs and self._jobs[0].due <= now:
            job = heapq.heappop(self._jobs)
            if job.label not in self._running:
                self._running.add(job.label)
                return job, self._plan
            job.due = now + OVERLAP_S
            heapq.heappush(self._jobs, job)
        return None

    def end(self, job: Job, plan: int, now: float) -> None:
        """Puts a job back for its next run, unless a newer plan has replaced it."""
        self._running.discard(job.label)
        if plan != self._plan:
            return
        if job.spread:
            job.due, job.spread = now + job.every_s * job.spread, 0.0
        else:
            self.overruns += now > job.due + job.every_s
            job.due = max(now, job.due + job.every_s)
        job.due, job.not_before = max(job.due, job.not_before), 0.0
        heapq.heappush(self._jobs, job)

    def hasten(self, label: str, now: float) -> None:
        """Makes one waiting job due now."""
        for job in self._jobs:
            if job.label == label:
                job.due = min(job.due, now)
        heapq.heapify(self._jobs)

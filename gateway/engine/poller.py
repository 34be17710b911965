"""One source's life: log in, learn what exists, poll each read on its period, and back off when it is gone.

Rules of this file: a read never overlaps itself; at most `parallel` requests are under way; one failing request
is that resource's trouble, several in a row are the source's; a refused password is never tried in a loop.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from gateway.core.errors import CredentialsRefused, Refused, SessionLost, SourceError, Unreachable
from gateway.core.point import SOURCE_KIND, KindSpec, ReadSpec
from gateway.engine.derive import Derivations
from gateway.engine.intake import Intake
from gateway.engine.inventory import Inventory, Resource
from gateway.engine.ports import Clock, Source
from gateway.engine.table import PointTable

BACKOFF_S = (1.0, 60.0)
GONE_AFTER = 3
OVERLAP_S = 0.2
log = structlog.get_logger("poller")


@dataclass(slots=True)
class Health:
    """What `source` points, `status` and the header say about one source."""

    state: str = "starting"
    reason: str = ""
    connected: bool = False
    last_good: float | None = None
    poll_ms: float | None = None
    errors: int = 0
    refused: bool = False


@dataclass(order=True, slots=True)
class Job:
    """One periodic request."""

    due: float
    order: int
    every_s: float = field(compare=False)
    label: str = field(compare=False)
    run: Callable[[], Awaitable[None]] = field(compare=False)
    indices: Callable[[], list[int]] = field(compare=False)
    spread: float = field(compare=False, default=0.0)
    failures: int = field(compare=False, default=0)


class Poller:
    """Polls one source until cancelled."""

    def __init__(
        self,
        source: Source,
        kinds: Sequence[KindSpec],
        *,
        table: PointTable,
        inventory: Inventory,
        intake: Intake,
        derivations: Derivations,
        clock: Clock,
        parallel: int,
        exclude: Sequence[str],
        on_lost: Callable[[str], None],
    ) -> None:
        self.source, self.kinds = source, [kind for kind in kinds if kind.name != SOURCE_KIND]
        self.health = Health()
        self._table, self._inventory, self._intake, self._derivations = table, inventory, intake, derivations
        self._clock, self._parallel, self._exclude, self._on_lost = clock, parallel, exclude, on_lost
        self._jobs: list[Job] = []
        self._counter = 0
        self._failures_in_a_row = 0
        self._running: set[str] = set()
        self._plans = 0
        self._session_number = 0

    async def run(self) -> None:
        """Runs until cancelled; whatever the source does, only this source is affected."""
        delay = BACKOFF_S[0]
        while True:
            try:
                await self._connect()
                delay = BACKOFF_S[0]
                await self._poll()
            except CredentialsRefused as error:
                self._down("refused", str(error))
                self.health.refused = True
                await asyncio.Event().wait()
            except SourceError as error:
                self._down("down", str(error))
                wait = getattr(error, "retry_after_s", None) or delay * random.uniform(0.75, 1.25)  # noqa: S311
                await asyncio.sleep(wait)
                delay = min(delay * 2, BACKOFF_S[1])

    async def _connect(self) -> None:
        """Logs in and rebuilds the dictionary of names, as the guide asks after every reconnection."""
        await self.source.open()
        self._session_number = self.source.session_number
        for kind in self.kinds:
            if kind.list is not None:
                await self._timed(self._list(kind))
            elif kind.within is None:
                single = self._inventory.single(self.source.name, kind)
                single.present, single.trouble = True, ""
        self._plan()
        if self.health.state != "up":
            log.info("source.up", source=self.source.name, resources=sum(len(self._of(k)) for k in self.kinds))
        self.health.state, self.health.reason, self.health.connected = "up", "", True

    def _down(self, state: str, reason: str) -> None:
        self.health.errors += 1
        self._on_lost(self.source.name)
        if self.health.state != state or self.health.reason != reason:
            log.warning("source.down", source=self.source.name, state=state, reason=reason)
        self.health.state, self.health.reason, self.health.connected = state, reason, False
        for kind in self.kinds:
            for resource in self._of(kind):
                self._table.fail(self._measured(resource), f"{self.source.name}: {reason}")

    def _of(self, kind: KindSpec) -> Sequence[Resource]:
        return self._inventory.of(self.source.name, kind.name)

    @staticmethod
    def _measured(resource: Resource) -> list[int]:
        return [index for plan in resource.plans.values() for index, *_ in plan]

    # -- planning ------------------------------------------------------------------------------------------------

    def _plan(self) -> None:
        """All jobs for what exists now; new ones are due at once, per-id reads then spread over their period."""
        self._jobs.clear()
        self._plans += 1
        for kind in self.kinds:
            if kind.list is not None:
                self._add(kind.list.every_s, f"list {kind.name}", self._relist(kind), list, first=False)
            for read in kind.reads.values():
                self._plan_read(kind, read)
            self._plan_members(kind)

    def _plan_read(self, kind: KindSpec, read: ReadSpec) -> None:
        if read.is_bulk:
            self._add(read.every_s, f"{kind.name}.{read.name}", self._bulk(kind, read), self._all(kind, read.name))
            return
        resources = [resource for resource in self._of(kind) if resource.present]
        for i, resource in enumerate(resources):
            run, indices = self._one(resource, read), self._some(resource, read.name)
            spread = (i + 1) / len(resources)
            self._add(read.every_s, f"{resource.label} {read.name}", run, indices, spread=spread)

    def _plan_members(self, kind: KindSpec) -> None:
        if kind.members is None:
            return
        resources = [resource for resource in self._of(kind) if resource.present]
        for i, resource in enumerate(resources):
            run = self._member(resource)
            spread = (i + 1) / len(resources)
            self._add(kind.members.every_s, f"{resource.label} members", run, list, spread=spread)

    def _add(
        self,
        every_s: float,
        label: str,
        run: Callable[[], Awaitable[None]],
        indices: Callable[[], list[int]],
        *,
        first: bool = True,
        spread: float = 0.0,
    ) -> None:
        self._counter += 1
        due = self._clock.monotonic() + (0.0 if first else every_s)
        heapq.heappush(self._jobs, Job(due, self._counter, every_s, label, run, indices, spread))

    def _all(self, kind: KindSpec, read: str) -> Callable[[], list[int]]:
        return lambda: [row[0] for resource in self._of(kind) for row in resource.plans.get(read, ())]

    @staticmethod
    def _some(resource: Resource, read: str) -> Callable[[], list[int]]:
        return lambda: [row[0] for row in resource.plans.get(read, ())]

    # -- requests ------------------------------------------------------------------------------------------------

    async def _list(self, kind: KindSpec) -> None:
        if kind.list is None:
            return
        listed = await self.source.list_resources(kind.list)
        if self._inventory.listed(self.source.name, kind, listed, self._exclude):
            self._derivations.wire(self.source.name)

    def _relist(self, kind: KindSpec) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            generation = self._inventory.generation
            await self._list(kind)
            if self._inventory.generation != generation:
                self._plan()

        return run

    def _bulk(self, kind: KindSpec, read: ReadSpec) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            answer = await self.source.read_bulk(read)
            present = [resource for resource in self._of(kind) if resource.present and not resource.trouble]
            self._take(read.name, [(r, answer[r.id]) for r in present if r.id in answer])
            absent = [resource for resource in present if resource.id not in answer]
            if absent:
                self._intake.missing(read.name, absent)

        return run

    def _one(self, resource: Resource, read: ReadSpec) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            document = await self.source.read(read, resource.path_values)
            if resource.present and not resource.trouble:
                self._take(read.name, [(resource, document)])

        return run

    def _member(self, resource: Resource) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            if resource.kind.members is None:
                return
            resource.members = await self.source.members(resource.kind.members, resource.path_values)
            self._derivations.wire(self.source.name)

        return run

    def _take(self, read: str, documents: list[tuple[Resource, object]]) -> None:
        generation = self._inventory.generation
        self._intake.take(read, documents)
        if self._inventory.generation != generation:
            self._derivations.wire(self.source.name)

    # -- running -------------------------------------------------------------------------------------------------

    async def _poll(self) -> None:
        """Works through the jobs until the source is gone.

        Raises:
            SourceError: the reason for which the source counts as gone.
        """
        self._failures_in_a_row = 0
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._parallel):
                    group.create_task(self._work())
        except* SourceError as errors:
            raise _first(errors) from None

    async def _work(self) -> None:
        while True:
            now = self._clock.monotonic()
            if not self._jobs or self._jobs[0].due > now:
                wait = self._jobs[0].due - now if self._jobs else 1.0
                await asyncio.sleep(min(wait, 1.0))
                continue
            job = heapq.heappop(self._jobs)
            if job.label in self._running:
                job.due = now + OVERLAP_S
                heapq.heappush(self._jobs, job)
                continue
            plan = self._plans
            self._running.add(job.label)
            try:
                await self._run(job)
            finally:
                self._running.discard(job.label)
            if plan == self._plans:
                self._again(job)

    def _again(self, job: Job) -> None:
        now = self._clock.monotonic()
        if job.spread:
            job.due, job.spread = now + job.every_s * job.spread, 0.0
        else:
            job.due = max(now, job.due + job.every_s)
        heapq.heappush(self._jobs, job)

    async def _run(self, job: Job) -> None:
        try:
            await self._timed(job.run())
            if self.source.session_number != self._session_number:
                self._session_number = self.source.session_number
                self._on_lost(self.source.name)
        except (CredentialsRefused, SessionLost):
            raise
        except SourceError as error:
            self._failed(job, error)
        else:
            if job.failures:
                log.info("read.recovered", source=self.source.name, read=job.label)
            job.failures = 0
            self._failures_in_a_row = 0

    def _failed(self, job: Job, error: SourceError) -> None:
        self.health.errors += 1
        job.failures += 1
        if job.failures == 1:
            log.warning("read.failed", source=self.source.name, read=job.label, reason=str(error))
        self._table.fail(job.indices(), str(error))
        if isinstance(error, Refused) and error.retry_after_s:
            job.due = self._clock.monotonic() + error.retry_after_s - job.every_s
        if isinstance(error, Unreachable):
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= GONE_AFTER:
                raise error

    async def _timed(self, request: Awaitable[None]) -> None:
        started = self._clock.monotonic()
        await request
        now = self._clock.monotonic()
        self.health.last_good, self.health.poll_ms = now, (now - started) * 1000


def _first(errors: BaseExceptionGroup[SourceError]) -> SourceError:
    """The first leaf of a group: one reason is enough for a person."""
    leaf: BaseException = errors
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    if not isinstance(leaf, SourceError):
        raise leaf
    return leaf

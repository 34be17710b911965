"""One source's life: log in, learn what exists, poll each read on its period, and back off when it is gone.

Rules of this file: a read never overlaps itself; at most `parallel` requests are under way; one failing request
is that resource's trouble, several in a row are the source's; a refused password is never tried in a loop; after
every login the names are resolved again before any answer counts as a reason to send a command (C07).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import Awaitable, Callable, Sequence

import structlog

from gateway.core.circuit import SourceState
from gateway.core.errors import (
    BadAnswer,
    CredentialsRefused,
    LoginHeld,
    Refused,
    SessionLost,
    SourceError,
    Unreachable,
)
from gateway.core.point import SOURCE_KIND, KindSpec
from gateway.core.value import CONFIG_ERROR, Sample
from gateway.engine.derive import Derivations
from gateway.engine.health import Health
from gateway.engine.intake import Intake
from gateway.engine.inventory import Inventory, measured
from gateway.engine.ports import Clock, Source
from gateway.engine.reader import Reader
from gateway.engine.resource import Resource
from gateway.engine.schedule import Job
from gateway.engine.table import PointTable

BACKOFF_S = (1.0, 60.0)
STEADY_S = 60.0
GONE_AFTER = 3
LOOK_S = 1.0
FORBIDDEN, NOT_FOUND, TOO_MANY = 403, 404, 429
ENDS = (CredentialsRefused, LoginHeld, SessionLost)
"""What is never one request's trouble."""
log = structlog.get_logger("poller")


class Poller:
    """Polls one source until cancelled; `uniform` draws every jitter, as random.uniform does."""

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
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.source, self.kinds = source, [kind for kind in kinds if kind.name != SOURCE_KIND]
        self.health = Health()
        self._table, self._inventory = table, inventory
        self._clock, self._parallel, self._on_lost = clock, parallel, on_lost
        self._uniform = uniform
        self._reader = Reader(
            source,
            self.kinds,
            inventory=inventory,
            intake=intake,
            derivations=derivations,
            clock=clock,
            exclude=exclude,
            uniform=uniform,
        )
        self._schedule = self._reader.schedule
        self._failing: dict[str, str] = {}
        self._not_found: dict[str, int] = {}
        self._failures_in_a_row = 0
        self._session = 0
        self._renewing = False
        self._again = asyncio.Event()
        self._paused_until = 0.0

    async def run(self) -> None:
        """Runs until cancelled; whatever the source does, only this source is affected."""
        delay = BACKOFF_S[0]
        while True:
            began = self._clock.monotonic()
            self.health.turns += 1
            try:
                await self._connect()
                await self._poll()
            except CredentialsRefused as error:
                self._down(SourceState.REFUSED, str(error))
                await self._rest(error.retry_after_s)
            except LoginHeld as error:
                self._down(SourceState.TAKEN if error.taken else SourceState.PAUSED, str(error))
                await self._rest(error.retry_after_s)
            except SourceError as error:
                self._down(SourceState.DOWN, str(error))
                if self._clock.monotonic() - began > STEADY_S:
                    delay = BACKOFF_S[0]
                asked = error.retry_after_s if isinstance(error, Refused) else None
                await self._rest(
                    max(asked or 0.0, min(max(delay * self._uniform(0.75, 1.25), BACKOFF_S[0]), BACKOFF_S[1]))
                )
                delay = min(delay * 2, BACKOFF_S[1])

    async def _rest(self, seconds: float | None) -> None:
        """Asks nothing for a while (None: until `retry`), and says until when."""
        until = math.inf if seconds is None else self._clock.monotonic() + seconds
        self.health.next_try = None if seconds is None else until
        self._again.clear()
        while not self._again.is_set() and (left_s := until - self._clock.monotonic()) > 0:
            self.health.turns += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, LOOK_S)):
                    await self._again.wait()
        self.health.next_try = None

    def retry(self) -> bool:
        """Tries a refused login again at once, as often as the first time; returns whether it was refused."""
        if self.health.state is not SourceState.REFUSED:
            return False
        self.source.retry()
        self._again.set()
        return True

    async def _connect(self) -> None:
        """Logs in and rebuilds the dictionary of names, as the guide asks after every reconnection."""
        await self.source.open()
        self.health.relogins += 0 < self._session != self.source.session_number
        self._session = self.source.session_number
        if await self._learn():
            self._up()

    def _up(self) -> None:
        """It answers in its session; a login alone does not show that (U16)."""
        if self.health.state is not SourceState.UP:
            log.info("source.up", source=self.source.name, resources=sum(len(self._reader.of(k)) for k in self.kinds))
            self.health.state, self.health.reason, self.health.connected = SourceState.UP, "", True

    def _down(self, state: SourceState, reason: str) -> None:
        self.health.errors += 1
        self._on_lost(self.source.name)
        told = self.health.state is state and (self.health.reason == reason or state is SourceState.PAUSED)
        if not told:
            log.warning("source.down", source=self.source.name, state=state, reason=reason)
        self.health.state, self.health.reason, self.health.connected = state, reason, False
        for kind in self.kinds:
            for resource in self._reader.of(kind):
                self._table.fail(self._read_points(resource), f"{self.source.name}: {reason}")

    def _points_of(self, kind: KindSpec) -> list[int]:
        return [index for resource in self._reader.of(kind) for index in measured(resource)]

    @staticmethod
    def _read_points(resource: Resource) -> list[int]:
        return [index for plan in resource.plans.values() for index, *_ in plan]

    def replan(self) -> None:
        """The inventory was corrected by hand: asks at once for what may be read now."""
        self._reader.wire()
        self._reader.plan()

    # -- names ---------------------------------------------------------------------------------------------------

    async def _learn(self) -> bool:
        """Every list, then a new plan; a list the product refuses is its kind's trouble unless all are refused.

        Returns whether the product answered anything: without a list nothing is asked here.
        """
        reached = answered = False
        refusal: SourceError | None = None
        for kind in self.kinds:
            self.health.turns += 1
            if kind.list is not None:
                try:
                    await self._timed(self._reader.read_list(kind))
                    self._recovered(f"list {kind.name}")
                    reached = answered = True
                except (*ENDS, Unreachable):
                    raise
                except (Refused, BadAnswer) as error:
                    self._note_failure(f"list {kind.name}", self._points_of(kind), error)
                    refusal = error
            elif kind.within is None:
                single = self._inventory.single(self.source.name, kind)
                single.present, single.trouble, single.resolved = True, "", self._session
                reached = True
        if refusal is not None and not reached:
            raise refusal
        self._reader.wire()
        self._reader.plan()
        return answered

    async def _relearn(self) -> None:
        """There is a new session: nothing is sent until the names are resolved and the values read in it."""
        self._session = self.source.session_number
        self.health.relogins += 1
        self._on_lost(self.source.name)
        log.info("source.relogin", source=self.source.name, session=self._session)
        await self._learn()

    async def _renew(self) -> None:
        """A new session before the old one's lifetime ends: no read fails, and commands wait for it (U06)."""
        self._renewing = True
        try:
            self._on_lost(self.source.name)
            await self.source.renew()
            if self.source.session_number != self._session:
                self._session = self.source.session_number
                log.info("session.renewed", source=self.source.name, session=self._session)
                await self._learn()
        finally:
            self._renewing = False

    def relist(self, kind: KindSpec) -> None:
        """Asks for a kind's list soon: somebody was told that an id is not known."""
        self._schedule.hasten(f"list {kind.name}", self._clock.monotonic())

    # -- running -------------------------------------------------------------------------------------------------

    async def _poll(self) -> None:
        """Works through the jobs until the source is gone.

        Raises:
            SourceError: the reason for which the source counts as gone.
        """
        self._failures_in_a_row = 0
        gone: asyncio.Queue[SourceError] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(self._work(gone)) for _ in range(self._parallel)]
            reasons = [await gone.get()]
            for worker in workers:
                worker.cancel()
        while not gone.empty():
            reasons.append(gone.get_nowait())
        raise next((reason for reason in reasons if isinstance(reason, (CredentialsRefused, LoginHeld))), reasons[0])

    async def _work(self, gone: asyncio.Queue[SourceError]) -> None:
        """Ends with the error for which the source counts as gone; anything else that is raised is a defect."""
        try:
            while True:
                await self._step()
        except SourceError as error:
            gone.put_nowait(error)

    async def _step(self) -> None:
        self.health.turns += 1
        now = self._clock.monotonic()
        if self.source.renewal_due and not self._renewing:
            await self._renew()
            return
        started = None if self._renewing else self._next(now)
        if started is None:
            await asyncio.sleep(LOOK_S if self._renewing else self._idle_s(now))
            return
        job, plan = started
        try:
            await self._run(job)
            if self.source.session_number != self._session and not self._renewing:
                await self._relearn()
        finally:
            self._schedule.end(job, plan, self._clock.monotonic())
            self.health.overruns = self._schedule.overruns

    def _next(self, now: float) -> tuple[Job, int] | None:
        """The next job that is due; before the session ends for want of a request, the cheapest that is not."""
        started = self._schedule.start(now) if now >= self._paused_until else None
        if started is None and self.source.needs_request:
            return self._schedule.start_cheapest(now)
        return started

    def _idle_s(self, now: float) -> float:
        return max(self._schedule.wait_s(now, LOOK_S), min(self._paused_until - now, LOOK_S))

    async def _run(self, job: Job) -> None:
        try:
            await self._timed(job.run())
        except ENDS:
            raise
        except SourceError as error:
            self._failed(job, error)
        else:
            self._up()
            self._recovered(job.label)
            self._failures_in_a_row = 0

    @property
    def failing(self) -> dict[str, str]:
        """The requests that do not work, of those that are still made, and why."""
        return {label: self._failing[label] for label in sorted(self._failing.keys() & self._schedule.labels)}

    def _recovered(self, label: str) -> None:
        self._not_found.pop(label, None)
        if self._failing.pop(label, None) is not None:
            log.info("read.recovered", source=self.source.name, read=label)

    def _note_failure(self, label: str, indices: Sequence[int], error: SourceError, *, quiet: bool = False) -> None:
        """One line at the change; what the login may not read is a config error, not an old value (U11)."""
        self.health.errors += 1
        if label not in self._failing and not quiet:
            log.warning("read.failed", source=self.source.name, read=label, reason=str(error))
        if label in self._failing or not quiet:
            self._failing[label] = str(error)
        self._table.fail(indices, str(error))
        if isinstance(error, Refused) and error.status == FORBIDDEN:
            now = self._clock.monotonic()
            self._table.update((index, Sample(None, CONFIG_ERROR, str(error), now)) for index in indices)

    def _failed(self, job: Job, error: SourceError) -> None:
        now = self._clock.monotonic()
        quiet = False
        if isinstance(error, (Refused, BadAnswer)):
            self._up()
        if isinstance(error, Refused):
            quiet = error.status == NOT_FOUND and self._list_may_explain(job)
            if error.retry_after_s:
                job.not_before = now + error.retry_after_s
                if error.status == TOO_MANY:
                    self._paused_until = job.not_before
        self._note_failure(job.label, job.indices(), error, quiet=quiet)
        if isinstance(error, Unreachable):
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= GONE_AFTER:
                raise error

    def _list_may_explain(self, job: Job) -> bool:
        """Whether a 404 has to wait for its kind's list, asked at once: an import is told in one line (I05)."""
        label = f"list {job.kind.name}"
        if job.kind.list is None or label == job.label or job.label in self._failing:
            return False
        listings = self._reader.listings[job.kind.name]
        if job.label not in self._not_found:
            self._schedule.hasten(label, self._clock.monotonic())
        return self._not_found.setdefault(job.label, listings) == listings

    async def _timed(self, request: Awaitable[object]) -> None:
        started = self._clock.monotonic()
        await request
        now = self._clock.monotonic()
        self.health.last_good, self.health.poll_ms = now, (now - started) * 1000
        self.health.answered.observe(now - started)

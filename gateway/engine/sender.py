"""What leaves for the products: at most one PUT per point under way, and the GETs that prove it.

Rules of this file: a PUT leaves only in the session, and under the id and name, in which the value was read before
(C07); whatever a product answers to a PUT, only a read-back says what is in force; an outcome reaches the delivery
whatever happens, so that a point is never stuck with a request in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

import structlog

from gateway.core.delivery import Action, Target, WriteStatus
from gateway.core.errors import Ambiguous, BadAnswer, Refused, SessionLost, SourceError
from gateway.core.value import Value
from gateway.engine.intake import Intake
from gateway.engine.ports import Clock, Reading, Source, WriteRequest
from gateway.engine.setpoint import Basis, Setpoint
from gateway.engine.table import PointTable

IDLE_WAKE_S = 1.0
BUSY = frozenset({408, 425, 429})
log = structlog.get_logger("commands")


class Sender:
    """Performs what the deliveries of all points ask for; `show` is told of every point that changed."""

    def __init__(
        self, table: PointTable, clock: Clock, points: Mapping[int, Setpoint], show: Callable[[Setpoint], None]
    ) -> None:
        self._table, self._clock, self._points, self._show = table, clock, points, show
        self._intake: Intake | None = None
        self._sources: Mapping[str, Source] = {}
        self._reading: set[Setpoint] = set()
        self._wake = asyncio.Event()

    def connect(self, intake: Intake, sources: Mapping[str, Source]) -> None:
        """Gives the way upstream; called once, before run."""
        self._intake, self._sources = intake, sources

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    def basis(self, point: Setpoint) -> Basis | None:
        """Under what a value read now may be followed by a PUT; None while nothing may be sent."""
        resource = point.resource
        outer = resource.reader(point.spec.read or "")
        source = self._sources.get(resource.source)
        if source is None or not resource.usable or outer.resolved != source.session_number:
            return None
        return source.session_number, outer.id, outer.name

    async def run(self) -> None:
        """Delivers until cancelled; a TaskGroup of its own holds what is in flight."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                now = self._clock.monotonic()
                wake_at = now + IDLE_WAKE_S
                for point in self._points.values():
                    self._check(point)
                    while (action := point.delivery.next_action(now)) is not None:
                        if action is Action.PUT:
                            self._show(point)
                            group.create_task(self._put(point, point.delivery.target, point.basis))
                        elif point not in self._reading:
                            self._reading.add(point)
                            group.create_task(self._get(point))
                    due = point.delivery.wake_at()
                    wake_at = min(wake_at, due if due is not None else wake_at)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, wake_at - self._clock.monotonic())):
                        await self._wake.wait()

    def _check(self, point: Setpoint) -> None:
        """What was read before counts no more once the session, the id or the name changed, or trouble came."""
        if point.delivery.is_ready and point.basis != self.basis(point):
            point.basis = None
            point.delivery.lost()
            self._show(point)

    async def _put(self, point: Setpoint, target: Target | None, basis: Basis | None) -> None:
        delivery, name, before = point.delivery, self._table.names[point.index], point.delivery.status
        if target is None or basis is None or basis != point.basis:
            delivery.put_failed(self._clock.monotonic(), "not sent: the source was lost in this moment")
            return
        raw = "release" if target.release else target.raw
        try:
            request = self._request(point, target, basis[0])
            answer = await self._sources[point.resource.source].write(request)
        except (Ambiguous, BadAnswer) as error:
            delivery.put_done(self._clock.monotonic(), certain=False, error=str(error))
            log.warning("command.unknown", point=name, raw=raw, reason=str(error))
        except SourceError as error:
            refused = self._failed(point, error)
            log.warning("command.failed", point=name, raw=raw, refused=refused, reason=str(error))
        else:
            delivery.put_done(self._clock.monotonic(), certain=True)
            log.info("command.sent", point=name, raw=raw, answer=answer)
        self.log_status(point, before)
        self._show(point)
        self.wake()

    def _failed(self, point: Setpoint, error: SourceError) -> bool:
        """The PUT was not carried out; returns whether the product refused this very command."""
        now = self._clock.monotonic()
        if isinstance(error, SessionLost):
            point.delivery.put_failed(now, str(error))
            point.basis = None
            point.delivery.lost()
            return False
        if isinstance(error, Refused) and 300 <= error.status < 500 and error.status not in BUSY:
            point.delivery.put_refused(now, str(error))
            return True
        point.delivery.put_failed(now, str(error), wait_s=error.retry_after_s if isinstance(error, Refused) else None)
        return False

    def preview(self, point: Setpoint) -> str:
        """The request that would leave now, in words: method, path and body."""
        value = point.slots.value
        raw = point.raw(value) if value is not None else None
        source = self._sources.get(point.resource.source)
        if source is None or not point.resource.usable or (value is not None and raw is None):
            return "nothing yet: the product was not read"
        try:
            return source.preview(self._request(point, Target(raw, release=value is None), 0))
        except SourceError as error:
            return f"nothing yet: {error}"

    def _request(self, point: Setpoint, target: Target, session: int) -> WriteRequest:
        values: dict[str, Value] = {}
        default = point.default
        raw = point.raw(default) if default is not None else None
        if raw is not None:
            values["default"] = raw
        if target.raw is not None:
            values["value"] = target.raw
        for name, index in point.resource.indices.items():
            value = self._table.good_value(index)
            if value is not None:
                values[f"point:{name}"] = value
        return WriteRequest(point.command, target.release, point.resource.path_values, values, session)

    async def _get(self, point: Setpoint) -> None:
        """Reads the point's own value back; a failed GET leaves it to the next one."""
        outer = point.resource.reader(point.spec.read or "")
        read = outer.kind.reads[point.spec.read or ""]
        source, asked = self._sources[outer.source], outer.path_values
        reading = Reading(source.session_number, self._clock.monotonic())
        try:
            if read.is_bulk:
                answer = await source.read_bulk(read)
                documents = [(outer, answer[outer.id])] if outer.id in answer else []
            else:
                documents = [(outer, await source.read(read, asked))]
        except SourceError as error:
            log.info("command.read_back_failed", point=self._table.names[point.index], reason=str(error))
            return
        finally:
            self._reading.discard(point)
        if self._intake is not None and documents and outer.usable and outer.path_values == asked:
            self._intake.take(read.name, documents, reading)

    def log_status(self, point: Setpoint, before: WriteStatus) -> None:
        """One line when a command ends well or badly."""
        status = point.delivery.status
        if status is not before and status in (WriteStatus.IN_FORCE, WriteStatus.OVERRIDDEN, WriteStatus.IDLE):
            name = self._table.names[point.index]
            log.info("command.status", point=name, status=status.name.lower(), reason=point.delivery.error)

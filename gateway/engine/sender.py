"""What leaves for the products: at most one PUT per point under way, and the GETs that prove it.

Rules of this file: a PUT leaves only in the session, and under the id, name and certificate, in which the value was
read before (C07); whatever a product answers to a PUT, only a read-back says what is in force; an outcome reaches the
delivery whatever happens, so that a point is never stuck with a request in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from gateway.core.delivery import Action, Target, WriteStatus
from gateway.core.errors import Ambiguous, BadAnswer, NotMergeable, Refused, SessionLost, SourceError
from gateway.core.point import KindSpec, answer_to
from gateway.core.value import Value
from gateway.engine.intake import Intake
from gateway.engine.joint import RELEASE, part, raw_of, wanted
from gateway.engine.ledger import Ledger
from gateway.engine.ports import BootClock, Reading, Source, WriteRequest, Written
from gateway.engine.resource import Resource
from gateway.engine.setpoint import Basis, Setpoint
from gateway.engine.table import PointTable

IDLE_WAKE_S = 1.0
BUSY = frozenset({408, 425, 429})
NOT_FOUND = 404
Relist = Callable[[str, KindSpec], None]
"""Asks for the list of a source's kind soon."""
log = structlog.get_logger("commands")


class Sender:
    """Performs what the deliveries of all points ask for; `show` is told of every point that changed.

    `turns` counts on as long as `run` goes on.
    """

    def __init__(
        self,
        table: PointTable,
        clock: BootClock,
        points: Mapping[int, Setpoint],
        show: Callable[[Setpoint], None],
        ledger: Ledger,
    ) -> None:
        self._table, self._clock, self._points, self._show = table, clock, points, show
        self._ledger = ledger
        self._intake: Intake | None = None
        self._sources: Mapping[str, Source] = {}
        self._relist: Relist = _no_list
        self._reading: set[Setpoint] = set()
        self._touched: dict[Setpoint, None] = {}
        self._due: dict[Setpoint, float] = {}
        self._wake = asyncio.Event()
        self.turns = 0

    def connect(self, intake: Intake, sources: Mapping[str, Source], relist: Relist | None) -> None:
        """Gives the way upstream; called once, before run."""
        self._intake, self._sources = intake, sources
        self._relist = relist or _no_list

    def forget(self, points: Iterable[Setpoint]) -> None:
        """These are no more; nothing of theirs was under way but a GET."""
        for point in points:
            self._touched.pop(point, None)
            self._due.pop(point, None)

    def wake(self, points: Iterable[Setpoint]) -> None:
        """Something may be due for these."""
        self._touched.update(dict.fromkeys(point.peers[0] for point in points))
        self._wake.set()

    # -- whether anything may be sent ----------------------------------------------------------------------------

    def basis(self, point: Setpoint) -> Basis | None:
        """Under what a value read now may be followed by a PUT; None while nothing may be sent."""
        identity = self._identity(point)
        unjudged = any(member.unjudged for member in point.peers)
        if identity is None or unjudged or point.read_only or self.clockless(point):
            return None
        if point.barred is not None and point.barred[0] == identity:
            return None
        if point.missing is not None and self._outer(point).listings <= point.missing:
            return None
        return identity

    def _identity(self, point: Setpoint) -> Basis | None:
        """Session, id, name and certificate as they are now, None while the name is not resolved."""
        outer, source = self._outer(point), self._sources.get(point.resource.source)
        if source is None or not point.resource.usable or outer.resolved != source.session_number:
            return None
        return source.session_number, outer.id, outer.name, source.certificate

    @staticmethod
    def _outer(point: Setpoint) -> Resource:
        return point.resource.reader(point.spec.read or "")

    def clockless(self, point: Setpoint) -> bool:
        """Whether an end time must be sent and no clock can be trusted for it (C12)."""
        target = point.delivery.target
        if point.command.valid_for_s is None or target is None or target.release:
            return False
        source = self._sources.get(point.resource.source)
        return source is not None and source.product_clock() is None and not self._clock.synchronised()

    def _check(self, point: Setpoint) -> None:
        """What was read before counts no more once the session, the id or the name changed, or trouble came."""
        for member in point.peers:
            identity = self._identity(member) if member.barred is not None else None
            if member.barred is not None and identity is not None and identity != member.barred[0]:
                member.barred = member.missing = None
        if point.delivery.is_ready and any(member.basis != self.basis(member) for member in point.peers):
            self._lose(point)

    def _lose(self, point: Setpoint) -> None:
        """Nothing is sent until every member was read again."""
        point.delivery.lost()
        for member in point.peers:
            member.basis = member.read = None
            self._show(member)

    # -- the loop ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Delivers until cancelled; a TaskGroup of its own holds what is in flight.

        Points that were touched or are due are looked at now, all of them every `IDLE_WAKE_S`.
        """
        all_at = 0.0
        async with asyncio.TaskGroup() as group:
            while True:
                self.turns += 1
                self._wake.clear()
                now = self._clock.monotonic()
                touched, self._touched = self._touched, {}
                points: Iterable[Setpoint] = {**touched, **{p: None for p, at in self._due.items() if at <= now}}
                if now >= all_at:
                    points, all_at = [p for p in self._points.values() if p is p.peers[0]], now + IDLE_WAKE_S
                for point in points:
                    self._serve(point, now, group)
                wake_at = min(self._due.values(), default=all_at)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, min(wake_at, all_at) - self._clock.monotonic())):
                        await self._wake.wait()

    def _serve(self, point: Setpoint, now: float, group: asyncio.TaskGroup) -> None:
        """Does what one point's delivery asks for now, and notes when it may ask again."""
        self._check(point)
        if point.delivery.target is not None and not point.delivery.is_ready:
            self._read_first(point, group)
        while (action := point.delivery.next_action(now)) is not None:
            if action is Action.PUT:
                self._show_all(point)
                group.create_task(self._put(point, point.delivery.target, point.basis))
                continue
            for member in {(self._outer(p), p.spec.read): p for p in point.peers}.values():
                self._read(member, group)
        due = point.delivery.wake_at()
        if due is None:
            self._due.pop(point, None)
        else:
            self._due[point] = due

    def _read_first(self, point: Setpoint, group: asyncio.TaskGroup) -> None:
        """A command waits for the first GET of its session: it is asked for once at once, then left to the polls."""
        for member in point.peers:
            basis = self.basis(member)
            if basis is not None and basis not in (member.basis, member.asked):
                member.asked = basis
                self._read(member, group)

    def _read(self, point: Setpoint, group: asyncio.TaskGroup) -> None:
        if point not in self._reading:
            self._reading.add(point)
            group.create_task(self._get(point))

    def _show_all(self, point: Setpoint) -> None:
        for member in point.peers:
            self._show(member)

    # -- one request ---------------------------------------------------------------------------------------------

    async def _put(self, point: Setpoint, target: Target | None, basis: Basis | None) -> None:
        delivery, name, before = point.delivery, self._table.names[point.index], point.delivery.status
        command = point.command
        if target is None or basis is None or basis != point.basis:
            delivery.put_failed(self._clock.monotonic(), "not sent: the source was lost in this moment")
            return
        raw, values = "release" if target.release else target.raw, [member.aimed for member in point.peers]
        try:
            request = self._request(point, target, basis[0])
            answer = await self._sources[point.resource.source].write(request)
        except (Ambiguous, BadAnswer) as error:
            delivery.put_done(self._clock.monotonic(), certain=False, error=str(error))
            self._sent(point, target, values, f"no usable answer: {error}")
            log.warning("command.unknown", point=name, raw=raw, reason=str(error))
        except SourceError as error:
            refused = self._failed(point, error, basis)
            if refused:
                self._sent(point, target, values, str(error))
            log.warning("command.failed", point=name, raw=raw, refused=refused, reason=str(error))
        else:
            for member in point.peers:
                member.missing = None
            delivery.put_done(self._clock.monotonic(), certain=True)
            self._sent(point, target, values, str(answer))
            log.info("command.sent", point=name, raw=raw, answer=str(answer))
            if point.command is command:
                self._answered(point, answer, basis)
        self.log_status(point, before)
        self._show_all(point)
        self.wake([point])

    def _sent(self, point: Setpoint, target: Target, values: Sequence[Value | None], answer: str) -> None:
        """The evidence that a body left, and what the product said to it: of every member that it asked something."""
        items = []
        for member, value in zip(point.peers, values, strict=True):
            member.sent = part(target, member)
            if value is not None or target.release:
                new = None if target.release else value
                items.append(self._ledger.record("sent", member, slot=member.slots.winner, new=new, answer=answer))
        self._ledger.note(point.peers, *items)

    def _answered(self, point: Setpoint, answer: Written, basis: Basis) -> None:
        """Points that the mapping finds in the product's answer to the command."""
        read = answer_to(point.spec.name)
        if self._intake is not None and answer.document is not None and read in point.resource.plans:
            reading = Reading(basis[0], self._clock.monotonic())
            self._intake.take(read, [(point.resource, answer.document)], reading)

    def _failed(self, point: Setpoint, error: SourceError, basis: Basis) -> bool:
        """The PUT was not carried out; returns whether the product refused this very command."""
        now = self._clock.monotonic()
        if isinstance(error, SessionLost):
            point.delivery.put_failed(now, str(error))
            self._lose(point)
            return False
        if isinstance(error, Refused) and error.status == NOT_FOUND and self._outer(point).kind.list is not None:
            self._not_found(point, error, basis)
            return True
        refused = isinstance(error, Refused) and 300 <= error.status < 500 and error.status not in BUSY
        if refused or isinstance(error, NotMergeable):
            point.delivery.put_refused(now, str(error))
            return True
        point.delivery.put_failed(now, str(error), wait_s=error.retry_after_s if isinstance(error, Refused) else None)
        return False

    def _not_found(self, point: Setpoint, error: Refused, basis: Basis) -> None:
        """The product does not know the id: its name is looked up once more, then one more PUT (FAULTS W07)."""
        outer = self._outer(point)
        point.delivery.put_failed(self._clock.monotonic(), str(error))
        for member in point.peers:
            if self._identity(point) != basis:
                member.missing = None  # it was looked up meanwhile
            elif member.missing is None:
                member.missing = outer.listings
                self._relist(outer.source, outer.kind)
            else:
                member.barred = (basis, str(error))
        self._lose(point)

    def preview(self, point: Setpoint) -> str:
        """The request that would leave now, in words: method, path and body."""
        source, target = self._sources.get(point.resource.source), wanted(point)
        asked = any(member.aimed is not None for member in point.peers)
        if source is None or not point.resource.usable or (asked and target is None):
            return "nothing yet: the product was not read"
        try:
            return source.preview(self._request(point, target or RELEASE, 0))
        except SourceError as error:
            return f"nothing yet: {error}"

    def _request(self, point: Setpoint, target: Target, session: int) -> WriteRequest:
        """`{value}` is the point's own raw value; `{point:NAME}` of a joint request's member is what is asked of it."""
        values: dict[str, Value] = {}
        for name, index in point.resource.indices.items():
            known = self._table.good_value(index)
            if known is not None:
                values[f"point:{name}"] = known
        for member in point.peers:
            default = member.default
            loose = None if default is None else member.raw(default)
            raw = loose if target.release else raw_of(target, member)
            own = member is point
            named = {"default": loose if own else None, "value": raw if own and not target.release else None}
            if len(point.peers) > 1:
                named[f"point:{member.spec.name}"] = raw
            values |= {key: value for key, value in named.items() if value is not None}
        end = self._end(point, target)
        return WriteRequest(point.command, target.release, point.resource.path_values, values, session, end)

    def _end(self, point: Setpoint, target: Target) -> float | None:
        """When the product shall forget the value by itself, by its own clock, else by ours (C12)."""
        if point.command.valid_for_s is None or target.release:
            return None
        ahead = self._sources[point.resource.source].product_clock() or 0.0
        return self._clock.wall() + ahead + point.command.valid_for_s

    async def _get(self, point: Setpoint) -> None:
        """Reads the point's own value back; a failed GET leaves it to the next one."""
        outer = self._outer(point)
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
        same = outer.path_values == asked and outer.kind.reads.get(read.name) is read
        if self._intake is not None and documents and outer.usable and same:
            self._intake.take(read.name, documents, reading)

    def log_status(self, point: Setpoint, before: WriteStatus) -> None:
        """One line when a command ends well or badly."""
        status = point.delivery.status
        if status is not before and status in (WriteStatus.IN_FORCE, WriteStatus.OVERRIDDEN, WriteStatus.IDLE):
            name = self._table.names[point.index]
            log.info("command.status", point=name, status=status.name.lower(), reason=point.delivery.error)


def _no_list(_source: str, _kind: KindSpec) -> None:
    """Nothing lists anything: a product denying an id is believed."""


__all__ = ["Relist", "Sender"]

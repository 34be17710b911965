"""What is asked of one source: its lists, reads and memberships, as the jobs of a plan.

Rules of this file: an answer counts only for the resource that was asked for: one that was renumbered, renamed
into trouble or taken away while the request was under way gets nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from gateway.core.point import KindSpec, ReadSpec
from gateway.engine.derive import Derivations
from gateway.engine.intake import Intake
from gateway.engine.inventory import Inventory
from gateway.engine.ports import Clock, Reading, Source
from gateway.engine.resource import Resource
from gateway.engine.schedule import Schedule

Run = Callable[[], Awaitable[None]]
Indices = Callable[[], Sequence[int]]


class Reader:
    """The requests of one source and their schedule; `listings` counts the list answers of each kind."""

    def __init__(
        self,
        source: Source,
        kinds: Sequence[KindSpec],
        *,
        inventory: Inventory,
        intake: Intake,
        derivations: Derivations,
        clock: Clock,
        exclude: Sequence[str],
        uniform: Callable[[float, float], float],
    ) -> None:
        self.source, self.kinds, self.schedule = source, kinds, Schedule(uniform)
        self._inventory, self._intake, self._derivations = inventory, intake, derivations
        self._clock, self._exclude = clock, exclude
        self.listings: Counter[str] = Counter()
        self._odd: dict[str, set[str | None]] = {}

    def of(self, kind: KindSpec) -> Sequence[Resource]:
        """The resources of a kind of this source."""
        return self._inventory.of(self.source.name, kind.name)

    async def read_list(self, kind: KindSpec) -> bool:
        """One list answer into the inventory; returns whether anything changed."""
        if kind.list is None:
            return False
        session = self.source.session_number
        listed = await self.source.list_resources(kind.list)
        self.listings[kind.name] += 1
        certificate = self.source.certificate
        return self._inventory.listed(self.source.name, kind, listed, self._exclude, session, certificate)

    def wire(self) -> None:
        """Connects derived points to what exists now."""
        self._derivations.wire(self.source.name)

    # -- planning ------------------------------------------------------------------------------------------------

    def plan(self) -> None:
        """All jobs for what exists now; new ones are due at once, per-id reads then spread over their period.

        A list keeps its turn: what one list brings must not put off the others, least of all one that was hastened.
        """
        waiting = self.schedule.clear()
        for kind in self.kinds:
            if kind.list is not None:
                label, every_s = f"list {kind.name}", kind.list.every_s
                due = min(self._clock.monotonic() + every_s, waiting.get(label, math.inf))
                self.schedule.add(due, every_s, label, kind, self._relist(kind), _none)
            for read in kind.reads.values():
                self._plan_read(kind, read)
            if kind.members is not None:
                every_s = kind.members.every_s
                self._spread(kind, every_s, "members", lambda resource: (self._member(resource), _none))

    def _plan_read(self, kind: KindSpec, read: ReadSpec) -> None:
        now = self._clock.monotonic()
        if read.is_bulk:
            indices = self._all(kind, read.name)
            self.schedule.add(now, read.every_s, f"{kind.name}.{read.name}", kind, self._bulk(kind, read), indices)
        else:
            self._spread(kind, read.every_s, read.name, lambda r: (self._one(r, read), self._some(r, read.name)))

    def _spread(
        self,
        kind: KindSpec,
        every_s: float,
        what: str,
        make: Callable[[Resource], tuple[Run, Indices]],
    ) -> None:
        now = self._clock.monotonic()
        resources = [resource for resource in self.of(kind) if resource.usable]
        for i, resource in enumerate(resources, 1):
            run, indices = make(resource)
            label, spread = f"{resource.label} {what}", i / len(resources)
            self.schedule.add(now, every_s, label, kind, run, indices, spread=spread)

    def _all(self, kind: KindSpec, read: str) -> Indices:
        return lambda: [row[0] for resource in self.of(kind) for row in resource.plans.get(read, ())]

    @staticmethod
    def _some(resource: Resource, read: str) -> Indices:
        return lambda: [row[0] for row in resource.plans.get(read, ())]

    # -- requests ------------------------------------------------------------------------------------------------

    def _reading(self) -> Reading:
        return Reading(self.source.session_number, self._clock.monotonic())

    def _relist(self, kind: KindSpec) -> Run:
        async def run() -> None:
            if await self.read_list(kind):
                self.wire()
                self.plan()

        return run

    def _bulk(self, kind: KindSpec, read: ReadSpec) -> Run:
        async def run() -> None:
            reading = self._reading()
            answer = await self.source.read_bulk(read)
            usable = [resource for resource in self.of(kind) if resource.usable]
            self._compare(kind, read, {r.id for r in usable} ^ answer.keys())
            held = [(r, answer[r.id]) for r in usable if r.id in answer]
            self._take(read.name, held, reading, [r for r in usable if r.id not in answer])

        return run

    def _compare(self, kind: KindSpec, read: ReadSpec, odd: set[str | None]) -> None:
        """`odd` are ids that are listed and not answered, or the other way round: news of them hasten the list.

        A bulk answer gives no 404, so this is how an import shows before the list is due (I05).
        """
        known = self._odd.get(f"{kind.name}.{read.name}", set())
        self._odd[f"{kind.name}.{read.name}"] = odd
        if odd - known:
            self.schedule.hasten(f"list {kind.name}", self._clock.monotonic())

    def _one(self, resource: Resource, read: ReadSpec) -> Run:
        async def run() -> None:
            reading, asked = self._reading(), resource.path_values
            document = await self.source.read(read, asked)
            if resource.usable and resource.path_values == asked:
                self._take(read.name, [(resource, document)], reading, [])

        return run

    def _member(self, resource: Resource) -> Run:
        async def run() -> None:
            if resource.kind.members is None:
                return
            asked = resource.path_values
            members = await self.source.members(resource.kind.members, asked)
            if resource.usable and resource.path_values == asked and resource.members != members:
                resource.members = members
                self.wire()

        return run

    def _take(
        self, read: str, documents: list[tuple[Resource, object]], reading: Reading, absent: list[Resource]
    ) -> None:
        generation = self._inventory.generation
        self._intake.take(read, documents, reading, absent=absent)
        if self._inventory.generation != generation:
            self.wire()


def _none() -> Sequence[int]:
    return ()

"""What may happen to a product, as a table: name, what it does, and how often its session ends by it.

Rules of this file: every event undoes what it did, also when it is cut short; sessions are ended so seldom that the
gateway does not leave the product to "another login" (three in 5 minutes), except where that is the event.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from gateway.simulator import BenderSimulator, EvceSimulator, Simulator
from tests.faults import proxy as faults
from tests.faults.proxy import FaultProxy

SESSION_WINDOW_S = 330.0
SESSIONS_IN_WINDOW = 2


@dataclass
class Target:
    """One product under disturbance; `brief` divides every duration, `over` ends it."""

    name: str
    sim: Simulator
    proxy: FaultProxy | None
    dice: random.Random
    brief: float
    over: asyncio.Event
    counts: dict[str, int] = field(default_factory=dict)
    session_ends: list[float] = field(default_factory=list)
    pack: list[Event] = field(default_factory=list)

    async def hold(self, least_s: float, most_s: float) -> None:
        """Lets what was done last for a while, or until the end of the disturbance."""
        seconds = self.dice.uniform(least_s, most_s) / self.brief
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), seconds)

    @contextlib.asynccontextmanager
    async def fault(self, path: str = "*", **members: object) -> AsyncIterator[None]:
        """A fault in the simulator's answers."""
        number = self.sim.faults.add(path, **members)
        try:
            yield
        finally:
            self.sim.faults.remove(number)

    @property
    def between(self) -> FaultProxy:
        """The proxy of a product that stands behind one."""
        assert self.proxy is not None
        return self.proxy


Act = Callable[[Target], Awaitable[None]]


@dataclass(frozen=True)
class Event:
    """One kind of event; `sessions` is how often the product's session ends by it."""

    name: str
    act: Act
    sessions: int = 0


def choose(target: Target, events: list[Event]) -> Event:
    """The next event of a shuffled pack, so that each kind comes once before any comes again.

    One that would end too many sessions for now waits for its turn; without any left to play a new pack is shuffled.
    """
    now = time.monotonic()
    target.session_ends = [at for at in target.session_ends if now - at < SESSION_WINDOW_S]
    left = max(SESSIONS_IN_WINDOW - len(target.session_ends), 0)
    if not any(event.sessions <= left for event in target.pack):
        target.pack += target.dice.sample(events, len(events))
    event = next(event for event in target.pack if event.sessions <= left)
    target.pack.remove(event)
    target.session_ends += [now] * event.sessions
    target.counts[event.name] = target.counts.get(event.name, 0) + 1
    return event


# -- the product itself --------------------------------------------------------------------------------------------


async def _revoke(target: Target) -> None:
    await target.sim.do("revoke")


async def _reboot(target: Target) -> None:
    await target.sim.do("reboot", down_s=target.dice.uniform(3, 20) / target.brief)
    await target.hold(5, 20)


async def _drop(target: Target) -> None:
    await target.sim.do("drop_connections")


async def _import(target: Target) -> None:
    """Every id is new."""
    await target.sim.do("import", keep_reductions=target.dice.random() < 0.5)


async def _person(target: Target) -> None:
    """A person logs in with the gateway's user, which ends its session."""
    assert isinstance(target.sim, EvceSimulator)
    await target.sim.do("person_login")
    await target.hold(1, 5)
    await target.sim.do("person_logout")


async def _web_login(target: Target) -> None:
    await target.sim.do("web_login")


async def _taken(target: Target) -> None:
    """A person who comes back each time: after the third lost session the gateway leaves it to that person."""
    for _ in range(3):
        await target.sim.do("web_login" if isinstance(target.sim, BenderSimulator) else "revoke")
        await target.hold(12, 14)


async def _closed(target: Target) -> None:
    await target.sim.do("listen", on=False)
    await target.hold(5, 30)
    await target.sim.do("listen", on=True)


def _answering(least_s: float, most_s: float, path: str = "*", **members: object) -> Act:
    async def act(target: Target) -> None:
        async with target.fault(path, **members):
            await target.hold(least_s, most_s)

    return act


async def _slow(target: Target) -> None:
    async with target.fault(delay_s=target.dice.uniform(2, 9) / target.brief):
        await target.hold(15, 40)


async def _empty_lists(target: Target) -> None:
    """As a product that is starting: answers, and has nothing yet."""
    paths = ("/em/zones", "/stations", "/pms")
    async with contextlib.AsyncExitStack() as stack:
        for path in paths:
            await stack.enter_async_context(target.fault(path, empty_list=True, count=2))
        await target.hold(20, 60)


# -- the way to it -------------------------------------------------------------------------------------------------


def _on_the_wire(least_s: float, most_s: float, make: Callable[[random.Random], faults.Fault]) -> Act:
    async def act(target: Target) -> None:
        target.between.fault = make(target.dice)
        try:
            await target.hold(least_s, most_s)
        finally:
            target.between.fault = faults.NONE

    return act


async def _blackhole(target: Target) -> None:
    await target.between.blackhole()
    try:
        await target.hold(10, 40)
    finally:
        await target.between.listen()


async def _flap(target: Target) -> None:
    """The network goes and comes once a second."""
    try:
        for _ in range(target.dice.randint(3, 12)):
            await target.between.refuse()
            await target.hold(0.5, 0.5)
            await target.between.listen()
            await target.hold(0.5, 0.5)
    finally:
        await target.between.listen()


SHARED = [
    Event("revoke", _revoke, 1),
    Event("reboot", _reboot, 1),
    Event("drop", _drop),
    Event("slow", _slow),
    Event("closed", _closed),
    Event("503", _answering(5, 20, status=503)),
    Event("429", _answering(5, 20, status=429, headers={"Retry-After": "4"})),
    Event("html", _answering(3, 10, replace="html")),
    Event("truncated", _answering(5, 15, cut="truncate")),
    Event("reset", _answering(5, 15, cut="reset")),
]
WIRE = [
    Event("wire reset", _on_the_wire(5, 15, lambda dice: faults.reset(dice.randrange(4000)))),
    Event("wire cut", _on_the_wire(5, 15, lambda dice: faults.cut(dice.randrange(4000)))),
    Event("wire garbage", _on_the_wire(3, 10, lambda dice: faults.garbage(seed=dice.randrange(1000)))),
    Event("wire trickle", _on_the_wire(10, 20, lambda _dice: faults.trickle(16, 0.1))),
    Event("wire silence", _on_the_wire(10, 30, lambda _dice: faults.SILENCE)),
    Event("blackhole", _blackhole),
    Event("flap", _flap),
]
EVCE = [
    *SHARED,
    *WIRE,
    Event("import", _import),
    Event("person", _person, 1),
    Event("empty lists", _empty_lists),
]
BENDER = [*SHARED, Event("web login", _web_login, 1)]
TAKEN = Event("taken", _taken, 3)
"""Planned, not drawn: the gateway pauses for 5 minutes."""

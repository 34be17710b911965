"""The real engine on real sources against strict simulators, in one event loop.

The gateway's clock is the machine's plus what a test adds with `later`; reads run 50 times as often as shipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from gateway.addressing import AddressBook, UnitPlan
from gateway.core.delivery import Authority, WriteStatus
from gateway.core.lease import GroupTerms
from gateway.core.patience import middle
from gateway.core.point import KindSpec
from gateway.core.priority import Origin
from gateway.core.value import Quality, Sample, Value
from gateway.engine.actions import ActionDesk
from gateway.engine.alarms import Alarms
from gateway.engine.commands import CommandDesk
from gateway.engine.derive import Derivations
from gateway.engine.intake import Intake
from gateway.engine.inventory import Inventory, measured
from gateway.engine.poller import Poller
from gateway.engine.ports import Ask
from gateway.engine.resource import Resource
from gateway.engine.setpoint import Limits, Policy
from gateway.engine.table import PointTable
from gateway.mapping import load_mapping
from gateway.simulator import EvceSimulator, Simulator
from gateway.sources import BenderSession, EvceSession, Http, MappedSource, Trust, new_client_session
from tests.engine.memory_journal import MemoryJournal

MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"
MAPPING = {"desc": "evce.yaml", "nested": "evce-nested.yaml", "bender": "bender.yaml"}
PASSWORD = "Charging-2026!"
FASTER = 0.02
LISTS = 0.2
CLIENTS: list[Any] = []
"""Every HTTP client of a test; its end closes them."""
BMS = Origin("modbus", "bms", "10.0.0.5")
POLICY = Policy(floor=6.0, allow_stop=False, dry_run=False)


class Clock:
    """Real time, and what a test adds to it; `jumped` is what somebody did to the wall clock alone.

    `asleep` is for how long the machine was suspended.
    """

    def __init__(self) -> None:
        self.added = self.jumped = self.asleep = 0.0
        self.boot = "this boot"
        self.synced = True

    def monotonic(self) -> float:
        return time.monotonic() + self.added

    def wall(self) -> float:
        return time.time() + self.added + self.asleep + self.jumped

    def boottime(self) -> float:
        return self.monotonic() + self.asleep

    def boot_id(self) -> str:
        return self.boot

    def synchronised(self) -> bool:
        return self.synced


class SimClock:
    """The product's time stands still until it is moved, so that values do not drift during a test."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


class Tokens:
    def __init__(self) -> None:
        self.token: str | None = None

    def load_token(self, source: str) -> str | None:
        return self.token

    def save_token(self, source: str, token: str | None) -> None:
        self.token = token


async def until(condition: Callable[[], Any], seconds: float = 8.0) -> Any:
    """Waits for a condition; fails at the deadline with the condition's last value."""
    deadline = time.monotonic() + seconds
    while not (seen := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition.__code__.co_names} is {seen!r}"
        await asyncio.sleep(0.005)
    return seen


@cache
def loaded(file: str) -> Any:
    mapping, faults = load_mapping(MAPPINGS / file)
    assert mapping is not None, faults
    return mapping.product


def faster(kinds: Sequence[KindSpec], factor: float) -> list[KindSpec]:
    """The same kinds with every period times `factor`, and lists five times as often again."""
    return [
        replace(
            kind,
            list=kind.list and replace(kind.list, every_s=kind.list.every_s * factor * LISTS),
            members=kind.members and replace(kind.members, every_s=kind.members.every_s * factor * LISTS),
            reads={name: replace(read, every_s=read.every_s * factor) for name, read in kind.reads.items()},
        )
        for kind in kinds
    ]


class Plant:
    """One gateway without servers; `changes` are the names of every notification, in order."""

    def __init__(
        self,
        policy: Policy = POLICY,
        overrides: dict[str, Limits] | None = None,
        groups: dict[str, GroupTerms] | None = None,
        journal: MemoryJournal | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.table = PointTable(self.clock)
        self.changes: list[set[str]] = []
        self.pollers: dict[str, Poller] = {}
        self.sources: dict[str, MappedSource] = {}
        self.sims: dict[str, Simulator] = {}
        self.kinds: dict[str, list[KindSpec]] = {}
        self.alarms = Alarms()
        self.journal = journal or MemoryJournal()
        self.actions = ActionDesk(
            self.table, self.clock, self.journal, self.alarms, dry_run=policy.dry_run, read_only=policy.read_only
        )
        self.desk = CommandDesk(
            self.table,
            self.clock,
            policy,
            overrides,
            groups=groups,
            journal=self.journal,
            alarms=self.alarms,
            actions=self.actions,
            uniform=middle,
        )
        self.book = AddressBook([], {})
        self.inventory = self._inventory()
        self.intake = Intake(self.table, self.inventory, self.clock, self.desk.read_back)
        self.derivations = Derivations(self.table, self.inventory, self.clock)
        self.table.subscribe(lambda changed: self.changes.append({self.table.names[i] for i in changed}))
        self.tokens = Tokens()

    def _inventory(self) -> Inventory:
        return Inventory(
            self.table,
            self.book,
            self.clock,
            word_order="big",
            byte_order="big",
            units=UnitPlan(self.book, {}),
            on_placed=lambda resource, _points: self._learn(resource),
            on_dirty=lambda: None,
            on_lost=self.desk.lost,
        )

    def _learn(self, resource: Resource) -> None:
        self.desk.learn(resource)
        self.actions.learn(resource)

    def add(
        self,
        name: str,
        sim: Simulator,
        *,
        kinds: Sequence[KindSpec] | None = None,
        password: str | Callable[[], str] = PASSWORD,
        parallel: int = 4,
        exclude: Sequence[str] = (),
        factor: float = FASTER,
        url: str = "",
        **limits: Any,
    ) -> Poller:
        """One source on a simulator, or at a `url` before it."""
        dialect = sim.dialect if isinstance(sim, EvceSimulator) else "bender"
        client = new_client_session(parallel)
        CLIENTS.append(client)
        pinned = Trust(fingerprint=sim.fingerprint.removeprefix("sha256:")) if sim.certificate else Trust()
        http = Http(client, url or sim.url, pinned, wall=self.clock.wall, **limits)
        session: Any
        secret = password if callable(password) else lambda: password
        if isinstance(sim, EvceSimulator):
            session = EvceSession(
                http,
                sim.base,
                self.clock,
                source=name,
                username="bms",
                password=secret,
                tokens=self.tokens,
            )
        else:
            session = BenderSession(http, sim.base, self.clock, username="operator", password=secret)
        chosen = faster(list(loaded(MAPPING[dialect]).kinds.values()) if kinds is None else kinds, factor)
        self.intake.learn(chosen)
        self.kinds[name], self.sims[name] = chosen, sim
        self.sources[name] = MappedSource(name, session, self.clock)
        self.pollers[name] = Poller(
            self.sources[name],
            chosen,
            table=self.table,
            inventory=self.inventory,
            intake=self.intake,
            derivations=self.derivations,
            clock=self.clock,
            parallel=parallel,
            exclude=exclude,
            on_lost=self.desk.lost,
        )
        return self.pollers[name]

    @contextlib.asynccontextmanager
    async def running(self, *, desk: bool = True) -> AsyncIterator[Plant]:
        """Polls and delivers; a programming error of any task fails the test."""
        self.actions.connect(dict(self.sources), lambda source: self.pollers[source].health.connected)
        self.desk.connect(self.intake, dict(self.sources), lambda source, kind: self.pollers[source].relist(kind))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(poller.run()) for poller in self.pollers.values()]
            if desk:
                tasks += [group.create_task(self.desk.run()), group.create_task(self.actions.run())]
            try:
                yield self
            finally:
                for task in tasks:
                    task.cancel()

    # -- what is seen --------------------------------------------------------------------------------------------

    def later(self, seconds: float) -> None:
        """The gateway's clock moves on, and staleness is judged."""
        self.clock.added += seconds
        self.table.tick()

    def index(self, name: str) -> int:
        index = self.table.find(name)
        assert index is not None, f"there is no point {name}"
        return index

    def sample(self, name: str) -> Sample:
        index = self.table.find(name)
        return Sample(None, Quality.BAD, "no such point", 0.0) if index is None else self.table.sample(index)

    def value(self, name: str) -> Value | None:
        """The value if it is good, else None."""
        sample = self.sample(name)
        return sample.value if sample.quality is Quality.GOOD else None

    def quality(self, name: str) -> Quality:
        return self.sample(name).quality

    def reason(self, name: str) -> str:
        return self.sample(name).reason

    def resource(self, kind: str, name: str | None, source: str = "evce") -> Resource:
        return self.inventory.resources[source, kind, name]

    def status(self, zone: str = "Zone A", source: str = "evce") -> WriteStatus:
        return WriteStatus(int(self.sample(f"{source}/zone/{zone}/reduction.write_status").value or 1))

    def authority(self, zone: str = "Zone A") -> Authority:
        return Authority(int(self.sample(f"evce/zone/{zone}/reduction.authority").value or 1))

    def receipt(self, part: str, zone: str = "Zone A") -> Value | None:
        return self.sample(f"evce/zone/{zone}/reduction.{part}").value

    # -- what is done --------------------------------------------------------------------------------------------

    async def ask(self, value: Value | None, zone: str = "Zone A", slot: int = 10, origin: Origin = BMS) -> None:
        await self.desk.submit([Ask(self.index(f"evce/zone/{zone}/reduction"), value, slot)], origin)


def puts(sim: Simulator, zone: int = 1) -> list[Any]:
    """(status, amperes or "release") of every limit sent to a zone."""
    found = []
    for request in sim.received:
        if request.method == "PUT" and request.path == f"{sim.base}/em/zones/{zone}/reduction":
            body: Any = request.body
            if "limit_da" in body:
                found.append((request.status, body["limit_da"] / 10))
            else:
                off = body.get("type") == "none" or body.get("kind") == "off"
                found.append((request.status, "release" if off else body["value"]))
    return found


def logins(sim: Simulator) -> list[int]:
    path = sim.base + ("/login/login" if sim.kind == "evce" else "/login")
    return [request.status for request in sim.received if request.path == path]


def limit_of(sim: EvceSimulator, zone: int = 1) -> float | None:
    """What the product holds."""
    held = sim.site.zones[zone].reduction
    return held.value_a if held.kind == "current" else None


class Traffic:
    """Counts what is under way at a simulator, from request to answer, injected delays included."""

    def __init__(self, sim, monkeypatch):
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.most_at_once = 0
        self.total: Counter[str] = Counter()
        self.refused: list[str] = []
        serve, answer = sim._serve, sim.answer

        def noted(request):
            given = answer(request)
            if given.status == 401 and not request.path.endswith("/logout"):
                self.refused.append(request.path)
            return given

        async def counted(request):
            path = request.path.removeprefix(sim.base)
            self.now[path] += 1
            self.total[path] += 1
            self.most[path] = max(self.most[path], self.now[path])
            self.most_at_once = max(self.most_at_once, self.now.total())
            try:
                return await serve(request)
            finally:
                self.now[path] -= 1

        monkeypatch.setattr(sim, "_serve", counted)
        monkeypatch.setattr(sim, "answer", noted)


async def up(plant, source="evce"):
    await until(lambda: plant.pollers[source].health.state == "up")
    await until(lambda: plant.value(f"{source}/station/Bay 001/power") is not None)


async def all_read(plant, source="evce"):
    """Nothing waits for its first answer: every point that comes from the product has a good value."""
    await up(plant, source)
    resources = [one for one in plant.inventory.resources.values() if one.source == source]
    indices = [index for one in resources for index in measured(one)]
    await until(lambda: all(plant.table.sample(index).quality is Quality.GOOD for index in indices))


async def between_polls(plant, source="evce"):
    """No request is under way; what the caller does before it awaits again, it does between two polls."""
    await until(lambda: not plant.sources[source]._session._under_way)

"""The client observatory: what every BMS client does, and what it probably does wrong, in plain words.

Rules of this file: bounded, whoever connects; nothing here is asked of the way of a request: servers count for
themselves and are folded in once a second; a hint is told once when it comes and once when it goes.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog

from gateway.core.hints import HINTS, BacnetHabits, Extents, Finding, Hints, ModbusHabits
from gateway.engine.ports import Clock

MOST_CLIENTS = 256
MOST_UNMAPPED = 32
RATE_S = 10
"""Seconds over which a client's rate is taken."""
TICK_S = 1.0
NOBODY = ""
READ_PROPERTY, READ_PROPERTY_MULTIPLE, WHO_IS = "ReadProperty", "ReadPropertyMultiple", "Who-Is"
log = structlog.get_logger("observatory")


@dataclass(slots=True)
class ClientLog:
    """One client, by protocol and address; times are monotonic seconds, counts go on while it is remembered.

    `functions`: requests by function code or service; `codes`: exceptions by code (Modbus) or kind (BACnet);
    `unmapped`: what it asked for that is not there, and how often; `connections` are open ones, `subscriptions` live.
    """

    protocol: str
    address: str
    first_seen: float
    last_seen: float
    group: str = ""
    requests: int = 0
    exceptions: int = 0
    writes: int = 0
    connections: int = 0
    subscriptions: int = 0
    functions: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    unmapped: OrderedDict[str, int] = field(default_factory=OrderedDict)
    hints: Hints = field(default_factory=Hints)
    modbus: ModbusHabits = field(default_factory=ModbusHabits)
    bacnet: BacnetHabits = field(default_factory=BacnetHabits)
    rates: dict[str, deque[int]] = field(default_factory=dict)

    def missed(self, what: str) -> None:
        """Notes something that was asked for and is not there."""
        if what not in self.unmapped and len(self.unmapped) >= MOST_UNMAPPED:
            self.unmapped.popitem(last=False)
        self.unmapped[what] = self.unmapped.get(what, 0) + 1
        self.unmapped.move_to_end(what)

    def sample(self, name: str, count: int) -> None:
        """Takes a count that only grows, once a second."""
        self.rates.setdefault(name, deque(maxlen=RATE_S + 1)).append(count)

    def per_s(self, name: str) -> float:
        """How fast a sampled count grows; 0 before there were RATE_S seconds of it."""
        counts = self.rates.get(name)
        return 0.0 if counts is None or len(counts) <= RATE_S else (counts[-1] - counts[0]) / RATE_S


class Observatory:
    """Everybody who asks.

    Args:
        clock: time.
        places: which value every register belongs to, for the rules; asked again, at most once a second, when
            `map_hash` is another.
        map_hash: names a map.
        every_s: how often the sources are read at best, in seconds.
        leased: whether a slot (table index, slot number) is kept alive by writing it again.

    Attributes:
        site: gives the hints that are about no client.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        places: Callable[[], Extents] = lambda: Extents(()),
        map_hash: Callable[[], int] = lambda: 0,
        every_s: Callable[[], float] = lambda: 1.0,
        leased: Callable[[int, int], bool] = lambda _index, _slot: False,
    ) -> None:
        self._clock, self._places, self._map_hash = clock, places, map_hash
        self.site: Callable[[], Iterable[Finding]] = tuple
        self.every_s, self.leased = every_s, leased
        self._clients: OrderedDict[tuple[str, str], ClientLog] = OrderedDict()
        self._about_site = Hints()
        self._extents: tuple[int, Extents] | None = None
        self._folds: list[Callable[[float], None]] = []
        self.requests: Counter[tuple[str, str]] = Counter()
        """Requests of all clients there ever were, by protocol and function or service."""
        self.refusals: Counter[tuple[str, str]] = Counter()
        """Exceptions of all clients there ever were, by protocol and code."""
        self.given: Counter[str] = Counter()
        """Hints that came, by id."""

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def now(self) -> float:
        """Monotonic time in seconds."""
        return self._clock.monotonic()

    @property
    def extents(self) -> Extents:
        """The map as it stood at the last tick."""
        if self._extents is None:
            self._extents = (self._map_hash(), self._places())
        return self._extents[1]

    def on_tick(self, fold: Callable[[float], None]) -> None:
        """Calls `fold` with the time once a second: a server brings what it counted."""
        self._folds.append(fold)

    def off_tick(self, fold: Callable[[float], None]) -> None:
        """Calls it no more: the server is gone."""
        if fold in self._folds:
            self._folds.remove(fold)

    def client(self, protocol: str, address: str, group: str = "") -> ClientLog:
        """The log of a client; the one that was silent longest makes room for a new one."""
        found, now = self._clients.get((protocol, address)), self.now
        if found is None:
            if len(self._clients) >= MOST_CLIENTS:
                self._clients.popitem(last=False)
            found = self._clients[protocol, address] = ClientLog(protocol, address, now, now)
        self._clients.move_to_end((protocol, address))
        found.last_seen, found.group = now, group or found.group
        return found

    def known(self, protocol: str, address: str) -> ClientLog | None:
        """The log of a client that was seen before."""
        return self._clients.get((protocol, address))

    def count(self, client: ClientLog, function: str, requests: int) -> None:
        """Adds requests that a server counted."""
        client.requests += requests
        client.functions[function] += requests
        self.requests[client.protocol, function] += requests

    def refused(self, client: ClientLog, code: str, times: int) -> None:
        """Adds exceptions (errors) that a server counted."""
        client.exceptions += times
        client.codes[code] += times
        self.refusals[client.protocol, code] += times

    def tell(self, client: ClientLog, finding: Finding | None) -> None:
        """Takes what a rule found, if it found anything."""
        if finding is None:
            return
        if client.hints.take(finding, self.now):
            self.given[finding.id] += 1
            about = {"protocol": client.protocol, "client": client.address}
            log.warning("hint.given", hint=finding.id, text=finding.text, **about)

    async def run(self) -> None:
        """Ticks each second until cancelled."""
        while True:
            self.tick()
            await asyncio.sleep(TICK_S)

    def tick(self) -> None:
        """One second's work: what servers counted, rates, and hints that are over."""
        now = self.now
        if self._extents is not None and self._extents[0] != self._map_hash():
            self._extents = None
        for fold in self._folds:
            fold(now)
        every_s = self.every_s()
        for client in self._clients.values():
            for finding in _rate_findings(client, every_s, now):
                self.tell(client, finding)
            for name in client.hints.expire(now):
                log.info("hint.gone", hint=name, protocol=client.protocol, client=client.address)
        found = {finding.id: finding for finding in self.site()}
        for finding in found.values():
            if self._about_site.take(finding, now):
                self.given[finding.id] += 1
                log.warning("hint.given", hint=finding.id, text=finding.text)
        for name in self._about_site.standing.keys() - found.keys():
            del self._about_site.standing[name]
            log.info("hint.gone", hint=name)

    # -- what is shown -------------------------------------------------------------------------------------------

    def clients(self) -> list[dict[str, Any]]:
        """Every client, the newest first, JSON-ready; times in seconds ago."""
        now = self.now
        return [
            {
                "protocol": client.protocol,
                "address": client.address,
                "group": client.group,
                "connections": client.connections,
                "subscriptions": client.subscriptions,
                "requests": client.requests,
                "per_s": round(client.per_s("requests"), 1),
                "functions": dict(client.functions),
                "exceptions": client.exceptions,
                "codes": dict(client.codes),
                "writes": client.writes,
                "unmapped": dict(client.unmapped),
                "first_seen_s": round(now - client.first_seen, 1),
                "last_seen_s": round(now - client.last_seen, 1),
                "hints": _rows(client.hints, now),
            }
            for client in reversed(self._clients.values())
        ]

    def hints(self) -> list[dict[str, Any]]:
        """Every hint that stands, the newest first, JSON-ready; `client` is "" for one about the network."""
        now = self.now
        rows = [{"protocol": "bacnet", "client": NOBODY, **row} for row in _rows(self._about_site, now)]
        for client in self._clients.values():
            about = {"protocol": client.protocol, "client": client.address}
            rows += [about | row for row in _rows(client.hints, now)]
        return sorted(rows, key=lambda row: (row["since_s"], row["client"]))

    def standing(self) -> dict[str, int]:
        """How many hints of each id stand, those that do not included."""
        counts = dict.fromkeys(HINTS, 0)
        for row in self.hints():
            counts[row["id"]] += 1
        return counts


def _rate_findings(client: ClientLog, every_s: float, now: float) -> Iterable[Finding | None]:
    """Samples what grows, and asks the rules about how fast."""
    client.sample("requests", client.requests)
    if client.protocol == "modbus":
        return (client.modbus.polls(client.per_s("requests"), every_s, now),)
    for name in (READ_PROPERTY, READ_PROPERTY_MULTIPLE, WHO_IS):
        client.sample(name, client.functions[name])
    reads, multiple = client.per_s(READ_PROPERTY), client.per_s(READ_PROPERTY_MULTIPLE) > 0
    return (
        client.bacnet.reads(reads, multiple=multiple, subscriptions=client.subscriptions, now=now),
        client.bacnet.who_is(client.per_s(WHO_IS)),
    )


def _rows(hints: Hints, now: float) -> list[dict[str, Any]]:
    return [
        {
            "id": name,
            "text": hint.text,
            "times": hint.times,
            "since_s": round(now - hint.since, 1),
            "last_s": round(now - hint.last, 1),
        }
        for name, hint in hints.standing.items()
    ]

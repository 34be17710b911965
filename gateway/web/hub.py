"""What changed since when: one journal of changes for every open page, however slow its reader is.

Rules of this file: no queue per client; a client is behind by a number, and gets everything that changed since, each
point once, with its newest value; what up-to-date clients get is made once and shared; nothing is made while nobody
listens.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Any

import structlog

from gateway.engine.ports import Clock
from gateway.engine.table import PointTable
from gateway.web.ports import PagePort

log = structlog.get_logger("page")

TICK_S = 0.5
OVERVIEW_S = 2.0
KEPT_S = 120.0
"""How long changes are still collected when the last reader has gone: it may come back and resume."""
EVERYTHING = "all"
CARDS = "cards"
NOTHING = "none"
TOPICS = (EVERYTHING, CARDS, NOTHING)
"""Which points a stream tells of: all of them, those that cards show, or none."""
MOST_IN_A_PIECE = 50
"""Points encoded without letting the loop turn: a third of a millisecond, which no Modbus client notices."""
PORTION = 16_384
"""About so many octets are written to one reader before another one has a turn."""


class Hub:
    """Collects changes of the table; `run` makes a new tick twice a second while somebody listens."""

    def __init__(self, table: PointTable, page: PagePort, clock: Clock) -> None:
        self._table, self._page, self._clock = table, page, clock
        self.epoch = secrets.token_hex(4)
        self.tick = 0
        self._changed: set[int] = set()
        self._changed_at: list[int] = []
        self._moved = asyncio.Condition()
        self._newest: dict[str, list[bytes]] = {}
        self._overview = b""
        self._overview_at = 0
        self._overview_due = 0.0
        self._listeners: Counter[str] = Counter()
        self._collects_until = 0.0
        self._collects = False
        self._ended = False
        table.subscribe(self._on_table)

    def _on_table(self, changed: Sequence[int]) -> None:
        if self._collects:
            self._changed.update(changed)

    def join(self, topic: str) -> None:
        """Somebody listens: from now on changes are collected; who came before a pause in that starts anew."""
        if not self._collects:
            self._collects = True
            self.epoch = secrets.token_hex(4)
            self._changed_at = []
        self._listeners[topic] += 1

    def leave(self, topic: str) -> None:
        """Somebody has gone."""
        self._listeners[topic] -= 1
        self._listeners += Counter()  # what is zero goes
        self._collects_until = self._clock.monotonic() + KEPT_S

    def _rest(self) -> None:
        """Nobody has listened for a while."""
        self._collects = False
        self._changed.clear()
        self._newest.clear()
        self._overview, self._overview_at = b"", 0

    def place(self, event_id: str) -> int | None:
        """The tick a client has seen last, by the id of its last event; None when it must load everything anew."""
        epoch, _, tick = event_id.partition("-")
        if not self._collects or epoch != self.epoch or not tick.isdecimal() or not 0 <= int(tick[:12]) <= self.tick:
            return None
        return int(tick[:12])

    @property
    def utc(self) -> float:
        """The gateway's time, for pages whose own clock is wrong."""
        return round(self._clock.wall(), 1)

    @property
    def event_id(self) -> str:
        """The id of the newest tick."""
        return f"{self.epoch}-{self.tick}"

    async def run(self) -> None:
        """Ticks until cancelled.

        A fault in what the page shows must not end the gateway: it is logged once, and pages say that they are lost.
        """
        faulty = False
        while True:
            await asyncio.sleep(TICK_S)
            if not (self._listeners or (self._collects and self._clock.monotonic() < self._collects_until)):
                if self._collects:
                    self._rest()
                continue
            try:
                await self.advance()
                faulty = False
            except Exception:
                if not faulty:
                    log.exception("page.fault", path="events")
                faulty = True

    async def advance(self) -> None:
        """One tick: what changed since the last one belongs to it, and is made once for all who saw the last one."""
        changed, self._changed = self._changed, set()
        tick, at = self.tick + 1, self._changed_at
        at.extend([0] * (len(self._table) - len(at)))
        for index in changed:
            at[index] = tick
        if self._listeners and self._clock.monotonic() >= self._overview_due:
            self._overview, self._overview_at = _event("overview", self._page.overview()), tick
            self._overview_due = self._clock.monotonic() + OVERVIEW_S
        fresh = self._after(self.tick)  # with those of a tick that failed
        newest = {topic: await self._made(topic, fresh, self.tick) for topic in list(self._listeners)}
        self.tick, self._newest = tick, newest
        async with self._moved:
            self._moved.notify_all()

    async def end(self) -> None:
        """Wakes every stream for the last time."""
        self._ended = True
        self._table.unsubscribe(self._on_table)
        async with self._moved:
            self._moved.notify_all()

    async def wait(self, seen: int, seconds: float) -> bool:
        """Waits for a tick after `seen`; False when none came in time."""
        try:
            async with asyncio.timeout(seconds), self._moved:
                await self._moved.wait_for(lambda: self.tick > seen or self._ended)
        except TimeoutError:
            return False
        return True

    async def since(self, topic: str, seen: int) -> tuple[int, list[bytes]]:
        """The newest tick, and everything after `seen` as events, in portions."""
        tick = self.tick
        if seen == tick - 1 and topic in self._newest:
            return tick, self._newest[topic]
        return tick, await self._made(topic, self._after(seen), seen)

    def _after(self, seen: int) -> list[int]:
        return [index for index, at in enumerate(self._changed_at) if at > seen]

    async def _made(self, topic: str, changed: Sequence[int], seen: int) -> list[bytes]:
        head = self._overview if self._overview_at > seen else b""
        commands = self._page.commands(changed)
        if commands:
            head += _event("commands", {"commands": commands})
        portions = [bytearray(head)]
        if topic == CARDS:
            cards = self._page.card_ids()
            changed = [index for index in changed if index in cards]
        for start in range(0, 0 if topic == NOTHING else len(changed), MOST_IN_A_PIECE):
            await asyncio.sleep(0)
            rows = self._page.live(changed[start : start + MOST_IN_A_PIECE])
            if len(portions[-1]) > PORTION:
                portions.append(bytearray())
            portions[-1] += _event("points", {"utc": self.utc, "rows": rows})
        return [bytes(portion) for portion in portions if portion]


def _event(name: str, data: Any) -> bytes:
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return f"event: {name}\ndata: {text}\n\n".encode("utf-8", "replace")


def event(name: str, data: Any, ident: str = "") -> bytes:
    """One event as it goes over the wire."""
    return (f"id: {ident}\n".encode() if ident else b"") + _event(name, data)

"""What all connections of a server share: images, limits, counters, and the door."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.engine.ports import Commands, OnRefused
from gateway.servers.modbus.groups import ClientGroup
from gateway.servers.modbus.identity import Identity
from gateway.servers.modbus.image import Image
from gateway.servers.modbus.pace import Pace
from gateway.servers.modbus.reads import Reads
from gateway.servers.modbus.turns import Turns
from gateway.servers.modbus.watcher import Watcher

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


@dataclass(slots=True)
class Counters:
    """What happened since start; `writes` are accepted ones, `requests` all whole frames."""

    connections: int = 0
    refused: int = 0
    evicted: int = 0
    requests: int = 0
    exceptions: int = 0
    writes: int = 0
    writes_without_right: int = 0
    write_timeouts: int = 0
    bad_frames: int = 0
    half_frames: int = 0
    idle: int = 0
    slow_readers: int = 0
    throttled: int = 0
    failed_handshakes: int = 0


class Door(Protocol):
    """Who is inside; `client` is the connection."""

    def enter(self, client: Any, host: str, role: str | None) -> ClientGroup | None:
        """Lets a newcomer in as a member of a group; None refuses it. `role` is None on the plain port."""

    def expects(self, host: str) -> bool:
        """Whether a client from `host` may begin a handshake on the secure port."""

    def pace(self, client: Any, per_s: float) -> Pace:
        """The cap that all connections of a client's address share."""

    def leave(self, client: Any) -> None:
        """Forgets a client, known or not."""

    def complain(self, host: str) -> None:
        """A client from `host` lost framing."""


@dataclass(slots=True)
class House:
    """Shared by all connections; times in seconds. A reload replaces what has changed.

    `reads` are by gap policy. `on_refused` is told of writes that never became a command: where, by whom and why, for
    the evidence.
    """

    images: Mapping[int, Image]
    commands: Commands
    identity: Identity
    counters: Counters
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    door: Door
    reads: Mapping[str, Reads]
    turns: Turns
    watcher: Watcher
    on_refused: OnRefused
    idle_s: float
    half_frame_s: float

"""The Modbus TCP server: listens and keeps the image.

Rules of this file: a server that does not listen says so by raising; at most one log line per change of state.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

import structlog

from gateway.addressing import PlacedPoint, Span
from gateway.addressing.builtin import HEARTBEAT_AT, LAYOUT_VERSION
from gateway.engine.observatory import Observatory
from gateway.engine.ports import Commands, OnRefused
from gateway.engine.table import PointTable
from gateway.servers.modbus.door import Door
from gateway.servers.modbus.groups import GAPS, ClientGroup
from gateway.servers.modbus.house import Counters, House, Spawn
from gateway.servers.modbus.identity import Identity
from gateway.servers.modbus.reads import Reads
from gateway.servers.modbus.security import Security
from gateway.servers.modbus.selftest import self_test
from gateway.servers.modbus.shell import Shell
from gateway.servers.modbus.turns import Turns
from gateway.servers.modbus.units import Units
from gateway.servers.modbus.watcher import Watcher


class ModbusServer:
    """Serves the point table to Modbus TCP clients.

    Args:
        host: address to listen on; port: TCP port, 0 for any free one.
        table: what is served; the server subscribes to it.
        commands: where writes go.
        groups: who may connect; a client outside every group is refused at accept.
        spans: ranges that are readable as blocks.
        max_connections: for one more, the least active connection is closed.
        one_unit: unit ids `unit`, 0 and 255 all mean the one image; otherwise a unit has its own.
        common: a range of one unit that all others have too, the same values and writes.
        version, site, map_hash: shown by FC43/14.
        spawn: starts a task in the application's TaskGroup; used for pending writes only.
        idle_s, half_frame_s: seconds without a byte, and for the rest of a begun frame, before closing.
        max_per_address: the same for one address.
        on_refused: told of writes that never became a command: where, by whom and why.
        security: a second listener for clients with certificates.
        observatory: where it is noted what clients do; None: nowhere.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        table: PointTable,
        commands: Commands,
        groups: Sequence[ClientGroup],
        spans: Sequence[Span],
        max_connections: int = 32,
        max_per_address: int = 16,
        one_unit: bool = True,
        unit: int = 1,
        common: Span | None = None,
        version: str,
        site: str = "",
        map_hash: Callable[[], int] = lambda: 0,
        spawn: Spawn,
        on_refused: OnRefused = lambda _place, _origin, _why: None,
        idle_s: float = 300.0,
        half_frame_s: float = 20.0,
        security: Security | None = None,
        observatory: Observatory | None = None,
    ) -> None:
        self.host, self.port = host, port
        self.secure_port: int | None = None
        self._security = security
        self.counters = Counters()
        self._table, self._map_hash, self._version = table, map_hash, version
        roles = security.roles if security is not None else {}
        self._units = Units(table, spans, one_unit=one_unit, unit=unit, common=common)
        self._watcher = Watcher(
            observatory, lambda: self._units.images, table.names, unit=unit if one_unit else None, common=common
        )
        self._door = Door(
            groups,
            roles,
            self.counters,
            most=max_connections,
            most_of_one=max_per_address,
            on_stranger=self._watcher.refused,
        )
        self._house = House(
            images=self._units.images,
            commands=commands,
            identity=self._identity(site),
            counters=self.counters,
            spawn=self._spawn,
            door=self._door,
            reads={gaps: Reads() for gaps in GAPS},
            turns=Turns(),
            watcher=self._watcher,
            on_refused=on_refused,
            idle_s=idle_s,
            half_frame_s=half_frame_s,
        )
        self._start_task = spawn
        self._tasks: set[asyncio.Task[None]] = set()
        self._shells: dict[bool, Shell] = {}
        self._log = structlog.get_logger("modbus")

    async def start(self, sock: socket.socket | None = None, secure_sock: socket.socket | None = None) -> None:
        """Binds and listens, or listens on what is bound already.

        Raises:
            OSError: with where and why, e.g. `modbus: cannot listen on 127.0.0.1:502: address already in use`.
            SelfTestError: the installed pymodbus does not behave as this server needs it.
        """
        await self_test(Shell(self.host, 0, self._house))
        secure = self._security
        context = secure.context() if secure is not None else None
        try:
            self.port = await self._listen(self.host, self.port, None, sock)
            if secure is not None:
                self.secure_port = await self._listen(secure.host, secure.port, context, secure_sock)
        except OSError:
            await self.stop()
            raise
        self._watcher.begin()

    async def _listen(
        self, host: str, port: int, context: ssl.SSLContext | None, sock: socket.socket | None = None
    ) -> int:
        shell = Shell(host, port, self._house, context, sock)
        try:
            port = await shell.open()
        except OSError as error:
            number = error.errno or errno.EADDRNOTAVAIL  # from 3.13 on asyncio hides that one
            why = os.strerror(number) if number > 0 else str(error.strerror or error)
            failure = OSError(f"modbus: cannot listen on {host}:{port}: {why.lower()}")
            failure.errno = number
            raise failure from error
        self._shells[context is not None] = shell
        self._log.info("modbus.listening", host=host, port=port, tls=context is not None)
        return port

    def _identity(self, site: str) -> Identity:
        return Identity(self._version, site=site, layout=LAYOUT_VERSION, map_hash=self._map_hash)

    # -- a reload: nobody who may still be here notices ------------------------------------------------------------

    def admit(self, groups: Sequence[ClientGroup], *, max_connections: int, max_per_address: int, site: str) -> None:
        """Other client groups, limits for newcomers, and name of the site; whoever is in no group any more must go."""
        self._door.admit(groups, self._security.roles if self._security is not None else {})
        self._door.limit(max_connections, max_per_address)
        self._house.identity = self._identity(site)

    def rebuild(
        self,
        points: Sequence[tuple[int, PlacedPoint]],
        spans: Iterable[Span],
        *,
        one_unit: bool,
        unit: int,
        common: Span | None,
    ) -> None:
        """Another map, from one request to the next; a write that is under way ends as it began."""
        old, self._units = self._units, Units(self._table, spans, one_unit=one_unit, unit=unit, common=common)
        self._units.place(points)
        self._house.images = self._units.images
        for reads in self._house.reads.values():
            reads.clear()
        self._watcher.divide(unit if one_unit else None, common)
        old.close()

    async def move(self, host: str, port: int, sock: socket.socket) -> None:
        """Listens somewhere else, on a socket that is bound already; whoever is connected stays."""
        old = self._shells.get(False)
        self.host, self.port = host, await self._listen(host, port, None, sock)
        if old is not None:
            old.close()

    async def secure(self, security: Security | None, sock: socket.socket | None = None) -> None:
        """Other certificates, roles or (`sock`, bound already) another address of the secure listener, or none at all.

        Raises:
            OSError: a file or the address cannot be used; the listener stays as it is.
        """
        context = security.context() if security is not None else None
        old = self._shells.get(True)
        if security is None or context is None:
            self.secure_port = None
            self._shells.pop(True, None)
        else:
            if sock is None and old is not None:
                sock = old.share()
            self.secure_port = await self._listen(security.host, security.port, context, sock)
        self._security = security
        if old is not None:
            old.close()
        self._door.admit(self._door.groups, security.roles if security is not None else {})

    # -- the end -------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Closes the listeners and every connection at once; pending writes are given up unanswered."""
        if not self._shells:
            return
        for shell in self._shells.values():
            shell.close()
        self._shells.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._door.close()
        self._watcher.end()
        self._log.info("modbus.stopped")

    def place(self, points: Sequence[tuple[int, PlacedPoint]], spans: Iterable[Span] = ()) -> None:
        """Adds points, each with its table index, to the images; they can be read at once.

        `spans` are the ranges of their units that are readable as blocks, new ones and known ones.

        Raises:
            ValueError: a register outside 0..65535 or a unit outside 1..255.
        """
        self._units.place(points, spans)

    @property
    def pulse(self) -> bytes:
        """What a client reads of the gateway's heartbeat register now: another value each second."""
        image = next(iter(self._units.images.values()), None)
        return b"" if image is None else bytes(image.data[HEARTBEAT_AT * 2 : HEARTBEAT_AT * 2 + 2])

    @property
    def clients(self) -> list[dict[str, Any]]:
        """Who is connected: address, group, connected_s (seconds), and counts of requests, exceptions, writes."""
        return self._door.clients

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Starts a task that `stop` knows, even when its client is gone."""
        task = self._start_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

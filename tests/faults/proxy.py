"""A TCP proxy on loopback between a client and a product, which misbehaves as it is told.

`proxy.fault` holds for every connection, open ones included, from the moment it is set; `proxy.next` is a queue of
faults for single connections to come. Bytes are counted from when a fault came into force on a connection, and only
those of the answers: what the client sends always gets through, unless nobody listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

_CHUNK = 64 * 1024
_FILLERS = 8
LINGER_RESET = struct.pack("ii", 1, 0)

OLD_TLS_ALERT = bytes.fromhex("15 0301 0002 02 46")
"""What a server says that knows TLS 1.1 at most: the fatal alert protocol_version."""
OLD_TLS_HELLO = bytes.fromhex("16 0301 002a 02 000026 0301" + "5a" * 32 + "00 002f 00")
"""The ServerHello of a server that takes TLS 1.0 to be what was agreed."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the answers of a connection; members left at their default do nothing.

    Attributes:
        delay_s: seconds each piece of the answer is held back.
        size: bytes the answer is cut into, `pause_s` seconds apart.
        pause_s: see `size`.
        after: bytes that still pass before `end` happens; None: it does not happen.
        end: "close" (FIN), "reset" (RST), or "silence": the connection stays open and says nothing more.
        instead: bytes sent once instead of the answer, which is never sent.
    """

    delay_s: float = 0.0
    size: int | None = None
    pause_s: float = 0.0
    after: int | None = None
    end: Literal["close", "reset", "silence"] = "close"
    instead: bytes | None = None


NONE = Fault()
SILENCE = Fault(after=0, end="silence")
"""Accepts, takes everything, never answers; before TLS a handshake that hangs."""


def delay(seconds: float) -> Fault:
    """Answers come late."""
    return Fault(delay_s=seconds)


def trickle(size: int, pause_s: float) -> Fault:
    """`size` bytes every `pause_s` seconds."""
    return Fault(size=size, pause_s=pause_s)


def cut(after: int) -> Fault:
    """The connection is closed after so many bytes."""
    return Fault(after=after)


def reset(after: int) -> Fault:
    """The connection is reset after so many bytes."""
    return Fault(after=after, end="reset")


def garbage(size: int = 200, seed: int = 1) -> Fault:
    """Random bytes instead of the answer, then the end of the connection."""
    return Fault(instead=random.Random(seed).randbytes(size))


class _Connection:
    """One client and what stands behind it."""

    def __init__(self, proxy: FaultProxy, writer: asyncio.StreamWriter) -> None:
        self._proxy, self._writer = proxy, writer
        self._own = proxy.next.popleft() if proxy.next else None
        self._fault = self._own or proxy.fault
        self._passed = 0
        self._left = False

    def _current(self) -> Fault:
        fault = self._own or self._proxy.fault
        if fault is not self._fault:
            self._fault, self._passed = fault, 0
        return fault

    async def ask(self, reader: asyncio.StreamReader, product: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            self._proxy.bytes_asked += len(data)
            product.write(data)
            await product.drain()
        self._left = True
        product.close()

    async def answer(self, product: asyncio.StreamReader) -> None:
        """Passes answers on until one side ends, or the fault does it."""
        going = True
        while going and (data := await product.read(_CHUNK)):
            fault = self._current()
            await asyncio.sleep(fault.delay_s)
            if fault.instead is not None:
                self._writer.write(fault.instead)
                going = False
                continue
            left = len(data) if fault.after is None else fault.after - self._passed
            await self._send(data[: max(left, 0)], fault)
            if left < len(data):
                await self._end(fault)
                going = False
        self._writer.close()

    async def _send(self, data: bytes, fault: Fault) -> None:
        step = fault.size or _CHUNK
        for begin in range(0, len(data), step):
            self._writer.write(data[begin : begin + step])
            await self._writer.drain()
            self._passed += len(data[begin : begin + step])
            await asyncio.sleep(fault.pause_s)

    async def _end(self, fault: Fault) -> None:
        if fault.end == "silence":
            while self._current() is fault and not self._left:
                await asyncio.sleep(0.02)
            self.reset()  # part of an answer was swallowed: nothing sensible could follow
        elif fault.end == "reset":
            self.reset()

    def reset(self) -> None:
        """Ends the connection with RST."""
        raw = self._writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        self._writer.transport.abort()


class FaultProxy:
    """An async context manager that listens on 127.0.0.1 and passes on to `target` (host, port)."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.fault = NONE
        self.next: deque[Fault] = deque()
        self.accepted = 0
        self.bytes_asked = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], _Connection] = {}
        self._hole: list[socket.socket] = []

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()

    async def listen(self) -> None:
        """Listens (again), on the same port as before."""
        self._close_hole()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, reuse_address=True)
            self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Ends every connection and does not listen: a new one is refused."""
        self._close_hole()
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.drop()
        open_ones = list(self._open)
        for task in open_ones:
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)
        if server is not None:
            await server.wait_closed()

    async def blackhole(self) -> None:
        """As a host behind a firewall that drops: connections end, and a new one's SYN is never answered.

        A listening socket whose queue is full and never emptied drops further SYNs.
        """
        await self.refuse()
        hole = socket.socket()
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hole.bind(("127.0.0.1", self.port))
        hole.listen(0)
        self._hole = [hole]
        for _ in range(_FILLERS):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._hole.append(filler)

    def _close_hole(self) -> None:
        while self._hole:
            self._hole.pop().close()

    def drop(self) -> None:
        """Resets every open connection; new ones are taken."""
        for connection in self._open.values():
            connection.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        connection = _Connection(self, writer)
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = connection
        product: asyncio.StreamWriter | None = None
        try:
            answers, product = await asyncio.open_connection(*self.target)
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(connection.ask(reader, product))
                await connection.answer(answers)
                asking.cancel()
        except* (OSError, asyncio.CancelledError):  # `refuse` cancels; asyncio 3.11 would report it as an accident
            connection.reset()
        finally:
            del self._open[task]
            for side in (writer, product):
                if side is not None:
                    side.transport.abort()

"""A server on a free port, a table with a hand-set clock, a Commands that records, and raw sockets."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from ipaddress import ip_network
from typing import Any

import pytest

from gateway.addressing import PlacedPoint, PlacedRegister, Span
from gateway.app.loop import loop_factory
from gateway.core.errors import CommandRejected
from gateway.core.point import CommandSpec, Factor, PointSpec, RegisterSpec
from gateway.core.priority import Origin
from gateway.core.registers import parse_register_type
from gateway.core.value import GOOD, Quality, Sample, Value, ValueKind
from gateway.engine.ports import Ask
from gateway.engine.table import PointTable
from gateway.servers.modbus import ClientGroup, ModbusServer

LOCAL = (ip_network("127.0.0.0/8"),)
BMS = ClientGroup("bms", LOCAL, 10, write=True)
COMMAND = CommandSpec("PUT", "/x", {}, {}, Factor(250), None, None, "float", None, None, False, "low")
SPANS = (Span(1, 0, 100, 0), Span(1, 1000, 400, 0xFFFF))


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Transports differ from loop to loop: every test here runs on both that the service may find."""
    quick = loop_factory()
    return {"asyncio": asyncio.new_event_loop} | ({} if quick is None else {"uvloop": quick})


class HandClock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


class Recorder:
    """Accepts or refuses; `gate`, when set, holds every submit back."""

    def __init__(self, table: PointTable) -> None:
        self.table = table
        self.calls: list[tuple[list[Ask], Origin]] = []
        self.refuse: CommandRejected | None = None
        self.gate: asyncio.Event | None = None
        self.beats: dict[str, tuple[int, float | None]] = {}

    async def submit(self, asks: Sequence[Ask], origin: Origin) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.refuse is not None:
            raise self.refuse
        self.calls.append((list(asks), origin))
        self.table.update((ask.index, Sample(ask.value, GOOD, "", 100.0)) for ask in asks)

    @property
    def asked(self) -> list[tuple[int, Value | None, int]]:
        return [(ask.index, ask.value, ask.slot) for asks, _ in self.calls for ask in asks]

    def slots(self, index: int) -> Any:
        raise NotImplementedError

    def default(self, index: int) -> Value | None:
        raise NotImplementedError

    def heartbeat(self, group: str, value: int) -> None:
        self.beats[group] = (value, 0.0 if group in self.beats else None)

    def heartbeat_of(self, group: str) -> tuple[int, float | None]:
        return self.beats.get(group, (0, None))


class Wire:
    """A raw client; `ask` sends one PDU and gives the answer's PDU."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.transaction = 0

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def frame(self) -> tuple[int, int, bytes]:
        """Transaction, unit and PDU of the next answer."""
        head = await asyncio.wait_for(self.reader.readexactly(7), 5)
        transaction, protocol, length, unit = struct.unpack(">HHHB", head)
        assert protocol == 0
        return transaction, unit, await asyncio.wait_for(self.reader.readexactly(length - 1), 5)

    async def ask(self, pdu: bytes, unit: int = 1) -> bytes:
        self.transaction += 1
        self.send(adu(self.transaction, pdu, unit))
        transaction, back, answer = await self.frame()
        assert (transaction, back) == (self.transaction, unit)
        return answer

    async def closed(self, within_s: float = 5) -> bool:
        """Whether the server closed the connection without another byte."""
        try:
            return await asyncio.wait_for(self.reader.read(1), within_s) == b""
        except ConnectionError:
            return True


def adu(transaction: int, pdu: bytes, unit: int = 1) -> bytes:
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


def read(address: int, count: int, function: int = 3) -> bytes:
    return struct.pack(">BHH", function, address, count)


def write16(address: int, data: bytes) -> bytes:
    return struct.pack(">BHHB", 16, address, len(data) // 2, len(data)) + data


class Bench:
    """One server and everything around it."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.table = PointTable(self.clock)
        self.commands = Recorder(self.table)
        self.tasks: list[asyncio.Task[None]] = []
        self.servers: list[ModbusServer] = []
        self.wires: list[Wire] = []

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]

    async def serve(self, **options: Any) -> ModbusServer:
        given: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": 0,
            "table": self.table,
            "commands": self.commands,
            "groups": [BMS],
            "spans": SPANS,
            "version": "1.2.3",
            "spawn": self.spawn,
        }
        server = ModbusServer(**(given | options))
        await server.start()
        self.servers.append(server)
        return server

    async def connect(self, server: ModbusServer | None = None, source: str = "127.0.0.1") -> Wire:
        port = (server or self.servers[-1]).port
        wire = Wire(*await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0)))
        self.wires.append(wire)
        return wire

    def point(
        self,
        name: str,
        *places: tuple[int, str] | tuple[int, str, dict[str, Any]],
        server: ModbusServer | None = None,
        unit: int = 1,
        command: bool = False,
        kind: ValueKind = ValueKind.NUMBER,
        **spec: Any,
    ) -> int:
        """Adds a point at (register, type, options) and places it; returns its index."""
        registers = []
        for register, type_name, *rest in places:
            parsed = parse_register_type(type_name)
            assert parsed is not None
            options: dict[str, Any] = {"scale": 1, "word_order": "big", "byte_order": "big", "on_loss": "nan"} | (
                rest[0] if rest else {}
            )
            registers.append(PlacedRegister(unit, register, RegisterSpec(at=0, type=parsed, **options)))
        made = PointSpec(name=name, kind=kind, command=COMMAND if command else None, **spec)
        index = self.table.add(name, made)
        (server or self.servers[-1]).place([(index, PlacedPoint(name, made, tuple(registers), ()))])
        return index

    def set(self, index: int, value: Value | None, quality: Quality = GOOD) -> None:
        self.table.update([(index, Sample(value, quality, "", self.clock.now))])


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    for wire in made.wires:
        wire.writer.transport.abort()
    for server in made.servers:
        await server.stop()
    assert all(task.done() for task in made.tasks)
    assert not [task for task in made.tasks if not task.cancelled() and task.exception()]

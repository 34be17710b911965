"""What must hold of the library before a port is opened: an upgrade that breaks it is found at start, not by a BMS."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from ipaddress import ip_network
from struct import pack
from typing import Any

from gateway.core.errors import GatewayError
from gateway.core.priority import Origin, PriorityArray
from gateway.core.value import Value
from gateway.engine.ports import Ask
from gateway.servers.modbus.connection import Connection
from gateway.servers.modbus.door import Door
from gateway.servers.modbus.groups import GAPS, ClientGroup
from gateway.servers.modbus.house import Counters, House
from gateway.servers.modbus.identity import Identity
from gateway.servers.modbus.image import MAPPED, Image, Target
from gateway.servers.modbus.reads import Reads
from gateway.servers.modbus.turns import Turns
from gateway.servers.modbus.watcher import Watcher

HOST, UNIT = "127.0.0.1", 1
GROUP = ClientGroup("self-test", (ip_network(HOST),), 16, write=True)
WITHIN_S = 5.0


class SelfTestError(GatewayError):
    """The Modbus library does not behave as this server needs it; the text says where."""


class Wire(asyncio.Transport):
    """A transport that keeps what is written; its peer is this machine."""

    def __init__(self) -> None:
        super().__init__({"peername": (HOST, 0)})
        self.sent = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is ever buffered."""

    def pause_reading(self) -> None:
        """Nothing is ever read."""

    def resume_reading(self) -> None:
        """Nothing is ever read."""


class Accepting:
    """Commands that accepts everything and keeps nothing."""

    async def submit(self, asks: Sequence[Ask], origin: Origin) -> None:
        """Takes a turn of the loop, as a real one does."""
        await asyncio.sleep(0)

    def slots(self, index: int) -> PriorityArray:
        return PriorityArray()

    def default(self, index: int) -> Value | None:
        return None

    def heartbeat(self, group: str, value: int) -> None:
        """Nobody's life is judged here."""

    def heartbeat_of(self, group: str) -> tuple[int, float | None]:
        return 0, None


def _frame(transaction: int, pdu: bytes) -> bytes:
    return pack(">HHHB", transaction, 0, len(pdu) + 1, UNIT) + pdu


READ, WRITE, AGAIN = _frame(7, b"\3\0\0\0\1"), _frame(8, b"\6\0\0\x12\x34"), _frame(9, b"\4\0\0\0\1")
CASES = (
    ("a read", (READ,), _frame(7, b"\3\2\x45\x56")),
    (
        "a write between two reads, pipelined",
        (READ + WRITE + AGAIN,),
        _frame(7, b"\3\2EV") + WRITE + _frame(9, b"\4\2EV"),
    ),
    ("a read cut in two", (READ[:5], READ[5:]), _frame(7, b"\3\2EV")),
    ("an unmapped register", (_frame(10, b"\3\0\1\0\1"),), _frame(10, b"\x83\2")),
    ("an unknown function", (_frame(11, b"\x55"),), _frame(11, b"\xd5\1")),
    ("identity", (_frame(12, b"\x2b\x0e\4\2"),), _frame(12, b"\x2b\x0e\4\x83\0\0\1\2\1v")),
)
"""What is sent, piece by piece, to a server whose register 0 holds "EV", and what must come back."""


async def self_test(shell: Any) -> None:
    """Sends each case through a connection of its own, without a socket; `shell` is a server that does not listen.

    Raises:
        SelfTestError: naming the case, what came and what should have come.
    """
    image, counters = Image(), Counters()
    image.state[0], image.data[:2] = MAPPED, b"EV"
    image.targets[0] = Target(0, 1, lambda data: [(0, int.from_bytes(data, "big"))])
    tasks: list[asyncio.Task[None]] = []
    fault = ""
    async with asyncio.TaskGroup() as group:

        def spawn(work: Coroutine[Any, Any, None]) -> None:
            tasks.append(group.create_task(work))

        house = House(
            images={UNIT: image},
            commands=Accepting(),
            identity=Identity("v", site="", layout=1, map_hash=lambda: 0),
            counters=counters,
            spawn=spawn,
            door=Door([GROUP], {}, counters, most=1, most_of_one=1),
            reads={gaps: Reads() for gaps in GAPS},
            turns=Turns(),
            watcher=Watcher(None, dict, (), unit=UNIT, common=None),
            on_refused=lambda _place, _origin, _why: None,
            idle_s=WITHIN_S,
            half_frame_s=WITHIN_S,
        )
        for name, pieces, expected in CASES:
            wire = Wire()
            try:
                await _send(Connection(shell, house), wire, pieces, tasks)
            except Exception as error:  # noqa: BLE001  # whatever a changed library raises, it is the library's fault
                fault = f"{name}: {error!r}"
                break
            if wire.sent != expected:
                fault = f"{name}: {wire.sent.hex()} instead of {expected.hex()}"
                break
    if fault:
        raise SelfTestError(f"modbus self-test, the library does not do what it must: {fault}")


async def _send(connection: Connection, wire: Wire, pieces: Sequence[bytes], tasks: list[asyncio.Task[None]]) -> None:
    connection.connection_made(wire)
    for piece in pieces:
        connection.data_received(piece)
    while tasks:
        await tasks.pop()
    connection.connection_lost(None)

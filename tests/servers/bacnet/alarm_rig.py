"""A server with points that have alarms, and a BMS in octets: subscribes itself, receives, acknowledges."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any

from gateway.core.alarm import AlarmSpec
from gateway.core.point import Factor, KindSpec, PointSpec
from gateway.core.value import GOOD, Quality, Sample, Value, ValueKind
from gateway.engine.alarms import Alarms
from gateway.engine.point_alarms import PointAlarms
from gateway.engine.resource import Resource
from gateway.engine.table import PointTable
from gateway.servers.bacnet import AlarmTerms, BacnetServer, ClassConfig, Destination, Keeper, ListKeeper, Terms
from gateway.servers.bacnet.npdu import parse
from tests.engine.memory_journal import MemoryJournal
from tests.servers.bacnet.conftest import HOST, FakeClock, FakeCommands, datagram, placed, unicast

STATES = {"Available": 1, "Charging": 3, "Faulted": 9}
STATUS, CURRENT, CONNECTED, LIMIT = 13 << 22 | 5, 5, 3 << 22 | 5, 6
CLASS = 15 << 22 | 1
DEVICE = 8 << 22 | 260001
SPECS: dict[str, tuple[str, int, PointSpec]] = {
    "status": (
        "multi-state-input",
        5,
        PointSpec(
            name="status",
            kind=ValueKind.ENUM,
            codes=STATES,
            alarm=AlarmSpec(when=frozenset({9}), delay_s=10, text="Station faulted", faults=True),
        ),
    ),
    "current": (
        "analog-input",
        5,
        PointSpec(
            name="current",
            kind=ValueKind.NUMBER,
            unit="A",
            alarm=AlarmSpec(high=Factor(0.0, "limit"), low=Factor(-5.0), deadband=1.5, text="Over its limit"),
        ),
    ),
    "limit": ("analog-input", 6, PointSpec(name="limit", kind=ValueKind.NUMBER, unit="A")),
    "connected": (
        "binary-input",
        5,
        PointSpec(name="connected", kind=ValueKind.BOOL, alarm=AlarmSpec(frozenset({False}), text="Source lost")),
    ),
}


@dataclass
class AlarmRig:
    """The server and all around it; `life` is one run of the gateway on what the journal and `lists` have."""

    networks: Sequence[str] = ("127.0.0.0/8",)
    classes: Sequence[ClassConfig] = (ClassConfig(),)
    clock: FakeClock = field(default_factory=FakeClock)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    lists: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    written: list[tuple[str, str, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    async def life(self) -> None:
        self.alarms, self.table = Alarms(), PointTable(self.clock)
        self.desk = PointAlarms(self.table, self.clock, self.journal, self.alarms)
        keeper = ListKeeper(self.lists, self._save)
        self.server = BacnetServer(
            address=f"{HOST}:0",
            device_instance=260001,
            device_name="EV Gateway",
            version="1.2.3",
            table=self.table,
            commands=FakeCommands(self.table),
            terms=Terms(
                [IPv4Network(each) for each in self.networks], alarms=AlarmTerms(self.desk, keeper, self.classes)
            ),
            keeper=Keeper(None, 1, lambda _: None),
            clock=self.clock,
            alarms=self.alarms,
            spawn=lambda work: asyncio.get_running_loop().create_task(work),
            on_refused=lambda place, origin, why: self.refused.append(f"{place} {origin}: {why}"),
        )
        index = {name: self.table.add(f"evce/station/S-1/{name}", spec) for name, (_, _, spec) in SPECS.items()}
        self.index = index
        kind = KindSpec("station", None, None, None, {}, {}, None, None)
        self.desk.learn(Resource("evce", kind, "S-1", "1", None, index, block=0))
        for name, (object_type, instance, spec) in SPECS.items():
            self.server.place([(index[name], placed(f"evce/station/S-1/{name}", object_type, instance, spec))])
        await self.server.start()

    def _save(self, instance: int, state: Mapping[str, Any], origin: Any, old: str, new: str) -> None:
        self.lists[instance] = state
        self.written.append((str(origin), old, new))

    def set(self, point: str, value: Value | None, quality: Quality = GOOD, reason: str = "") -> None:
        self.table.update([(self.index[point], Sample(value, quality, reason, self.clock.now))])

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.desk.tick()
        self.server._awake.set()

    def good(self) -> None:
        for point, value in (("status", 3), ("limit", 60.0), ("current", 30.0), ("connected", True)):
            self.set(point, value)

    def faulted(self) -> None:
        self.set("status", 9)
        self.pass_time(10)


@dataclass(frozen=True)
class Event:
    """An event notification as it came; `values` is what stands in Event_Values."""

    invoke: int | None
    process: int
    device: int
    key: int
    stamp: bytes
    number: int
    priority: int
    type: int
    text: str
    notify: int
    ack: bool | None
    came_from: int | None
    to: int
    values: bytes


def decode(apdu: bytes) -> Event | None:
    """A notification, None for any other APDU; every octet must be accounted for."""
    if apdu[:2] == b"\x10\x03":
        invoke, rest = None, apdu[2:]
    elif apdu[0] == 0x00 and apdu[3] == 2:
        invoke, rest = apdu[2], apdu[4:]
    else:
        return None
    process, rest = number(rest, 0)
    device, rest = number(rest, 1)
    key, rest = number(rest, 2)
    assert rest[:2] == b"\x3e\x2e"
    assert rest[12:14] == b"\x2f\x3f"
    stamp, rest = rest[1:13], rest[14:]
    of_class, rest = number(rest, 4)
    priority, rest = number(rest, 5)
    kind, rest = number(rest, 6)
    content, rest = context(rest, 7)
    assert content[0] == 0
    notify, rest = number(rest, 8)
    ack = came_from = None
    if notify != 2:
        asked, rest = number(rest, 9)
        ack = bool(asked)
        came_from, rest = number(rest, 10)
    to, rest = number(rest, 11)
    values = b""
    if notify != 2:
        assert rest[0] == 0xCE
        assert rest[-1] == 0xCF
        values, rest = rest[1:-1], b""
    assert rest == b""
    text = content[1:].decode()
    about = (device, key, stamp, of_class, priority, kind, text, notify)
    return Event(invoke, process, *about, ack, came_from, to, values)


def context(data: bytes, tag: int) -> tuple[bytes, bytes]:
    assert data[0] & 0xF8 == tag << 4 | 8, data.hex()
    length, at = data[0] & 7, 1
    if length == 5:
        length, at = data[1], 2
    return data[at : at + length], data[at + length :]


def number(data: bytes, tag: int) -> tuple[int, bytes]:
    content, rest = context(data, tag)
    return int.from_bytes(content, "big"), rest


def real(value: float) -> bytes:
    return struct.pack(">f", value)


class Bms:
    """A UDP port that is told of alarms; `npci` says to which device it talks, `source` which one it last heard."""

    def __init__(self, port: int, name: str = "Porter") -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((HOST, 0))
        self.sock.setblocking(False)
        self.target, self.name, self.invoke = (HOST, port), name, 0
        self.inbox: list[Event] = []
        self.frames: list[bytes] = []
        self.npci = b"\x01\x04"
        self.source = (0, b"")

    @property
    def mac(self) -> bytes:
        host, port = self.sock.getsockname()
        return socket.inet_aton(host) + port.to_bytes(2, "big")

    def destination(self, **more: Any) -> Destination:
        return Destination(**({"mac": self.mac, "process": 7} | more))

    async def apdu_in(self, wait_s: float) -> bytes | None:
        found = await datagram(self.sock, wait_s)
        if found is None:
            return None
        self.frames.append(found)
        head = parse(found[4:])
        assert head is not None, found.hex()
        self.source = head.snet, head.sadr
        return found[4 + head.at :]

    def send(self, apdu: bytes) -> None:
        self.frames.append(unicast(apdu, self.npci))
        self.sock.sendto(self.frames[-1], self.target)

    async def request(self, service: int, body: bytes, size: int = 5) -> str | None:
        """The answer to a confirmed request, without its invoke id."""
        self.invoke = self.invoke % 255 + 1
        self.send(bytes((0x00, size, self.invoke, service)) + body)
        while (apdu := await self.apdu_in(2.0)) is not None:
            found = decode(apdu)
            if found is None:
                assert apdu[1] == self.invoke, apdu.hex()
                return (apdu[:1] + apdu[2:]).hex()
            self.inbox.append(found)
        return None

    async def read(self, key: int, prop: int, index: int | None = None) -> str:
        """A property's octets; the whole answer for anything but a Complex-ACK."""
        where = b"\x0c" + key.to_bytes(4, "big")
        where += b"\x19%c" % prop if prop < 256 else b"\x1a" + prop.to_bytes(2, "big")
        where += b"" if index is None else b"\x29%c" % index
        answer = await self.request(12, where)
        assert answer is not None
        return answer[4 + 2 * len(where) + 2 : -2] if answer.startswith("30") else answer

    async def enter(self, *destinations: Destination, key: int = CLASS) -> str | None:
        """Writes a Recipient_List."""
        octets = b"".join(each.octets for each in destinations)
        return await self.request(15, b"\x0c%b\x19\x66\x3e%b\x3f" % (key.to_bytes(4, "big"), octets))

    async def next(self, wait_s: float = 1.0, *, ack: bool = True) -> Event | None:
        """The next notification; a confirmed one is acknowledged."""
        found = self.inbox.pop(0) if self.inbox else None
        while found is None:
            apdu = await self.apdu_in(wait_s)
            if apdu is None:
                return None
            found = decode(apdu)
        if found.invoke is not None and ack:
            self.send(bytes((0x20, found.invoke, 2)))
        return found

    async def must(self) -> Event:
        found = await self.next(3.0)
        assert found is not None
        return found

    async def acknowledge(self, key: int, state: int, stamp: bytes, source: str | None = None) -> str | None:
        """AcknowledgeAlarm; `stamp` is the BACnetTimeStamp of the event."""
        name = (source or self.name).encode()
        text = bytes((0x4D, len(name) + 1, 0)) + name if len(name) > 3 else bytes((0x49 + len(name), 0)) + name
        own = b"\x2e\xa4\x7e\x0b\x15\x06\xb4\x0c\x00\x00\x00\x2f"
        body = b"\x09\x07\x1c%b\x29%c\x3e%b\x3f%b\x5e%b\x5f" % (key.to_bytes(4, "big"), state, stamp, text, own)
        return await self.request(0, body)

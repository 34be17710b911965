"""A server with virtual devices, and the octets that go to them and come from them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.addressing import PlacedDevice, PlacedPoint
from gateway.servers.bacnet import Keeper, Virtual
from gateway.servers.bacnet.npdu import address, header, parse
from gateway.servers.bacnet.rollcall import RollCall
from tests.servers.bacnet.conftest import HOST, SPECS, Bench, RawClient, make_bench, placed
from tests.servers.bacnet.watcher import settle
from tests.site import until

NETWORK, FIRST = 200, 271000
FEW = 100
READ = "0205 {:02x} 0c 0c{} {}"
WHO_IS = bytes.fromhex("1008")
DEVICE, ANALOG_INPUT, ANALOG_VALUE = 8, 0, 2
OBJECT_NAME, PRESENT_VALUE = 77, 85
Kept = dict[int, Mapping[str, Any]]


@dataclass
class Campus:
    """A bench with `count` stations, each a virtual device with one point of each sort."""

    bench: Bench
    kept: Kept
    index: dict[tuple[int, str], int] = field(default_factory=dict)

    @property
    def calls(self) -> RollCall:
        fleet = self.bench.server.fleet
        assert fleet is not None
        return fleet.calls

    def add(self, number: int, name: str | None = None) -> None:
        """Serves one more station (or a station under another name)."""
        self.bench.server.place(self.points(number, name))

    def points(self, number: int, name: str | None = None) -> list[tuple[int, PlacedPoint]]:
        """A station's points, as they are placed."""
        device, found = PlacedDevice(FIRST + number, f"evce/station/{name or f'Bay {number}'}"), []
        for point, (kind, instance, spec) in SPECS.items():
            full = f"{device.label}/{point}"
            index = self.index.get((number, point))
            if index is None:
                index = self.index[number, point] = self.bench.table.add(full, spec)
            found.append((index, replace(placed(full, kind, instance, spec), device=device)))
        return found


def make_campus(count: int = 3, kept: Kept | None = None, address: str = f"{HOST}:0", **more: Any) -> Campus:
    """A campus that does not listen yet; `kept` holds the Database_Revisions of the last run."""
    kept = {} if kept is None else kept
    ip_network, template = more.pop("ip_network", 0), more.pop("device_name", "{source}.{kind}.{name}")

    def keeper(instance: int) -> Keeper:
        return Keeper(kept.get(instance), 1000, lambda state: kept.__setitem__(instance, state))

    bench = make_bench(address, virtual=Virtual(NETWORK, template, keeper, ip_network), **more)
    campus = Campus(bench, kept)
    for number in range(count):
        campus.add(number)
    return campus


@asynccontextmanager
async def running(count: int = 3, **more: Any) -> AsyncIterator[tuple[Campus, Router]]:
    """A listening campus and a raw client."""
    campus = make_campus(count, **more)
    await campus.bench.server.start()
    client = Router(RawClient(campus.bench.server.port))
    if count < FEW:  # what is said at the start is not what a test listens for
        await until(lambda: not campus.calls.waits, 3.0)
        await settle()
    try:
        yield campus, client
    finally:
        client.raw.sock.close()
        await campus.bench.server.stop()


def mac(number: int) -> bytes:
    return (FIRST + number).to_bytes(3, "big")


def key(kind: int, instance: int) -> str:
    return ((kind << 22) | instance).to_bytes(4, "big").hex()


def bvll(npdu: bytes, function: int = 0x0A) -> bytes:
    return bytes((0x81, function)) + (4 + len(npdu)).to_bytes(2, "big") + npdu


def destined(apdu: bytes | str, net: int, dadr: bytes = b"", *, hops: int = 255, source: bytes = b"") -> bytes:
    """An NPDU to another network; `source` is SNET, SLEN and SADR."""
    octets = bytes.fromhex(apdu) if isinstance(apdu, str) else apdu
    made = bytearray(header(0x04, net, dadr, source))
    made[-1] = hops
    return bytes(made) + octets


@dataclass
class Heard:
    """One NPDU that came from the gateway."""

    npdu: bytes

    def __post_init__(self) -> None:
        head = parse(self.npdu)
        assert head is not None, self.npdu.hex()
        self.head = head
        self.body = self.npdu[head.at :]
        self.device = int.from_bytes(head.sadr, "big") if head.snet == NETWORK else None


class Router:
    """A client that talks to what is behind a router; it stands on the gateway's network, or on another one."""

    def __init__(self, raw: RawClient) -> None:
        self.raw = raw

    def send(self, npdu: bytes, function: int = 0x0A) -> None:
        self.raw.send(bvll(npdu, function))

    async def hear(self, wait_s: float = 0.5) -> Heard | None:
        answer = await self.raw.receive(wait_s)
        return None if answer is None else Heard(answer[4:])

    async def hear_all(self, count: int, wait_s: float = 3.0) -> list[Heard]:
        """Exactly so many answers; fails when more or fewer come."""
        found: list[Heard] = []
        async with asyncio.timeout(wait_s):
            while len(found) < count:
                heard = await self.hear(wait_s)
                assert heard is not None
                found.append(heard)
        assert await self.hear(0.1) is None
        return found

    async def ask(self, number: int, apdu: str | bytes, source: bytes = b"", wait_s: float = 0.5) -> Heard | None:
        """The answer of a virtual device."""
        self.send(destined(apdu, NETWORK, mac(number), source=source))
        return await self.hear(wait_s)

    async def read(self, number: int, kind: int, instance: int, prop: int, invoke: int = 1) -> str:
        """The octets of a property's value."""
        heard = await self.ask(
            number, READ.format(invoke, key(kind, instance), f"19{prop:02x}" if prop < 256 else f"1a{prop:04x}")
        )
        assert heard is not None
        assert heard.device == FIRST + number
        assert heard.body[0] == 0x30, heard.body.hex()
        at = heard.body.index(0x3E)
        return heard.body[at + 1 : -1].hex()


def behind(net: int, sadr: bytes) -> bytes:
    """SNET, SLEN and SADR of a client behind another router."""
    return address(net, sadr)

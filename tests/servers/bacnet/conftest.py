"""A served table with one point of each sort, a fake command engine, and the clients that look at it from outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from rusty_bacnet import BACnetClient

from gateway.addressing import PlacedObject, PlacedPoint
from gateway.core.alarm import AlarmSpec
from gateway.core.errors import CommandRejected
from gateway.core.point import CommandSpec, Factor, KindSpec, ObjectSpec, PointSpec, RegisterSpec
from gateway.core.priority import Origin, PriorityArray, Slot
from gateway.core.value import GOOD, Quality, Sample, Value, ValueKind
from gateway.engine.alarms import Alarms
from gateway.engine.point_alarms import PointAlarms
from gateway.engine.ports import Ask
from gateway.engine.resource import Resource
from gateway.engine.table import PointTable
from gateway.servers.bacnet import AlarmTerms, BacnetServer, Keeper, ListKeeper, Terms
from tests.engine.memory_journal import MemoryJournal
from tests.servers.bacnet.rusty import Rusty
from tests.servers.bacnet.wiretap import is_there, tapped

HOST = "127.0.0.1"
NAP_S, LEAST_NAPS = 0.02, 4
JS = Path(__file__).parent / "js"
NUMBER, BOOL, STRING, ENUM = ValueKind.NUMBER, ValueKind.BOOL, ValueKind.STRING, ValueKind.ENUM
STATES = {"Free": 1, "Busy": 2, "Fault": 3}


class FakeClock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1.8e9 + self.now


class FakeCommands:
    """Accepts everything unless told otherwise, as the engine does: the table shows the winner at once."""

    def __init__(self, table: PointTable) -> None:
        self.table = table
        self.arrays: dict[int, PriorityArray] = {}
        self.asks: list[tuple[Ask, Origin]] = []
        self.refuse: CommandRejected | Exception | None = None
        self.delay_s = 0.0
        self.default_value: Value | None = 250.0
        self.beats: list[tuple[str, int]] = []

    async def submit(self, asks: Sequence[Ask], origin: Origin) -> None:
        await asyncio.sleep(self.delay_s)
        if self.refuse is not None:
            raise self.refuse
        for ask in asks:
            self.asks.append((ask, origin))
            if self.table.specs[ask.index].command is None:
                continue
            array = self.slots(ask.index)
            if ask.value is None:
                array.clear(ask.slot)
            else:
                array.put(ask.slot, Slot(ask.value, origin, 0.0))
            shown = array.value if array.winner else self.default_value
            self.table.update([(ask.index, Sample(shown, GOOD, "", 0.0))])

    def slots(self, index: int) -> PriorityArray:
        return self.arrays.setdefault(index, PriorityArray())

    def default(self, index: int) -> Value | None:
        return self.default_value

    def heartbeat(self, group: str, value: int) -> None:
        self.beats.append((group, value))

    def heartbeat_of(self, group: str) -> tuple[int, float | None]:
        return self.beats[-1][1] if self.beats else 0, None


def command(**more: Any) -> CommandSpec:
    given = {
        "method": "PUT",
        "path": "/zones/{id}",
        "body": "{value}",
        "release": None,
        "default": None,
        "none_when": None,
        "verify": None,
        "json_type": "float",
        "tolerance": None,
        "floor": None,
        "allow_stop": False,
        "tighter": "low",
    }
    return CommandSpec(**(given | more))  # type: ignore[arg-type]


def register(on_loss: Any) -> RegisterSpec:
    return RegisterSpec(0, "float32", 1.0, "big", "big", on_loss)  # type: ignore[arg-type]


SPECS: dict[str, tuple[str, int, PointSpec]] = {
    "current": ("analog-input", 0, PointSpec(name="current", kind=NUMBER, unit="A", description="Current of the zone")),
    "energy": ("analog-input", 1, PointSpec(name="energy", kind=NUMBER, unit="kWh", registers=(register("hold"),))),
    "charging": ("binary-input", 0, PointSpec(name="charging", kind=BOOL)),
    "state": ("multi-state-input", 0, PointSpec(name="state", kind=ENUM, codes=STATES)),
    "note": ("characterstring-value", 0, PointSpec(name="note", kind=STRING)),
    "limit": (
        "analog-value",
        7,
        PointSpec(name="limit", kind=NUMBER, unit="A", range=(Factor(0.0), Factor(250.0)), command=command()),
    ),
    "mode": ("multi-state-value", 7, PointSpec(name="mode", kind=ENUM, codes=STATES, command=command())),
    "enable": ("binary-output", 7, PointSpec(name="enable", kind=BOOL, command=command())),
    "limit.release": ("binary-value", 7, PointSpec(name="limit.release", kind=NUMBER, writable=True, builtin=True)),
}
ALARMS = {
    "state": AlarmSpec(when=frozenset({3}), faults=True, engine=True),
    "current": AlarmSpec(high=Factor(1000.0), deadband=1.0, faults=True, engine=True),
}
ZONE = KindSpec("zone", None, None, None, {}, {}, None, None)


@dataclass
class Bench:
    """The server and everything around it."""

    clock: FakeClock
    table: PointTable
    commands: FakeCommands
    server: BacnetServer
    alarms: Alarms
    kept: list[Mapping[str, Any]]
    index: dict[str, int] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"{HOST}:{self.server.port}"

    def pass_time(self, seconds: float) -> None:
        """Moves the clock and lets the server look at it."""
        self.clock.now += seconds
        self.server._awake.set()

    def add(self, name: str, kind: str, instance: int, spec: PointSpec) -> int:
        """Adds a point to the table and serves it; returns its index."""
        index = self.table.add(name, spec)
        self.server.place([(index, placed(name, kind, instance, spec))])
        return index

    def set(self, point: str, value: Value | None, quality: Quality = GOOD, reason: str = "") -> None:
        """A new sample of one of SPECS."""
        self.table.update([(self.index[point], Sample(value, quality, reason, self.clock.now))])


def placed(name: str, kind: str, instance: int, spec: PointSpec) -> PlacedPoint:
    return PlacedPoint(name, spec, (), (PlacedObject(kind, instance, ObjectSpec(kind, 0)),))


def make_bench(
    address: str = f"{HOST}:0",
    networks: Sequence[str] = ("127.0.0.0/8",),
    terms: dict[str, Any] | None = None,
    saved: Mapping[str, Any] | None = None,
    *,
    alarmed: bool = False,
    **more: Any,
) -> Bench:
    """A server that does not listen yet; `alarmed`: its states 3 and values over 1000 are alarms."""
    alarms, kept = Alarms(), []
    settled: dict[str, Any] = {"write_networks": [IPv4Network(network) for network in networks], **(terms or {})}
    if "object_name" in more:
        settled["object_name"] = more.pop("object_name")
    clock = FakeClock()
    table = PointTable(clock)
    commands = FakeCommands(table)
    desk = PointAlarms(table, more.get("clock", clock), MemoryJournal(), alarms) if alarmed else None
    if desk is not None:
        settled["alarms"] = AlarmTerms(desk, ListKeeper({}, lambda *_: None))
    given: dict[str, Any] = {
        "address": address,
        "device_instance": 260001,
        "device_name": "EV Gateway",
        "version": "1.2.3",
        "table": table,
        "commands": commands,
        "terms": Terms(**settled),
        "site": "Car Park",
        "keeper": Keeper(saved, 1_800_000_000, kept.append),
        "clock": clock,
        "alarms": alarms,
        "spawn": lambda work: asyncio.get_running_loop().create_task(work),
    }
    bench = Bench(clock, table, commands, BacnetServer(**(given | more)), alarms, kept)
    for point, (kind, instance, spec) in SPECS.items():
        name, alarm = f"evce/zone/Zone B/{point}", ALARMS.get(point)
        if desk is None or alarm is None:
            bench.index[point] = bench.add(name, kind, instance, spec)
            continue
        watched = replace(spec, alarm=alarm)
        bench.index[point] = index = table.add(name, watched)
        desk.learn(Resource("evce", ZONE, "Zone B", "1", None, {point: index}))
        bench.server.place([(index, placed(name, kind, instance, watched))])
    return bench


@pytest.fixture(scope="session", autouse=True)
def no_frame_is_malformed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever the gateway sent in these tests, tshark finds nothing wrong with it."""
    with tapped() as tap:
        yield
    if is_there() and tap.frames:
        assert tap.wrong(tmp_path_factory.mktemp("wiretap") / "sent.pcap") == []


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A started server on loopback whose clients may write."""
    made = make_bench()
    await made.server.start()
    yield made
    await made.server.stop()


@pytest.fixture
async def read_only() -> AsyncIterator[Bench]:
    """A started server that lets another network write, not loopback."""
    made = make_bench(networks=["10.0.0.0/24"])
    await made.server.start()
    yield made
    await made.server.stop()


async def datagram(sock: socket.socket, wait_s: float) -> bytes | None:
    """What comes to a socket that does not block, None if nothing does in time.

    The time is counted in naps: a process that stands still loses one of them and not all, for the server stands too.
    """
    with contextlib.suppress(BlockingIOError):
        return sock.recv(2048)
    loop, came = asyncio.get_running_loop(), asyncio.Event()
    naps = max(LEAST_NAPS, round(wait_s / NAP_S))
    loop.add_reader(sock, came.set)
    try:
        for _ in range(naps):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s / naps):
                    await came.wait()
                break
    finally:
        loop.remove_reader(sock)
    with contextlib.suppress(BlockingIOError):
        return sock.recv(2048)
    return None


class RawClient:
    """A UDP socket that sends octets and waits for octets."""

    def __init__(self, port: int, host: str = HOST) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((host, 0))
        self.sock.setblocking(False)
        self.target = (HOST, port)

    async def ask(self, datagram: bytes, wait_s: float = 0.3) -> bytes | None:
        """Sends a datagram; the answer, None if there is none in time."""
        self.send(datagram)
        return await self.receive(wait_s)

    def send(self, datagram: bytes) -> None:
        self.sock.sendto(datagram, self.target)

    async def receive(self, wait_s: float = 0.3) -> bytes | None:
        return await datagram(self.sock, wait_s)

    async def apdu(self, apdu: str | bytes, wait_s: float = 0.3) -> str | None:
        """Sends an APDU as an Original-Unicast-NPDU; the answering APDU in hexadecimal."""
        octets = bytes.fromhex(apdu) if isinstance(apdu, str) else apdu
        answer = await self.ask(unicast(octets), wait_s)
        return None if answer is None else answer[6:].hex()


def unicast(apdu: bytes, npci: bytes = b"\x01\x04", function: int = 0x0A) -> bytes:
    return bytes((0x81, function)) + (4 + len(npci) + len(apdu)).to_bytes(2, "big") + npci + apdu


@pytest.fixture
async def raw() -> AsyncIterator[Callable[[Bench], RawClient]]:
    """Makes raw clients and closes them."""
    made: list[RawClient] = []

    def make(bench: Bench) -> RawClient:
        made.append(RawClient(bench.server.port))
        return made[-1]

    yield make
    for client in made:
        client.sock.close()


Calls = list[list[Any]]
Node = Callable[[Bench, Calls], Any]


@pytest.fixture
def node() -> Node:
    """Runs calls of @bacnet-js/client against a server: each gives its result, or `{"error": text}`."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")
    if not (JS / "node_modules" / "@bacnet-js" / "client").is_dir():
        pytest.skip("@bacnet-js/client is not installed (npm install in tests/servers/bacnet/js)")

    async def run(bench: Bench, calls: Calls) -> list[Any]:
        process = await asyncio.create_subprocess_exec(
            program,
            str(JS / "client.js"),
            bench.address,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate(json.dumps(calls).encode())
        assert process.returncode == 0
        answers: list[Any] = json.loads(out)
        return answers

    return run


@pytest.fixture
async def client() -> AsyncIterator[BACnetClient]:
    async with BACnetClient(HOST, 0, "127.255.255.255", 3000) as made:
        yield made


@pytest.fixture
def rusty(client: BACnetClient, bench: Bench) -> Rusty:
    return Rusty(client, bench.address)


@pytest.fixture
async def watcher() -> AsyncIterator[Callable[[Bench], Any]]:
    """Makes COV subscribers and closes them."""
    from tests.servers.bacnet.watcher import Watcher

    made: list[Watcher] = []

    def make(bench: Bench) -> Watcher:
        made.append(Watcher(bench))
        return made[-1]

    yield make
    for each in made:
        each.sock.close()

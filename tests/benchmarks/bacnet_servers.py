"""The servers that tests.benchmarks.bacnet compares, each in a process of its own: prints its port, then serves.

python -m tests.benchmarks.bacnet_servers "ours, 10,000 objects"
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop

from gateway import telemetry
from gateway.core.point import PointSpec
from gateway.core.value import GOOD, Sample, ValueKind
from tests.benchmarks.rig import BrokenError
from tests.site import free_port

FEW, MANY, TOLD = 99, 10_000, 300
FIRST = 1000
CHANGES_PER_S = 5
DEVICE = 260001
BUILT = "built "
READ_PROPERTY = 12


def cores() -> tuple[int, int]:
    """The core of the servers, and that of the load client."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BrokenError("two cores are needed: one for the servers, one for the load client")
    return usable[0], usable[-1]


def say(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def building() -> Iterator[None]:
    """Tells what it cost to make the objects, once they are there: CPU seconds, megabytes, those of the process."""
    before, began = rss_mb(), time.process_time()
    yield
    took = time.process_time() - began
    sys.stderr.write(f"{BUILT}{took:.3f} {rss_mb() - before:.1f} {rss_mb():.0f}\n")
    sys.stderr.flush()


def rss_mb() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def serve_ours(count: int, changing: int) -> None:
    """Our server; `changing` of its objects change some times a second."""
    from tests.faults.bacnet_fuzz import RealClock
    from tests.servers.bacnet.conftest import make_bench, placed

    bench = make_bench(clock=RealClock())
    spec = PointSpec(name="p", kind=ValueKind.NUMBER, unit="A")
    points = [bench.table.add(f"evce/station/S{n}/p", spec) for n in range(count)]
    names = bench.table.names
    shown = [(i, placed(names[i], "analog-input", FIRST + n, spec)) for n, i in enumerate(points)]
    with building():
        bench.server.place(shown)
    bench.table.update((index, Sample(1.5, GOOD, "", 0.0)) for index in points)
    await bench.server.start()
    say(bench.server.port)
    value = 0.0
    while True:
        await asyncio.sleep(1 / CHANGES_PER_S)
        value += 1.0
        bench.table.update((index, Sample(value, GOOD, "", 0.0)) for index in points[:changing])


async def serve_stock(count: int, changing: int) -> None:
    """bacpypes3 as its own examples build a server."""
    from bacpypes3.app import Application
    from bacpypes3.local.analog import AnalogInputObject
    from bacpypes3.local.device import DeviceObject
    from bacpypes3.local.networkport import NetworkPortObject

    port = free_port()
    device = DeviceObject(objectIdentifier=("device", DEVICE), objectName="stock", vendorIdentifier=999)
    link = NetworkPortObject(f"127.0.0.1:{port}", objectIdentifier=("network-port", 1), objectName="port")
    app = Application.from_object_list([device, link])
    with building():
        objects = [
            AnalogInputObject(
                objectIdentifier=("analog-input", FIRST + n),
                objectName=f"S{n}",
                presentValue=1.5,
                units="amperes",
                covIncrement=0.1,
            )
            for n in range(count)
        ]
        for each in objects:
            app.add_object(each)
    await asyncio.sleep(0.5)
    say(port)
    value = 0.0
    while True:
        await asyncio.sleep(1 / CHANGES_PER_S)
        value += 1.0
        for each in objects[:changing]:
            each.presentValue = value


async def serve_rusty(count: int) -> None:
    """The server of rusty-bacnet with room for 16 requests of one client."""
    from rusty_bacnet import BACnetServer

    port = free_port()
    most = {"max_confirmed_in_flight": 256, "max_confirmed_in_flight_per_peer": 128}
    server = BACnetServer(DEVICE, "rusty", "127.0.0.1", port, "127.255.255.255", **most)
    for n in range(count):
        server.add_analog_input(instance=FIRST + n, name=f"S{n}", units=3, present_value=1.5)
    await server.start()
    say(port)
    await asyncio.Event().wait()


async def serve_bare() -> None:
    """What Python and uvloop cost alone: receives, looks the answer up by the request's octets, sends."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    known: dict[bytes, tuple[bytes, bytes]] = {}

    def take() -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(16):
                data, client = sock.recvfrom(2048)
                before, after = known.get(data[9:]) or known.setdefault(data[9:], fixed(data[9:]))
                sock.sendto(before + data[8:9] + after, client)

    asyncio.get_running_loop().add_reader(sock, take)
    say(sock.getsockname()[1])
    await asyncio.Event().wait()


def fixed(request: bytes) -> tuple[bytes, bytes]:
    """The answer to a request of the load client from its service on: up to the invoke id, and behind it."""
    value = bytes.fromhex("44 3fc00000")
    if request[0] == READ_PROPERTY:
        body = request[:8] + b"\x3e" + value + b"\x3f"
    else:
        keys = [request[at : at + 5] for at in range(1, len(request), 11)]
        one = bytes.fromhex("1e29554e") + value + bytes.fromhex("4f 296f4e 820400 4f1f")
        body = request[:1] + b"".join(key + one for key in keys)
    head = b"\x81\x0a" + (8 + len(body)).to_bytes(2, "big") + b"\x01\x00\x30"
    return head, body


def serve(name: str) -> None:
    """Runs one server until it is killed; `+n` behind its name: of n objects, which change some times a second."""
    telemetry.configure("error")
    os.sched_setaffinity(0, {cores()[0]})
    kind, _, told = name.partition("+")
    count = MANY if "10,000" in kind else int(told or FEW)
    changing = TOLD if told else 0
    if kind.startswith("stock"):
        asyncio.run(serve_stock(count, changing))
    elif kind == "rusty":
        asyncio.run(serve_rusty(count))
    elif kind == "bare":
        uvloop.run(serve_bare())
    elif "asyncio" in kind:
        asyncio.run(serve_ours(count, changing))
    else:
        uvloop.run(serve_ours(count, changing))


if __name__ == "__main__":
    serve(sys.argv[1])

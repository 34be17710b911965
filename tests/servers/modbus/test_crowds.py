"""Very many connections at once, and one after the other."""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.servers.modbus.connection import Connection
from tests.awake import Awake
from tests.servers.modbus.conftest import Bench, adu, read

IDLE, PER_MINUTE = 1000, 10_000


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """Both ends of a thousand connections are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * IDLE)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_M08_a_thousand_idle_connections_and_one_that_polls(bench: Bench) -> None:
    server = await bench.serve(max_connections=IDLE + 1, max_per_address=IDLE + 1)
    idle = []
    for _ in range(IDLE):
        idle.append(socket.create_connection(("127.0.0.1", server.port)))
        await asyncio.sleep(0)
    try:
        wire, slowest = await bench.connect(), 0.0
        with Awake() as awake:
            for _ in range(500):
                began = awake()
                assert (await wire.ask(read(0, 100)))[0] == 3
                slowest = max(slowest, awake() - began)
        assert slowest < 0.5
        assert len(server.clients) == IDLE + 1
        assert server.counters.evicted == 0
    finally:
        for client in idle:
            client.close()


async def test_M08_a_thousand_connections_of_which_only_as_many_stay_as_may(bench: Bench) -> None:
    server = await bench.serve()
    wire = await bench.connect(source="127.0.0.2")
    flood = []
    for n in range(IDLE):
        flood.append(socket.create_connection(("127.0.0.1", server.port), source_address=(f"127.0.0.{3 + n % 2}", 0)))
        flood[-1].sendall(adu(1, read(0, 1)))
        await asyncio.sleep(0)
        if n % 100 == 0:
            assert (await wire.ask(read(0, 1)))[0] == 3
    assert (await wire.ask(read(0, 1)))[0] == 3
    assert len(server.clients) == 32
    for client in flood:
        client.close()


async def test_M11_ten_thousand_connections_within_a_minute_leave_nothing(bench: Bench) -> None:
    """Over two seconds, for that is the row: a third each only opened, asked through, and reset."""
    server = await bench.serve()
    wire = await bench.connect(source="127.0.0.2")
    assert (await wire.ask(read(0, 1)))[0] == 3
    before, began, answered = open_descriptors(), time.monotonic(), 0
    for n in range(PER_MINUTE):
        client = socket.create_connection(("127.0.0.1", server.port))
        if n % 3 == 1:
            client.setblocking(False)
            client.send(adu(1, read(0, 1)))
            for _ in range(10):
                await asyncio.sleep(0)
            answered += await asyncio.get_running_loop().sock_recv(client, 64) == adu(1, b"\x03\x02\0\0")
        elif n % 3 == 2:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await asyncio.sleep(0)
    assert (await wire.ask(read(0, 1)))[0] == 3
    assert time.monotonic() - began < 60
    assert answered == PER_MINUTE // 3
    while len(server.clients) > 1:
        await asyncio.sleep(0.01)
    assert open_descriptors() <= before
    gc.collect()
    assert len([thing for thing in gc.get_objects() if isinstance(thing, Connection)]) == 1

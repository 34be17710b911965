"""Who may connect, how many, and what a bad neighbour costs."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.servers.modbus import ClientGroup
from gateway.servers.modbus.groups import find_group
from gateway.servers.modbus.pace import Pace
from tests.servers.modbus.conftest import BMS, LOCAL, Bench, Wire, adu, read
from tests.site import until

FIVE = ClientGroup("five", (ip_network("127.0.0.5/32"),), 9, write=False)


async def test_M08_a_flood_of_connections_does_not_starve_the_client_that_polls(bench: Bench) -> None:
    server = await bench.serve(max_connections=8)
    polling = await bench.connect()
    await polling.ask(read(0, 1))
    for n in range(200):
        await bench.connect()
        if n % 50 == 49:
            await polling.ask(read(0, 1))
    assert (await polling.ask(read(0, 1)))[0] == 3
    assert len(server.clients) == 8
    assert server.counters.evicted == 193


async def test_M08_the_longest_silent_is_closed_for_a_newcomer(bench: Bench) -> None:
    await bench.serve(max_connections=2)
    first, second = await bench.connect(), await bench.connect()
    for wire in (first, second, first):
        await wire.ask(read(0, 1))
        await asyncio.sleep(0.005)  # a loop's clock may count milliseconds
    third = await bench.connect()
    await third.ask(read(0, 1))
    assert await second.closed()
    await first.ask(read(0, 1))


async def test_M08_pending_writes_are_never_closed_for_a_newcomer(bench: Bench) -> None:
    server = await bench.serve(max_connections=1)
    bench.point("p", (1040, "uint16"), command=True)
    bench.commands.gate = asyncio.Event()
    busy = await bench.connect()
    busy.send(adu(1, struct.pack(">BHH", 6, 1040, 1)))
    await until(lambda: len(bench.tasks) == 1)
    assert await (await bench.connect()).closed()
    assert server.counters.refused == 1
    bench.commands.gate.set()
    assert (await busy.frame())[0] == 1


async def test_M08_an_address_with_too_many_connections_loses_its_own(bench: Bench) -> None:
    server = await bench.serve(max_connections=8, max_per_address=3)
    others = [await bench.connect(source="127.0.0.2") for _ in range(3)]
    for wire in others:
        await wire.ask(read(0, 1))
    flood = [await bench.connect(source="127.0.0.3") for _ in range(20)]
    assert (await flood[-1].ask(read(0, 1)))[0] == 3
    assert [client["address"].partition(":")[0] for client in server.clients] == ["127.0.0.2"] * 3 + ["127.0.0.3"] * 3
    for wire in others:
        assert (await wire.ask(read(0, 1)))[0] == 3


async def test_M08_a_client_that_asks_seldom_stays_whatever_busy_others_open(bench: Bench) -> None:
    """Two hosts that may come in open as many connections as they get, and use them all."""
    server = await bench.serve(max_connections=8, max_per_address=4)
    seldom = await bench.connect(source="127.0.0.2")
    await seldom.ask(read(0, 1))
    for n in range(40):
        busy = await bench.connect(source=f"127.0.0.{3 + n % 2}")
        assert (await busy.ask(read(0, 1)))[0] == 3
    assert len(server.clients) == 8
    assert (await seldom.ask(read(0, 1)))[0] == 3
    assert server.counters.evicted == 33


async def test_a_groups_cap_is_for_all_connections_of_an_address_together(bench: Bench) -> None:
    await bench.serve(groups=[replace(BMS, requests_per_s=10.0)])
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def ask(wire: Wire, times: int) -> None:
        for _ in range(times):
            assert (await wire.ask(read(0, 1)))[0] == 3

    await asyncio.gather(*[ask(await bench.connect(), 6) for _ in range(3)])
    assert loop.time() - began > 0.4
    free = await bench.connect(source="127.0.0.2")
    await ask(free, 1)
    for _ in range(6):
        wire = await bench.connect()
        await ask(wire, 1)
        wire.writer.transport.abort()
    assert loop.time() - began > 1.1, "a connection for each request is no way around it"


async def test_a_client_over_its_groups_cap_waits_and_loses_nothing(bench: Bench) -> None:
    server = await bench.serve(groups=[replace(BMS, requests_per_s=2.0)])
    slow, loop = await bench.connect(), asyncio.get_running_loop()
    began = loop.time()
    for number in range(1, 5):
        slow.send(adu(number, read(0, 1)))
        await slow.writer.drain()
        assert (await slow.frame())[0] == number
    assert loop.time() - began > 0.9
    assert server.counters.throttled >= 2


async def test_a_client_that_waits_for_its_cap_is_neither_idle_nor_late(bench: Bench) -> None:
    server = await bench.serve(groups=[replace(BMS, requests_per_s=1.0)], half_frame_s=1.5, idle_s=1.5)
    wire, last = await bench.connect(), adu(9, read(0, 1))
    wire.send(b"".join(adu(number, read(0, 1)) for number in range(2)) + last[:7])
    assert [(await wire.frame())[0] for _ in range(2)] == list(range(2))
    wire.send(last[7:])
    assert (await wire.frame())[0] == 9
    assert (server.counters.half_frames, server.counters.idle) == (0, 0)


def test_a_second_of_requests_may_come_at_once_and_then_each_waits_its_turn() -> None:
    pace = Pace(10.0, now=100.0)
    assert pace.wait_s(9, 100.0) == 0.0
    assert pace.wait_s(1, 100.0) == pytest.approx(0.1)
    assert pace.wait_s(20, 100.0) == pytest.approx(2.1)
    assert pace.wait_s(0, 101.0) == pytest.approx(1.1)
    assert pace.wait_s(0, 1000.0) == 0.0
    assert pace.wait_s(11, 1000.0) == pytest.approx(0.2)


async def test_M09_a_client_that_never_reads_is_closed(bench: Bench) -> None:
    server = await bench.serve()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", server.port))
        slow.setblocking(False)
        block = adu(1, read(1000, 125)) * 100
        loop = asyncio.get_running_loop()

        async def ask_on() -> None:
            for _ in range(2000):
                await asyncio.wait_for(loop.sock_sendall(slow, block), 5)
                await asyncio.sleep(0)

        with pytest.raises(ConnectionError):
            await ask_on()
    assert server.counters.slow_readers == 1
    assert server.clients == []


@pytest.mark.parametrize(
    "hello",
    [
        bytes.fromhex("16030102000100"),
        b"GET / HTTP/1.1\r\n",
        random.Random(10).randbytes(2) + b"\xff" + random.Random(11).randbytes(60),
        b"SSH-2.0-x\r\n",
    ],
    ids=["tls", "http", "random", "ssh"],
)
async def test_M10_other_protocols_are_closed_and_counted(bench: Bench, hello: bytes) -> None:
    server = await bench.serve()
    wire = await bench.connect()
    wire.send(hello)
    assert await wire.closed()
    assert server.counters.bad_frames == 1


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="/proc is not there")
async def test_M11_connections_that_come_and_go_leave_nothing(bench: Bench) -> None:
    server = await bench.serve()
    for wait in (False, True):
        before = len(list(Path("/proc/self/fd").iterdir()))
        for n in range(300):
            probe = socket.create_connection(("127.0.0.1", server.port))
            if n % 2:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if wait:
                probe.sendall(adu(1, read(0, 1)))
                await asyncio.sleep(0)
            probe.close()
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        await until(lambda: server.clients == [])
        await until(lambda before=before: len(list(Path("/proc/self/fd").iterdir())) <= before)


async def test_M12_port_in_use_says_so(bench: Bench) -> None:
    server = await bench.serve()
    with pytest.raises(OSError, match="in use") as raised:
        await bench.serve(port=server.port)
    assert str(raised.value) == f"modbus: cannot listen on 127.0.0.1:{server.port}: address already in use"


async def test_M12_a_foreign_address_says_so(bench: Bench) -> None:
    with pytest.raises(OSError, match=r"^modbus: cannot listen on 192\.0\.2\.1:0: cannot assign requested address$"):
        await bench.serve(host="192.0.2.1")


async def test_the_port_is_free_after_stop_and_start_works_again(bench: Bench) -> None:
    server = await bench.serve()
    port = server.port
    wire = await bench.connect()
    await wire.ask(read(0, 1))
    await server.stop()
    await server.stop()
    assert await wire.closed()
    with pytest.raises(ConnectionRefusedError):
        await bench.connect()
    await server.start()
    assert server.port == port
    assert (await (await bench.connect()).ask(read(0, 1)))[0] == 3


async def test_M13_a_client_outside_every_group_is_refused(bench: Bench) -> None:
    server = await bench.serve(groups=[FIVE])
    stranger = await bench.connect()
    assert await stranger.closed()
    assert (server.counters.refused, server.counters.connections, server.clients) == (1, 0, [])
    assert (await (await bench.connect(source="127.0.0.5")).ask(read(0, 1)))[0] == 3
    assert server.clients[0]["group"] == "five"
    assert server.clients[0]["address"].startswith("127.0.0.5:")


async def test_M13_groups_decide_slot_and_right(bench: Bench) -> None:
    await bench.serve(groups=[BMS, FIVE])
    point = bench.point("p", (1040, "uint16"), command=True)
    write = struct.pack(">BHH", 6, 1040, 1)
    assert await (await bench.connect(source="127.0.0.5")).ask(write) == b"\x86\x02"
    assert await (await bench.connect()).ask(write) == write
    assert bench.commands.asked == [(point, 1, 10)]


def test_groups_by_narrowest_network_zone_and_mapped_address() -> None:
    six = ClientGroup("six", (ip_network("fe80::/10"),), 9, write=False)
    groups = [BMS, FIVE, six]
    found = {
        host: find_group(groups, host)
        for host in ("127.0.0.1", "127.0.0.5", "::ffff:127.0.0.5", "fe80::1%eth0", "10.0.0.1")
    }
    assert list(found.values()) == [BMS, FIVE, FIVE, six, None]
    assert BMS.networks == LOCAL

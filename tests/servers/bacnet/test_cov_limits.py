"""Dead subscribers, caps and storms."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from gateway.core.point import PointSpec
from gateway.core.value import ValueKind
from tests.servers.bacnet.conftest import make_bench, placed
from tests.servers.bacnet.watcher import CURRENT, PV, Watcher, settle
from tests.site import until

OK = "2005"


async def test_B03_a_confirmed_subscriber_that_is_gone_is_dropped_with_one_line(bench, watcher, caplog) -> None:
    caplog.set_level(logging.WARNING)
    gone, other = watcher(bench), watcher(bench)
    for process in range(50):
        await gone.subscribe(CURRENT, process=process, confirmed=True)
    await other.subscribe(CURRENT, 0, process=7, confirmed=True)
    await other.next()
    bench.set("current", 5.0)
    bench.pass_time(1.0)
    assert await other.value() == 5.0
    await settle()
    steps = 0
    while bench.server.counters["subscriptions"] > 1:
        bench.pass_time(3.1)
        await settle()
        steps += 1
        assert steps < 20
    assert steps == 12, "3 notifications, each sent 4 times"
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("bacnet: 127.0.0.1:")
    assert line.endswith("acknowledged none of 3 notifications; its 50 subscriptions are ended")
    bench.set("current", 6.0)
    assert await other.value() == 6.0, "the others go on"


async def test_B04_caps_are_told_and_free_again_after_a_cancellation(watcher) -> None:
    bench = make_bench(terms={"cov_per_peer": 3, "cov_total": 5})
    await bench.server.start()
    one, two = watcher(bench), watcher(bench)
    no_space = "500591039113"
    assert [await one.subscribe(CURRENT, 0, process=n) for n in range(4)] == [OK, OK, OK, no_space]
    assert [await two.subscribe(CURRENT, 0, process=n) for n in range(3)] == [OK, OK, no_space]
    assert await one.subscribe(CURRENT, 0, process=2) == OK, "a renewal needs no room"
    assert await one.subscribe(CURRENT, None, process=2, confirmed=None) == OK
    assert await two.subscribe(CURRENT, 0, process=3) == OK
    await bench.server.stop()


async def test_B04_five_thousand_subscriptions_of_one_client(bench, watcher) -> None:
    """Everybody is told of the change, in bursts that a small socket can take."""
    client = watcher(bench)
    seen: set[int] = set()
    for first in range(0, 5000, 8):
        for number in range(first, first + 8):
            client.send(subscribe_bytes(number))
        while bench.server.counters["subscriptions"] < first + 8:
            await drain(client, seen)
    while len(seen) < 5000:
        assert await drain(client, seen, 2.0), f"only {len(seen)} arrived"


def subscribe_bytes(process: int) -> bytes:
    body = b"\x0a" + process.to_bytes(2, "big") + b"\x1c" + CURRENT.to_bytes(4, "big") + b"\x29\x00"
    apdu = bytes((0x00, 0x05, process & 0xFF, 5)) + body
    return b"\x81\x0a" + (6 + len(apdu)).to_bytes(2, "big") + b"\x01\x04" + apdu


async def drain(client: Watcher, seen: set[int], wait_s: float = 0.01) -> bool:
    """Collects the processes of waiting notifications; whether there was anything."""
    found = False
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline and not found:
        await asyncio.sleep(0.001)
        with contextlib.suppress(BlockingIOError):
            while datagram := client.sock.recv(2048):
                found = True
                if datagram[6:8] == b"\x10\x02":
                    length = datagram[8] & 7
                    seen.add(int.from_bytes(datagram[9 : 9 + length], "big"))
    return found


async def test_a_subscriber_that_refuses_is_dropped_after_three(bench, watcher, caplog) -> None:
    caplog.set_level(logging.WARNING)
    client = watcher(bench)
    await client.subscribe(CURRENT, confirmed=True)
    for value in (1.0, 2.0, 3.0):
        found = await client.next(ack=False)
        client.send(bytes.fromhex("810a00090100") + bytes((0x60, found.invoke, 9)))
        await settle()
        bench.pass_time(1.0)
        bench.set("current", value)
    await until(lambda: bench.server.counters["subscriptions"] == 0)
    assert len(caplog.records) == 1


async def test_B12_a_storm_costs_the_newest_values_and_nobody_loses_any(bench, watcher) -> None:
    """50 peers, 20 objects, 40 changes of each in a row."""
    spec = PointSpec(name="p", kind=ValueKind.NUMBER)
    points = [bench.table.add(f"evce/zone/Z{n}/p", spec) for n in range(20)]
    bench.server.place([(i, placed(bench.table.names[i], "analog-input", 100 + n, spec)) for n, i in enumerate(points)])
    for number, index in enumerate(points):
        bench.index[str(number)] = index
    peers = [watcher(bench) for _ in range(50)]
    for peer in peers:
        for number in range(20):
            assert await peer.subscribe(100 + number, 600) == OK
    for peer in peers:
        await drain(peer, set(), 0.05)
    before = bench.server.counters["notifications"]
    for step in range(1, 41):
        for number in range(20):
            bench.set(str(number), float(step))
        await asyncio.sleep(0)
    bench.pass_time(1.0)
    last: dict[tuple[int, int], float] = {}

    async def collect(peer_number: int, peer: Watcher) -> None:
        while (found := await peer.next(0.7)) is not None:
            last[peer_number, found.key] = found.values[PV]

    await asyncio.gather(*(collect(number, peer) for number, peer in enumerate(peers)))
    sent = bench.server.counters["notifications"] - before
    assert last == {(peer, 100 + number): 40.0 for peer in range(50) for number in range(20)}
    assert sent <= 2 * 50 * 20, "40,000 changes are told as their newest values"

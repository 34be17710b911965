"""Subscriptions and notifications as octets on the wire."""

from __future__ import annotations

import asyncio
import math

import pytest
from rusty_bacnet import ObjectIdentifier

from gateway.core.value import BAD, STALE
from tests.servers.bacnet.conftest import Node, placed
from tests.servers.bacnet.rusty import CURRENT as CURRENT_ID
from tests.servers.bacnet.rusty import DEVICE as DEVICE_ID
from tests.servers.bacnet.rusty import LIMIT as LIMIT_ID
from tests.servers.bacnet.rusty import P, PropertyValue
from tests.servers.bacnet.watcher import CHARGING, CURRENT, DEVICE, FLAGS, LIMIT, NOTE, PV, STATE

OK = "2005"
FINE, FAULT = "0000", "1100"


async def test_the_value_of_now_comes_first_then_changes_by_the_increment(bench, watcher) -> None:
    bench.set("current", 12.5)
    client = watcher(bench)
    assert await client.subscribe(CURRENT, 60) == OK
    first = await client.next()
    assert (first.process, first.device, first.key, first.remaining) == (1, DEVICE, CURRENT, 60)
    assert first.values == {PV: 12.5, FLAGS: FINE}
    assert first.invoke is None
    bench.pass_time(1.0)
    bench.set("current", 12.55)
    assert await client.silent()
    bench.set("current", 12.6)
    second = await client.next()
    assert second.values[PV] == pytest.approx(12.6)
    assert second.remaining == 59


async def test_every_datatype_and_every_change_of_states_and_texts(bench, watcher) -> None:
    client = watcher(bench)
    for point, key, values in (
        ("state", STATE, (1, 2, 3)),
        ("charging", CHARGING, (False, True, False)),
        ("note", NOTE, ("a", "b", "Ladesäule")),
        ("limit", LIMIT, (10.0, 20.0, 30.0)),
    ):
        bench.set(point, values[0])
        assert await client.subscribe(key) == OK
        assert await client.value() == values[0]
        for value in values[1:]:
            bench.pass_time(1.0)
            bench.set(point, value)
            assert await client.value() == value


async def test_status_flags_and_nan_are_changes(bench, watcher) -> None:
    bench.set("current", 12.5)
    client = watcher(bench)
    await client.subscribe(CURRENT)
    assert await client.value() == 12.5
    for quality, shown, flags in ((STALE, 12.5, FAULT), (BAD, math.nan, FAULT)):
        bench.pass_time(1.0)
        bench.set("current", 12.5 if quality is STALE else None, quality, "no answer")
        found = await client.next()
        assert found.values[FLAGS] == flags
        assert found.values[PV] == pytest.approx(shown, nan_ok=True)
    bench.pass_time(1.0)
    bench.set("current", 12.5)
    assert (await client.next()).values == {PV: 12.5, FLAGS: FINE}


async def test_confirmed_notifications_one_at_a_time_and_the_newest_value(bench, watcher) -> None:
    bench.set("current", 1.0)
    client = watcher(bench)
    assert await client.subscribe(CURRENT, confirmed=True) == OK
    assert await client.subscribe(LIMIT, confirmed=True, process=2) == OK
    first = await client.next(ack=False)
    assert (first.invoke, first.values[PV]) == (1, 1.0)
    bench.pass_time(1.0)
    for value in (2.0, 3.0, 4.0):
        bench.set("current", value)
    assert await client.silent(), "nothing more before the acknowledgement"
    client.send(bytes.fromhex("810a00090100") + bytes((0x20, first.invoke, 1)))
    found = [await client.next(), await client.next()]
    assert [(each.process, each.invoke) for each in found] == [(2, 2), (1, 3)]
    assert found[1].values[PV] == 4.0
    assert await client.silent()


async def test_a_confirmed_notification_is_repeated_with_its_invoke_id(bench, watcher) -> None:
    client = watcher(bench)
    bench.set("current", 1.0)
    await client.subscribe(CURRENT, confirmed=True)
    first = await client.next(ack=False)
    for _ in range(3):
        bench.pass_time(3.1)
        assert await client.next(ack=False) == first


async def test_B05_a_lifetime_ends_on_time_and_a_renewal_lengthens_it(bench, watcher, rusty) -> None:
    client = watcher(bench)
    await client.subscribe(CURRENT, 60)
    await client.next()
    bench.pass_time(50.0)
    await client.subscribe(CURRENT, 60)
    assert (await client.next()).remaining == 60
    assert bench.server.counters["subscriptions"] == 1
    bench.pass_time(59.0)
    bench.set("current", 1.0)
    assert (await client.next()).remaining == 1
    bench.pass_time(1.1)
    bench.set("current", 9.0)
    assert await client.silent()
    assert bench.server.counters["subscriptions"] == 0
    assert await rusty.read(DEVICE_ID, P.ACTIVE_COV_SUBSCRIPTIONS) in ([], b"", None)


async def test_B05_active_subscriptions_are_what_there_is(bench, watcher) -> None:
    client = watcher(bench)
    port = client.sock.getsockname()[1]
    await client.subscribe(CURRENT, 300, confirmed=True, process=9)
    await client.subscribe_property(LIMIT, PV, 2.5, lifetime=0, process=8)
    bench.pass_time(100.0)
    mac = f"7f000001{port:04x}"
    first = f"0e0e1e2100 6506{mac}1f0f19090f 1e0c00000000 19551f2901 39c8"
    second = f"0e0e1e2100 6506{mac}1f0f19080f 1e0c00800007 19551f2900 3900 4c40200000"
    head = "300c0c0203f7a119983e"
    assert await client.request(12, bytes.fromhex("0c0203f7a11998")) == head + (first + second).replace(" ", "") + "3f"


async def test_a_renewal_may_change_from_confirmed_to_unconfirmed(bench, watcher) -> None:
    client = watcher(bench)
    await client.subscribe(CURRENT, confirmed=True)
    assert (await client.next(ack=False)).invoke is not None
    await client.subscribe(CURRENT, confirmed=False)
    assert (await client.next()).invoke is None
    bench.pass_time(1.0)
    bench.set("current", 3.0)
    assert (await client.next()).invoke is None
    bench.pass_time(4.0)
    assert await client.silent(), "the old one is not repeated"


@pytest.mark.parametrize(
    ("service", "body", "answer"),
    [
        (5, "0901 1c00000063 2900 393c", "50059101911f"),
        (5, "0901 1c0203f7a1 2900 393c", "50059101912d"),
        (5, "0901 1c00000000 393c", "6005"),
        (5, "0901 1c00000000 2902 393c", "6006"),
        (5, "0901 1c00000000 2900 393c 00", "6007"),
        (28, "0901 1c00000000 2900 393c", "6005"),
        (28, "0901 1c00000000 2900 393c 4e0901 4f", "501c91029120"),
        (28, "0901 1c00000000 2900 393c 4e0955 1900 4f", "501c91029132"),
        (28, "0901 1c00000000 2900 393c 4e094d 4f", "501c9102912c"),
        (28, "0901 1c00000000 2900 393c 4e0955 4f 5cbf800000", "501c91029125"),
        (28, "0901 1c00000000 2900 393c 4e0955 4f 5c7fc00000", "501c91029125"),
    ],
)
async def test_what_cannot_be_watched_is_refused_by_name(bench, watcher, service, body, answer) -> None:
    assert await watcher(bench).request(service, bytes.fromhex(body)) == answer
    assert bench.server.counters["subscriptions"] == 0


async def test_one_property_with_an_increment_of_its_own(bench, watcher) -> None:
    bench.set("current", 10.0)
    client = watcher(bench)
    assert await client.subscribe_property(CURRENT, PV, 5.0) == "201c"
    assert await client.value() == 10.0
    bench.pass_time(1.0)
    bench.set("current", 14.9)
    assert await client.silent()
    bench.set("current", 15.0)
    assert await client.value() == 15.0
    assert await client.subscribe_property(CURRENT, 103, process=2) == "201c"
    assert (await client.next()).values == {103: 0, FLAGS: FINE}
    bench.pass_time(1.0)
    bench.set("current", None, BAD, "no answer")
    found = [await client.next(), await client.next()]
    assert {103: 12, FLAGS: FAULT} in [each.values for each in found]


async def test_a_renamed_object_keeps_its_subscriptions(bench, watcher) -> None:
    client = watcher(bench)
    await client.subscribe(CURRENT)
    await client.next()
    index = bench.index["current"]
    bench.server.place([(index, placed("evce/zone/North/current", "analog-input", 0, bench.table.specs[index]))])
    bench.pass_time(1.0)
    bench.set("current", 4.0)
    assert await client.value() == 4.0


async def test_a_routed_subscriber_is_told_through_its_router(bench, watcher) -> None:
    client = watcher(bench)
    body = bytes.fromhex("0005 01 05 0901 1c00000000 2901 393c")
    client.send(b"\x81\x0a" + (4 + 6 + len(body)).to_bytes(2, "big") + bytes.fromhex("010c 0007 01 2a") + body)
    assert (await client.receive())[4:].hex().startswith("0120000701 2aff".replace(" ", ""))
    notified = await client.receive(1.0)
    assert notified[4:12].hex() == "01240007012aff00"
    ack = bytes.fromhex("0108 0007 01 2a") + bytes((0x20, notified[13], 1))
    client.send(b"\x81\x0a" + (4 + len(ack)).to_bytes(2, "big") + ack)
    bench.pass_time(4.0)
    assert await client.silent(), "it was acknowledged"


async def test_independent_clients_are_told_of_changes(bench, client, rusty) -> None:
    """rusty-bacnet, confirmed and unconfirmed, and the write of another protocol's value."""
    bench.set("current", 12.5)
    arrivals = await client.cov_notifications()
    for confirmed, obj in ((True, CURRENT_ID), (False, LIMIT_ID)):
        await client.subscribe_cov(rusty.address, 5, obj, confirmed, 60)
        assert (await first_of(arrivals, obj))[0] in (12.5, 250.0)
    bench.pass_time(1.0)
    bench.set("current", 20.0)
    assert await first_of(arrivals, CURRENT_ID) == (20.0, b"\x00")
    assert await rusty.write(LIMIT_ID, PropertyValue.real(32.0), 8) is None
    assert (await first_of(arrivals, LIMIT_ID))[0] == 32.0
    await client.unsubscribe_cov(rusty.address, 5, CURRENT_ID)
    await client.unsubscribe_cov(rusty.address, 5, LIMIT_ID)
    assert bench.server.counters["subscriptions"] == 0


async def first_of(arrivals, obj: ObjectIdentifier) -> tuple[float, bytes]:
    async with asyncio.timeout(3.0):
        async for found in arrivals:
            if found.monitored_object_identifier == obj:
                present, flags = (entry for entry in found.values)
                return value_of(present), value_of(flags)["data"]
    raise AssertionError


def value_of(entry):
    return entry["value"].value if isinstance(entry, dict) else entry.value


async def test_a_client_on_node_subscribes_to_objects_and_properties(bench, node: Node) -> None:
    thing = {"type": 0, "instance": 0}
    calls = [
        ["subscribeCov", thing, 1, False, True, 60],
        ["subscribeCov", thing, 2, False, False, 0],
        ["subscribeProperty", thing, {"id": PV, "index": 0xFFFFFFFF}, 3, False, False],
        ["subscribeCov", thing, 2, True, False, 0],
        ["subscribeCov", {"type": 0, "instance": 99}, 2, False, False, 0],
    ]
    *done, refused = await node(bench, calls)
    assert done == [None] * 4
    assert refused == {"error": "BacnetError - Class:1 - Code:31"}
    assert bench.server.counters["subscriptions"] == 2

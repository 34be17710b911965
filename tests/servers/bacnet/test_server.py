"""Starting, stopping, naming and counting."""

from __future__ import annotations

import logging
import socket
from ipaddress import IPv4Interface

import pytest

from gateway.addressing import PlacedObject, PlacedPoint
from gateway.core.point import ObjectSpec, PointSpec
from gateway.core.value import GOOD, Sample, ValueKind
from gateway.servers.bacnet.attachment import parse_address
from gateway.servers.bacnet.plans import MOST_STEPS
from gateway.servers.bacnet.points import PointRecord
from gateway.servers.bacnet.status import MOST_PEERS, Sparing, Traffic
from tests.servers.bacnet.conftest import HOST, RawClient, make_bench
from tests.site import free_port


async def test_an_address_in_use_is_an_error_at_start() -> None:
    first = make_bench()
    await first.server.start()
    second = make_bench(address=first.address)
    with pytest.raises(OSError, match=f"bacnet: cannot listen on {first.address}: address already in use"):
        await second.server.start()
    await first.server.stop()
    await second.server.start()
    await second.server.stop()


async def test_an_address_that_is_not_ours_is_an_error_at_start() -> None:
    with pytest.raises(OSError, match=r"bacnet: cannot listen on 192\.0\.2\.1:47808: cannot assign requested address"):
        await make_bench(address="192.0.2.1/24:47808").server.start()


async def test_two_devices_of_one_host_share_the_broadcasts_and_announce_themselves() -> None:
    port = free_port()
    benches = [make_bench(f"127.0.0.{n}/8:{port}", device_instance=n) for n in (1, 2)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.255.255.255", port))
        listener.settimeout(1.0)
        for bench, instance in zip(benches, "12", strict=True):
            await bench.server.start()
            i_am, sender = listener.recvfrom(100)
            assert sender == (f"127.0.0.{instance}", port)
            assert i_am.hex() == f"810b00190120ffff00ff1000c40200000{instance}2205c491002203e7"
            who_else, sender = listener.recvfrom(100)
            assert sender == (f"127.0.0.{instance}", port)
            assert who_else.hex() == f"810b00100120ffff00ff1008090{instance}190{instance}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        asker.bind((HOST, 0))
        client = RawClient(port)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.target = ("127.255.255.255", port)
        answers = {await client.ask(bytes.fromhex("810b000801001008")), await client.receive()}
        client.sock.close()
    assert {answer[12:13] for answer in answers if answer} == {b"\x01", b"\x02"}
    for bench in benches:
        await bench.server.stop()


async def test_a_stopped_server_leaves_the_port() -> None:
    bench = make_bench()
    await bench.server.start()
    port = bench.server.port
    await bench.server.stop()
    await bench.server.stop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, port))


@pytest.mark.parametrize(
    ("text", "interface", "port"),
    [
        ("10.0.0.5/24:47809", "10.0.0.5/24", 47809),
        ("10.0.0.5", "10.0.0.5/32", 47808),
        ("10.0.0.5/24", "10.0.0.5/24", 47808),
    ],
)
def test_addresses(text: str, interface: str, port: int) -> None:
    assert parse_address(text) == (IPv4Interface(interface), port)


@pytest.mark.parametrize("text", ["", "host", "10.0.0.5/33", "10.0.0.5:x", "10.0.0.5:70000"])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse_address(text)


async def test_counters_and_clients(bench, raw) -> None:
    client = raw(bench)
    await client.apdu("0205 01 0c 0c00000000 1955")
    await client.apdu("0205 01 0c 0c00000063 1955")
    await client.apdu("0205 01 63")
    await client.ask(b"\x81\x0a")
    assert bench.server.counters == {
        "requests": 3,
        "errors": 2,
        "writes": 0,
        "dropped": 1,
        "devices": 1,
        "objects": 2 + len(bench.index),
        "subscriptions": 0,
        "notifications": 0,
    }
    (peer,) = bench.server.clients
    assert (peer.address, peer.requests) == (HOST, 3)


def test_clients_are_bounded() -> None:
    traffic = Traffic()
    for number in range(1000):
        traffic.seen(f"10.0.{number // 256}.{number % 256}", float(number), 12)
    assert len(traffic.clients) == MOST_PEERS
    assert traffic.clients[0].address == "10.0.3.231"


def test_of_ten_thousand_objects_a_change_touches_those_of_its_point_only(monkeypatch) -> None:
    bench, touched = make_bench(), list[int]()
    show = PointRecord.show

    def counted(record: PointRecord, sample: Sample) -> None:
        touched.append(record.index)
        show(record, sample)

    monkeypatch.setattr(PointRecord, "show", counted)
    spec = PointSpec(name="p", kind=ValueKind.NUMBER, unit="A")
    points = []
    for number in range(10_000):
        name = f"evce/station/S{number}/p"
        target = PlacedObject("analog-input", 100 + number, ObjectSpec("analog-input", 0))
        points.append((bench.table.add(name, spec), PlacedPoint(name, spec, (), (target,))))
    indices = [index for index, _ in points]
    bench.server.place(points)
    assert touched == indices
    touched.clear()
    bench.table.update([(indices[7], Sample(1.5, GOOD, "", 0.0))])
    assert touched == indices[7:8]
    touched.clear()
    bench.table.update([(index, Sample(2.5, GOOD, "", 0.0)) for index in indices])
    bench.server.place(points)
    assert touched == indices, "what is placed already is left as it is"
    assert bench.server.counters["objects"] == 10_002 + len(bench.index)


def test_an_instance_belongs_to_one_point() -> None:
    bench = make_bench()
    spec = PointSpec(name="p", kind=ValueKind.NUMBER)
    with pytest.raises(ValueError, match=r"analog-input 0 of evce/zone/Z/p is evce\.Zone B\.current"):
        bench.add("evce/zone/Z/p", "analog-input", 0, spec)
    with pytest.raises(ValueError, match="instance 4194303"):
        bench.add("evce/zone/Z/q", "analog-input", 4194303, spec)


@pytest.mark.parametrize(
    "more", [{"object_name": "{nope}"}, {"object_name": "{name"}, {"device_instance": 4194303}, {"address": "x"}]
)
def test_wrong_settings_are_errors(more) -> None:
    with pytest.raises(ValueError):
        make_bench(**more)


def test_peers_cannot_make_the_log_grow_without_end(caplog) -> None:
    sparing = Sparing(logging.getLogger("gateway.test"), lines=2)
    for number in range(100):
        sparing.warning(1000.0, "line %d", number)
    sparing.warning(1061.0, "line %d", 100)
    lines = ["line 0", "line 1", "bacnet: 98 more lines of this kind were not written", "line 100"]
    assert [record.getMessage() for record in caplog.records] == lines


async def test_a_request_is_understood_anew_when_its_object_has_come(bench, raw) -> None:
    """What octets mean is kept, so it must not be kept that an object was not there."""
    client, spec = raw(bench), PointSpec(name="p", kind=ValueKind.NUMBER)
    single, many = "0205 01 0c 0c00000032 1955", "0205 01 0e 0c00000032 1e0955 1f 0c00000000 1e0955 1f"
    for _ in range(2):
        assert await client.apdu(single) == "50010c9101911f"
        assert "5e9101911f5f" in await client.apdu(many)
    index = bench.add("evce/zone/New/p", "analog-input", 50, spec)
    for value, octets in ((1.5, "443fc00000"), (2.5, "4440200000")):
        bench.table.update([(index, Sample(value, GOOD, "", 0.0))])
        assert await client.apdu(single) == f"30010c0c0000003219553e{octets}3f"
        assert f"0c000000321e29554e{octets}4f1f" in await client.apdu(many)


async def test_what_requests_mean_is_kept_within_bounds(bench) -> None:
    reads = bench.server._parts.reads
    for index in range(70_000):
        reads.answer(12, 1, bytes.fromhex("0c023fffff194c") + b"\x2b" + index.to_bytes(3, "big"))
    assert reads._shelf._used <= MOST_STEPS
    assert len(reads._plans) <= MOST_STEPS


async def test_the_octets_of_one_service_are_nothing_in_another(bench, raw) -> None:
    client = raw(bench)
    assert (await client.apdu("0205 01 0e 0c00000000 1e0955 1f")).startswith("30010e")
    assert await client.apdu("0205 01 0c 0c00000000 1e0955 1f") == "600104"

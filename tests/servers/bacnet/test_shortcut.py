"""The short way of a read answers as the long one does, to the octet, and what it keeps is never old."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.priority import Origin, Slot
from gateway.core.value import BAD, CONFIG_ERROR, GOOD, OUT_OF_SERVICE, STALE, Sample
from gateway.servers.bacnet import codec
from gateway.servers.bacnet.link import MOST_PENDING, Inlet
from gateway.servers.bacnet.plans import Shelf
from gateway.servers.bacnet.points import SHOWN, PointRecord
from gateway.servers.bacnet.services import Reads
from gateway.servers.bacnet.standard import Prop, object_key
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.virtual import mac_of
from tests.servers.bacnet.campus import FIRST, NETWORK, bvll, destined, running
from tests.servers.bacnet.conftest import ALARMS, HOST, Bench, RawClient, make_bench, unicast
from tests.servers.bacnet.trends import trend_bench
from tests.site import until

READ, MULTIPLE, COMPLEX_ACK = 12, 14, 0x30
UNKNOWN = 9999
MANY_PROPS = (Prop.ALL, Prop.REQUIRED, Prop.OPTIONAL)
WAIT_S = 5.0


def reference(prop: int, index: int | None, tag: int) -> bytes:
    """A property and perhaps an array index, from context tag `tag` on."""
    return codec.context_unsigned(tag, prop) + (b"" if index is None else codec.context_unsigned(tag + 1, index))


def read(key: int, prop: int, index: int | None = None) -> bytes:
    """Service and data of a ReadProperty."""
    return bytes((READ,)) + codec.context_object_id(0, key) + reference(prop, index, 1)


def multiple(*asked: tuple[int, list[tuple[int, int | None]]]) -> bytes:
    """Service and data of a ReadPropertyMultiple."""
    parts = [
        codec.context_object_id(0, key) + b"\x1e" + b"".join(reference(*each, 0) for each in props) + b"\x1f"
        for key, props in asked
    ]
    return bytes((MULTIPLE,)) + b"".join(parts)


def requests(store: ObjectStore) -> Iterator[bytes]:
    """Every property of every object, whole and by index, alone and with others; and what is not there."""
    records = list(store._objects.values())
    for record in records:
        props = [*record.shape.required, *record.shape.optional, UNKNOWN]
        for prop in props:
            for index in (None, 0, 1, 99) if prop in record.arrays else (None, 1):
                yield read(record.key, prop, index)
        yield multiple((record.key, [(prop, None) for prop in props]))
        for prop in MANY_PROPS:
            yield read(record.key, prop)
            yield multiple((record.key, [(prop, None)]))
        yield multiple((record.key, [(prop, None) for prop in SHOWN]))
        yield multiple((record.key, [(Prop.PRESENT_VALUE, 1), (Prop.STATUS_FLAGS, None), (UNKNOWN, 0)]))
    yield multiple(*((record.key, [(Prop.PRESENT_VALUE, None), (Prop.STATUS_FLAGS, None)]) for record in records))
    yield multiple((records[-1].key, [(Prop.PRESENT_VALUE, None)]), (0x3FF, [(Prop.PRESENT_VALUE, None)]))
    yield read(0x3FF, Prop.PRESENT_VALUE)
    yield read(codec.OBJECT_ID, Prop.PRESENT_VALUE)[:-2]


async def the_same(bench: Bench, asked: list[bytes], monkeypatch: pytest.MonkeyPatch, npci: bytes) -> None:
    """Asks everything both ways, the short one twice: when it is new, and when it is kept."""
    udp = bench.server._udp
    assert udp is not None
    (inlet,) = udp._inlets
    quick = inlet._quick
    assert quick is not None
    monkeypatch.setattr(inlet, "_quick", None)
    client = RawClient(bench.server.port)
    for number, request in enumerate(asked):
        npdu = npci + bytes((0x02, 0x75, number % 256)) + request
        datagram = bvll(npdu)
        first, again = quick(datagram, HOST), quick(datagram, HOST)
        long = await client.ask(datagram, WAIT_S)
        assert long is not None, datagram.hex()
        assert first == again == long, datagram.hex()
    client.sock.close()


async def test_every_property_of_the_own_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bench = make_bench(alarmed=True)
    await bench.server.start()
    for point, value in {"current": 2000.0, "state": 3, "note": "Ladesäule", "limit": 32.0, "charging": True}.items():
        bench.set(point, value)
    asked = list(requests(bench.server._store))
    assert len(asked) > 300
    await the_same(bench, asked, monkeypatch, b"\x01\x04")
    await bench.server.stop()
    async with trend_bench(tmp_path) as trends:
        trends.minute(5.0)
        asked = list(requests(trends.bench.server._store))
        await the_same(trends.bench, asked, monkeypatch, b"\x01\x04")


async def test_every_property_of_a_virtual_device(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(2) as (campus, _):
        fleet = campus.bench.server.fleet
        assert fleet is not None
        asked = list(requests(next(iter(fleet)).store))
        head = destined(b"", NETWORK, mac_of(FIRST))
        await the_same(campus.bench, asked, monkeypatch, head)


@pytest.mark.parametrize(
    ("octets", "short"),
    [
        ("810a0011 0104 0205 01 0c 0c00000000 1955", True),
        ("810a0011 0107 0075 01 0c 0c00000000 1955", True),
        ("810a0011 0104 0200 01 0c 0c00000000 1955", True),
        ("810a0011 0104 0206 01 0c 0c00000000 1955", False),
        ("810a0011 0104 0a05 01 0c 0c00000000 1955", False),
        ("810a0011 0204 0205 01 0c 0c00000000 1955", False),
        ("810a0011 0144 0205 01 0c 0c00000000 1955", False),
        ("810a0017 0124 00c8 0300 0001 fe 0205 01 0c 0c00000000 1955", False),
        ("810a0008 0104 0205", False),
        ("810a0009 0104 0205 01", False),
        ("810a000a 0104 0205 01 0f", False),
    ],
)
async def test_only_plain_reads_take_it(bench: Bench, octets: str, short: bool) -> None:
    quick = bench.server._udp._quick  # type: ignore[union-attr]
    assert quick is not None
    assert (quick(bytes.fromhex(octets), HOST) is not None) == short


async def test_an_answer_the_client_cannot_take_does_not_leave_by_it(bench: Bench, raw) -> None:
    request = multiple((0, [(Prop.ALL, None)]))
    for _ in range(2):
        assert (await raw(bench).apdu(bytes((0x02, 0x05, 1)) + request)).startswith("30010e")
        assert (await raw(bench).apdu(bytes((0x00, 0x00, 1)) + request))[:2] == "71"


async def test_a_segmented_answer_under_way_stands_in_the_way_of_its_invoke_id_only(bench: Bench, raw) -> None:
    quick = bench.server._udp._quick  # type: ignore[union-attr]
    assert quick is not None
    client = raw(bench)
    first = await client.apdu(bytes((0x02, 0x70, 1)) + multiple((0, [(Prop.ALL, None)])))
    assert first[:4] == "3c01"
    same, another = (unicast(bytes((0x02, 0x05, invoke)) + read(0, Prop.PRESENT_VALUE)) for invoke in (1, 2))
    assert quick(same, HOST) is None
    assert quick(another, HOST) is not None
    answer = await client.ask(same)
    assert answer is not None
    assert answer[6:9].hex() == "30010c"
    assert bench.server._upkeep._responder.serverTransactions == []  # type: ignore[union-attr]


async def test_it_is_counted_as_the_long_one_is(bench: Bench, raw) -> None:
    client = raw(bench)
    for _ in range(3):
        await client.apdu("0205 01 0c 0c00000000 1955")
        await client.apdu("0205 01 0e 0c00000000 1e09551f")
        await client.apdu("0205 01 0c 0c00000000 1a1fff")
    counters = bench.server.counters
    assert (counters["requests"], counters["errors"]) == (9, 3)
    (peer,) = bench.server.clients
    assert dict(peer.services) == {READ: 6, MULTIPLE: 3}
    assert dict(peer.refusals) == {5: 3}


LIVE = st.tuples(st.sampled_from(sorted(SHOWN)), st.none())
OTHER = (Prop.OBJECT_NAME, Prop.PRIORITY_ARRAY, Prop.RELINQUISH_DEFAULT, Prop.ACKED_TRANSITIONS)
ANY = st.tuples(st.sampled_from((*SHOWN, *OTHER)), st.sampled_from([None, 1]))
PROPS = st.lists(LIVE, min_size=1, max_size=4) | st.lists(LIVE | ANY, min_size=1, max_size=4)
OBJECT = st.sampled_from(("current", "energy", "state", "note", "limit"))
ASKED = st.lists(st.tuples(OBJECT, PROPS), min_size=1, max_size=6)
VALUE = st.sampled_from([None, 0.0, 1, 2, 3, 1.5, 2000.0, math.nan, 1e300, True, "text"])
QUALITY = st.tuples(
    st.sampled_from([GOOD, STALE, BAD, CONFIG_ERROR]), st.sampled_from(["", "over-range: 9", f"{OUT_OF_SERVICE} by x"])
)
CHANGE = st.tuples(st.just("set"), OBJECT, VALUE, QUALITY)
COMMAND = st.tuples(st.just("slot"), st.sampled_from([1, 8, 16]), st.sampled_from([None, 6.0, 16.0]))


@settings(max_examples=100, deadline=None)
@given(asked=ASKED, changes=st.lists(CHANGE | COMMAND, min_size=1, max_size=12))
def test_what_is_kept_is_what_reading_now_would_be(asked, changes) -> None:
    bench = make_bench(alarmed=True)
    store = bench.server._store
    of_point = {record.index: record.key for record in store._objects.values() if isinstance(record, PointRecord)}
    kept = Reads(store, Shelf())
    named = [(of_point[bench.index[point]], props) for point, props in asked]
    requests = [multiple(*named), *(read(key, *each) for key, props in named for each in props)]
    for change in (None, *changes):
        if change is not None:
            carry_out(bench, *change)
        for request in requests:
            now = Reads(store, Shelf()).answer(request[0], 7, request[1:])
            assert now is not None
            for _ in range(2):
                assert kept.answer(request[0], 7, request[1:]) == now
            assert kept.kept(request) == (now[2:] if now[0] == COMPLEX_ACK else None)


def test_an_alarm_that_comes_later_than_its_value_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ALARMS, "state", replace(ALARMS["state"], delay_s=10.0))
    bench = make_bench(alarmed=True)
    reads, desk = bench.server._parts.reads, bench.server._board._alarms
    assert desk is not None
    request = multiple((object_key("multi-state-input", 0), [(Prop.STATUS_FLAGS, None)]))
    bench.set("state", 3)
    for flags in ("0400", "0480"):
        answer = reads.answer(MULTIPLE, 1, request[1:])
        assert answer is not None
        assert f"296f4e82{flags}4f" in answer.hex()
        assert reads.kept(request) == answer[2:]
        bench.clock.now += 11.0
        desk.tick()


def carry_out(bench: Bench, what: str, *more: Any) -> None:
    """One change of a sample or of a priority slot."""
    if what == "set":
        point, value, (quality, reason) = more
        if value is None or isinstance(value, str) == (point == "note"):
            bench.table.update([(bench.index[point], Sample(value, quality, reason, 0.0))])
        return
    number, value = more
    slots = bench.commands.slots(bench.index["limit"])
    if value is None:
        slots.clear(number)
    else:
        slots.put(number, Slot(value, Origin("bacnet", "x"), 0.0))


class FullPort:
    """Takes what an Inlet has to say of itself."""

    def __init__(self) -> None:
        self.dropped = 0

    def lost(self) -> None:
        self.dropped += 1


async def test_datagrams_wait_for_room_in_the_socket_in_their_order(tmp_path: Path) -> None:
    sender, receiver = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    path = str(tmp_path / "peer")
    receiver.bind(path)
    for sock in (sender, receiver):
        sock.setblocking(False)
    port = FullPort()
    inlet = Inlet(port, sender, None)  # type: ignore[arg-type]
    sent = [number.to_bytes(2, "big") for number in range(MOST_PENDING)]
    assert all(inlet.send(datagram, path) for datagram in sent)  # type: ignore[arg-type]
    assert inlet._waiting
    while inlet.send(b"more", path):  # type: ignore[arg-type]
        sent.append(b"more")
    assert len(sent) < MOST_PENDING + 1000
    got = []
    async with asyncio.timeout(WAIT_S):
        while len(got) < len(sent):
            got.append(await asyncio.get_running_loop().sock_recv(receiver, 100))
    assert got == sent
    assert inlet.send(b"last", path)  # type: ignore[arg-type]
    assert await asyncio.get_running_loop().sock_recv(receiver, 100) == b"last"
    while inlet.send(b"lost", path):  # type: ignore[arg-type]
        pass
    receiver.close()
    await until(lambda: not inlet._waiting, WAIT_S)
    assert port.dropped == MOST_PENDING
    inlet.close()
    inlet.close()

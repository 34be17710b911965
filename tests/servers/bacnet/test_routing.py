"""The router: whom it answers, what it passes on, and what it refuses (ASHRAE 135 clauses 6.4 to 6.6)."""

from __future__ import annotations

import asyncio
import random

import pytest
from bacpypes3.pdu import Address, GlobalBroadcast, IPv4Address, LocalBroadcast, RemoteBroadcast, RemoteStation

from gateway.servers.bacnet import routing
from tests.servers.bacnet.campus import (
    DEVICE,
    FIRST,
    NETWORK,
    WHO_IS,
    Campus,
    Heard,
    behind,
    destined,
    key,
    mac,
    running,
)
from tests.servers.bacnet.conftest import unicast
from tests.servers.bacnet.watcher import settle
from tests.site import until

WHO_IS_ROUTER, I_AM_ROUTER, REJECT, TABLE, TABLE_ACK, WHAT_IS, NUMBER_IS = 0, 1, 3, 6, 7, 18, 19
BROADCAST = 0x0B
NET = NETWORK.to_bytes(2, "big")
I_AM_HEAD = "1000c4"


def message(kind: int, body: bytes = b"") -> bytes:
    return bytes((1, 0x80, kind)) + body


class Said:
    """The broadcasts of a server, caught before the socket: loopback has no second port to hear them."""

    def __init__(self, campus: Campus, monkeypatch: pytest.MonkeyPatch) -> None:
        self.datagrams: list[bytes] = []
        udp = campus.bench.server._udp
        send, udp._broadcast = udp.send, "127.255.255.255"
        monkeypatch.setattr(udp, "send", lambda data, to: self._take(data, to) or send(data, to))

    def _take(self, data: bytes, to: tuple[str, int]) -> None:
        if to[0] == "127.255.255.255":
            assert data[1] == BROADCAST
            self.datagrams.append(data[4:])

    async def messages(self, kind: int, count: int = 1) -> list[bytes]:
        """The bodies of so many network layer messages of a kind."""
        await until(lambda: len(self._of(kind)) >= count, 3.0)
        return self._of(kind)

    def _of(self, kind: int) -> list[bytes]:
        return [npdu[3:] for npdu in self.datagrams if npdu[1] & 0x80 and npdu[2] == kind]

    @property
    def apdus(self) -> list[Heard]:
        return [Heard(npdu) for npdu in self.datagrams if not npdu[1] & 0x80]


@pytest.mark.parametrize("asked", [b"", NET])
async def test_who_is_router_is_answered_to_everybody(asked: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(1) as (campus, client):
        said = Said(campus, monkeypatch)
        client.send(message(WHO_IS_ROUTER, asked))
        assert await said.messages(I_AM_ROUTER) == [NET]


async def test_who_is_router_to_another_network_is_not_ours_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(1) as (campus, client):
        said = Said(campus, monkeypatch)
        client.send(message(WHO_IS_ROUTER, b"\x00\x09"))
        client.send(message(WHO_IS_ROUTER, NET))
        assert await said.messages(I_AM_ROUTER) == [NET]


async def test_a_hundred_questions_in_one_moment_are_few_broadcasts(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(1) as (campus, client):
        said = Said(campus, monkeypatch)
        for _ in range(100):
            client.send(message(WHO_IS_ROUTER))
        await said.messages(I_AM_ROUTER)
        await asyncio.sleep(0.1)
        assert len(await said.messages(I_AM_ROUTER)) < 50


async def test_at_start_it_introduces_itself_and_its_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(3, ip_network=7) as (campus, _):
        said = Said(campus, monkeypatch)
        campus.bench.server._announce_soon()
        campus.bench.pass_time(2.0)
        assert await said.messages(I_AM_ROUTER) == [NET]
        assert await said.messages(NUMBER_IS) == [b"\x00\x07\x01"]
        await until(lambda: len(said.apdus) >= 4, 3.0)
        devices = {heard.device for heard in said.apdus if heard.body.hex().startswith(I_AM_HEAD)}
        assert devices == {None, FIRST, FIRST + 1, FIRST + 2}
        assert {heard.head.dnet for heard in said.apdus} == {0xFFFF}


async def test_network_number(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(1) as (campus, client):
        said = Said(campus, monkeypatch)
        client.send(message(WHAT_IS))
        client.send(message(NUMBER_IS, b"\x00\x05\x01"))
        client.send(message(WHAT_IS))
        assert await said.messages(NUMBER_IS) == [b"\x00\x05\x00"], "unknown: silence; then learned, not configured"
        answer = await client.raw.apdu(f"0205 01 0c 0c{key(56, 1)} 1a01a9")
        assert answer is not None
        assert answer[-4:-2] == "05"
        client.send(destined("12", 0xFFFF)[:1] + bytes((0xA0,)) + b"\xff\xff\x00\xff\x12")
        await asyncio.sleep(0.1)
        assert len(await said.messages(NUMBER_IS)) == 1, "What-Is-Network-Number is never routed"


async def test_a_configured_number_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(1, ip_network=7) as (campus, client):
        said = Said(campus, monkeypatch)
        client.send(message(NUMBER_IS, b"\x00\x05\x01"))
        client.send(message(WHAT_IS))
        assert (await said.messages(NUMBER_IS))[-1] == b"\x00\x07\x01"


async def test_the_routing_table_can_be_read_and_not_changed() -> None:
    async with running(1, ip_network=7) as (_, client):
        client.send(message(TABLE, b"\x00"))
        heard = await client.hear()
        assert heard is not None
        assert heard.body.hex() == "07" + "02" + "00070100" + "00c80200"
        client.send(message(TABLE, b"\x01\x00\x09\x01\x00"))
        assert await client.hear(0.2) is None
        client.send(bytes((1, 0x88)) + behind(9, b"\x05") + bytes((TABLE, 0)))
        heard = await client.hear()
        assert heard is not None
        assert (heard.head.dnet, heard.head.dadr, heard.body[0]) == (9, b"\x05", TABLE_ACK)


async def test_a_network_it_has_no_way_to_is_rejected() -> None:
    async with running(1) as (_, client):
        client.send(destined(WHO_IS, 9, b"\x01"))
        heard = await client.hear()
        assert heard is not None
        assert heard.body.hex() == "03" + "01" + "0009"
        client.send(destined(WHO_IS, 9, b"\x01", source=behind(4, b"\x21")))
        heard = await client.hear()
        assert heard is not None
        assert (heard.head.dnet, heard.head.dadr, heard.body.hex()) == (4, b"\x21", "03010009")


@pytest.mark.parametrize("kind", [0x0C, 0x15, 0x80, 0xFF])
async def test_an_unknown_message_is_rejected(kind: int) -> None:
    async with running(1) as (_, client):
        client.send(message(kind, b"\x01\x02\x03"))
        heard = await client.hear()
        assert heard is not None
        assert heard.body[:2].hex() == "0303"


async def test_a_broadcast_for_another_network_is_answered_by_nobody() -> None:
    async with running(1) as (_, client):
        client.send(destined(WHO_IS, 9), BROADCAST)
        client.send(message(0x15), BROADCAST)
        assert await client.hear(0.2) is None


async def test_who_is_reaches_whom_it_is_for() -> None:
    async with running(3) as (_, client):
        client.send(b"\x01\x00" + WHO_IS, BROADCAST)
        assert [heard.device for heard in await client.hear_all(1)] == [None]
        client.send(destined(WHO_IS, 0xFFFF), BROADCAST)
        found = await client.hear_all(4)
        assert sorted(heard.device or 0 for heard in found) == [0, FIRST, FIRST + 1, FIRST + 2]
        client.send(destined(WHO_IS, NETWORK), BROADCAST)
        found = await client.hear_all(3)
        assert [heard.device for heard in found] == [FIRST, FIRST + 1, FIRST + 2]
        assert found[0].body.hex() == f"1000c4{key(DEVICE, FIRST)}2205c491002203e7"
        low, high = (f"{FIRST + number:06x}" for number in (1, 2))
        client.send(destined(f"1008 0b{low} 1b{high}", 0xFFFF))
        assert [heard.device for heard in await client.hear_all(2)] == [FIRST + 1, FIRST + 2]


async def test_who_has_finds_names_and_objects() -> None:
    async with running(3) as (_, client):
        name = "evce.Bay 1.current"
        data = b"\x00" + name.encode()
        client.send(destined(b"\x10\x07\x3d" + bytes((len(data),)) + data, 0xFFFF))
        (heard,) = await client.hear_all(1)
        assert heard.device == FIRST + 1
        assert heard.body.hex().startswith(f"1001c4{key(DEVICE, FIRST + 1)}c4{key(0, 0)}75")
        client.send(destined(f"1007 2c{key(0, 1)}", NETWORK))
        assert [heard.device for heard in await client.hear_all(3)] == [FIRST, FIRST + 1, FIRST + 2]


async def test_the_last_hop_is_not_taken() -> None:
    async with running(1) as (_, client):
        read = f"0205 05 0c 0c{key(DEVICE, FIRST)} 194d"
        client.send(destined(read, NETWORK, mac(0), hops=1))
        client.send(destined(WHO_IS, NETWORK, hops=0))
        assert await client.hear(0.2) is None
        client.send(destined(WHO_IS, 0xFFFF, hops=1), BROADCAST)
        assert [heard.device for heard in await client.hear_all(1)] == [None]
        client.send(destined(read, NETWORK, mac(0), hops=2))
        assert [heard.device for heard in await client.hear_all(1)] == [FIRST]


async def test_a_broadcast_confirmed_request_is_dropped() -> None:
    async with running(2) as (_, client):
        read = f"0205 05 0c 0c{key(DEVICE, 4194303)} 194d"
        client.send(destined(read, NETWORK), BROADCAST)
        client.send(destined(read, 0xFFFF), BROADCAST)
        assert await client.hear(0.2) is None


async def test_time_is_heard_whichever_way_it_came() -> None:
    async with running(1) as (campus, client):
        client.send(destined("1006 a47e0b1506 b40c000000", NETWORK))
        await until(lambda: campus.bench.server.time_sync is not None, 3.0)


@pytest.mark.parametrize("claim", ["router", "source"])
async def test_a_network_number_used_twice_is_an_alarm(claim: str) -> None:
    async with running(1) as (campus, client):
        if claim == "router":
            client.send(message(I_AM_ROUTER, b"\x00\x09" + NET), BROADCAST)
        else:
            client.send(bytes((1, 0x08)) + behind(NETWORK, b"\x05") + WHO_IS)
        await until(lambda: routing.DOUBLED in campus.bench.alarms, 3.0)
        text = campus.bench.alarms.texts()[routing.DOUBLED]
        assert f"routes to BACnet network {NETWORK} too" in text
        assert "change bacnet.network here" in text
        for _ in range(5):
            campus.bench.pass_time(61.0)
            await settle()
        await until(lambda: routing.DOUBLED not in campus.bench.alarms, 3.0)


@pytest.mark.parametrize(
    "npdu",
    [
        "01",
        "0120",
        "012000",
        "0120ffff",
        "0120ffff00",
        "0120ffff00ff",
        "0108 00c8 00 1008",
        "0128 ffff 00",
        "0108 ffff 01 01 1008",
        "0120 0000 00 ff 1008",
        "0120 00c8 09 0102",
        "0220ffff00ff1008",
        "0180",
        "0108 0000 01 01 1008",
    ],
)
async def test_malformed_headers_are_dropped(npdu: str) -> None:
    async with running(1) as (campus, client):
        client.send(bytes.fromhex(npdu))
        assert await client.hear(0.15) is None
        assert campus.bench.server.counters["dropped"] == 1
        assert await client.raw.ask(unicast(bytes.fromhex("0205 05 0c 0c023fffff 194d"))) is not None


@pytest.mark.parametrize(
    ("to", "head", "everybody"),
    [
        (LocalBroadcast(), "0108", True),
        (GlobalBroadcast(), "0128ffff00", True),
        (RemoteBroadcast(9), "0128000900", True),
        (RemoteBroadcast(7), "0108", True),
        (RemoteStation(9, b"\x11"), "012800090111", True),
        (RemoteStation(7, IPv4Address(("127.0.0.1", 7)).addrAddr), "0108", False),
        (RemoteStation(9, b"\x11", route=IPv4Address(("127.0.0.1", 7))), "012800090111", False),
        (RemoteBroadcast(NETWORK), None, True),
    ],
)
async def test_what_a_device_sends_of_itself_goes_where_it_should(
    to: Address, head: str | None, everybody: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(1, ip_network=7) as (campus, _):
        sent: list[tuple[bytes, tuple[str, int]]] = []
        udp = campus.bench.server._udp
        udp._broadcast = "127.255.255.255"
        monkeypatch.setattr(udp, "send", lambda data, where: sent.append((data, where)))
        upkeep = campus.bench.server._upkeep
        await upkeep._router.send(mac(0), b"\x10\x08", to)
        if head is None:
            assert sent == []
            return
        ((datagram, where),) = sent
        source = behind(NETWORK, mac(0)).hex()
        hops = "fe" if "0128" in head else ""
        assert datagram[4:].hex() == f"{head}{source}{hops}1008"
        assert datagram[1] == (BROADCAST if everybody else 0x0A)
        assert (where[0] == "127.255.255.255") == everybody


async def test_a_thousand_devices_answer_one_question_without_a_loss() -> None:
    """The client's socket holds some 200 datagrams, as those of the kernel do by default."""
    async with running(1000) as (campus, client):
        client.send(destined(WHO_IS, NETWORK), BROADCAST)
        client.send(destined(WHO_IS, NETWORK), BROADCAST)
        found: set[int | None] = set()
        count = 0
        while (heard := await client.hear(1.0)) is not None:
            found.add(heard.device)
            count += 1
            await asyncio.sleep(0)
        assert found == set(range(FIRST, FIRST + 1000))
        assert count == 1000, "who asks twice in one breath is not answered twice"
        assert campus.bench.server.counters["dropped"] == 0


async def test_devices_nobody_asked_have_nothing_to_serve_with() -> None:
    async with running(50) as (campus, client):
        fleet = campus.bench.server.fleet
        assert fleet is not None
        client.send(destined(WHO_IS, NETWORK))
        await client.hear_all(50)
        assert sum(device.responder is not None for device in fleet) == 0
        await client.read(3, DEVICE, FIRST + 3, 77)
        assert sum(device.responder is not None for device in fleet) == 1


async def test_B02_mutated_packets_through_the_router_leave_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(6)
    read = f"0205 05 0c 0c{key(DEVICE, FIRST)} 194d"
    seeds = [
        destined(read, NETWORK, mac(0)),
        destined(read, NETWORK, mac(1), source=behind(9, b"\x11")),
        destined(f"0a05 07 00 01 0e 0c{key(DEVICE, FIRST)} 1e 0908 1f", NETWORK, mac(0)),
        destined(WHO_IS, 0xFFFF),
        destined(f"1007 2c{key(0, 1)}", NETWORK),
        destined("0005 03 05 0907 1c00000000 2900 3978", NETWORK, mac(1)),
        message(WHO_IS_ROUTER, NET),
        message(TABLE, b"\x00"),
        message(I_AM_ROUTER, b"\x00\x09"),
    ]
    async with running(2) as (campus, client):
        for number in range(4000):
            npdu = bytearray(chance.choice(seeds))
            for _ in range(chance.randint(1, 3)):
                npdu[chance.randrange(len(npdu))] = chance.randrange(256)
            client.send(bytes(npdu[: chance.randint(3, len(npdu))] if chance.random() < 0.2 else npdu), 0x0A)
            if number % 20 == 19:
                await asyncio.sleep(0)
                while await client.raw.receive(0.001) is not None:
                    pass
        fleet = campus.bench.server.fleet
        await until(lambda: not fleet.calls.waits, 5.0)
        while await client.raw.receive(0.05) is not None:
            pass
        heard = await client.ask(0, read)
        assert heard is not None
        assert heard.body[:3].hex() == "30050c"
        responders = [device.responder for device in fleet if device.responder is not None]
        assert sum(len(each._writing) for each in responders) == 0
        assert sum(len(each.serverTransactions) for each in responders) <= 64
    assert [record for record in caplog.records if record.exc_info] == []

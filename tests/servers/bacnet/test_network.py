"""The device among others: doubled numbers, lost interfaces, BBMDs, and what a BMS cannot find."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
from bacpypes3 import netservice
from bacpypes3.pdu import RemoteStation
from rusty_bacnet import BACnetClient, BACnetServer, Bbmd, ForeignDevice

from gateway.servers.bacnet import link, stack
from gateway.servers.bacnet.cov import Datagram
from gateway.servers.bacnet.foreign import FOREIGN
from gateway.servers.bacnet.presence import DUPLICATE
from gateway.servers.bacnet.upkeep import LOST
from tests.servers.bacnet.conftest import HOST, Bench, RawClient, make_bench, unicast
from tests.servers.bacnet.rusty import DEVICE, P, Rusty
from tests.servers.bacnet.watcher import CURRENT, Watcher, settle
from tests.site import free_port, until

I_AM = bytes.fromhex("1000 c40203f7a1 2205c4 9103 2203e7")


async def told(bench: Bench, key: str) -> str:
    await until(lambda: key in bench.alarms, 3.0)
    return bench.alarms.texts()[key]


async def test_B08_a_doubled_device_number_is_an_alarm_until_it_is_gone(bench: Bench, raw) -> None:
    client = raw(bench)
    client.send(unicast(I_AM.replace(b"\xa1", b"\xa2"), npci=b"\x01\x00"))
    await settle()
    assert DUPLICATE not in bench.alarms
    client.send(unicast(I_AM, npci=b"\x01\x00"))
    text = await told(bench, DUPLICATE)
    assert text.startswith("127.0.0.1:")
    assert "says it is BACnet device 260001 too" in text
    assert "change bacnet.device.instance" in text
    for _ in range(4):
        bench.pass_time(61.0)
        await settle()
    await until(lambda: DUPLICATE not in bench.alarms, 3.0)


async def test_B08_two_gateways_with_one_number_find_each_other() -> None:
    port = free_port()
    benches = [make_bench(f"127.0.0.{n}/8:{port}") for n in (1, 2)]
    for bench in benches:
        await bench.server.start()
    for bench, other in zip(benches, (2, 1), strict=True):
        assert f"127.0.0.{other}:{port} says it is BACnet device 260001 too" in await told(bench, DUPLICATE)
    for bench in benches:
        await bench.server.stop()


async def test_B09_an_address_that_went_and_came_back_is_served_again(bench: Bench, raw, monkeypatch) -> None:
    """The kernel's answer to a bind is played; the sockets, the subscription and the answers are real."""
    watcher = Watcher(bench)
    await watcher.subscribe(CURRENT, 0)
    await watcher.next()
    real, gone = link.listen, True

    def listen(host: str, port: int, *, shared: bool) -> socket.socket:
        if gone:
            raise OSError(f"bacnet: cannot listen on {host}:{port}: cannot assign requested address")
        return real(host, port, shared=shared)

    monkeypatch.setattr(link, "listen", listen)
    bench.server._udp._inlets[0].close()
    bench.pass_time(6.0)
    text = await told(bench, LOST)
    assert f"cannot listen on {bench.address}: cannot assign requested address; it is tried again every 5 s" in text
    gone = False
    bench.pass_time(6.0)
    await until(lambda: LOST not in bench.alarms, 3.0)
    assert (await raw(bench).apdu("0205 01 0c 0c023fffff 194d")).startswith("30010c")
    bench.set("current", 3.0)
    assert await watcher.value() == 3.0
    watcher.sock.close()


async def test_B09_a_closed_socket_is_opened_again(bench: Bench, raw) -> None:
    bench.server._udp._inlets[0].close()
    bench.pass_time(6.0)
    client = raw(bench)
    await settle()
    assert (await client.apdu("0205 01 0c 0c023fffff 194d", 1.0)).startswith("30010c")
    assert len(bench.alarms) == 0


class FakeBbmd:
    """A BBMD of a few octets: what it is told is in `requests`."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((HOST, 0))
        self.sock.setblocking(False)
        self.port = self.sock.getsockname()[1]

    async def receive(self, wait_s: float = 2.0) -> tuple[bytes, tuple[str, int]]:
        async with asyncio.timeout(wait_s):
            return await asyncio.get_running_loop().sock_recvfrom(self.sock, 2048)

    def answer(self, code: int, address: tuple[str, int]) -> None:
        self.sock.sendto(bytes((0x81, 0, 0, 6)) + code.to_bytes(2, "big"), address)


@pytest.fixture
def bbmd():
    made = FakeBbmd()
    yield made
    made.sock.close()


async def test_B11_registered_before_the_end_and_told_when_it_is_lost(bbmd: FakeBbmd) -> None:
    bench = make_bench(terms={"foreign": (f"{HOST}:{bbmd.port}", 60)})
    await bench.server.start()
    request, gateway = await bbmd.receive()
    assert request.hex() == "81050006003c"
    bbmd.answer(0, gateway)
    i_am, _ = await bbmd.receive()
    assert i_am[:4].hex() == "81090019"
    assert i_am[10:].hex().startswith("1000c40203f7a1")
    bench.pass_time(1.1)
    assert (await bbmd.receive())[0][10:12].hex() == "1008", "it asks who else has its number"
    bench.pass_time(30.0)
    assert (await bbmd.receive())[0].hex() == "81050006003c", "renewed at half the time"
    for _ in range(3):
        bench.pass_time(5.1)
        assert (await bbmd.receive())[0].hex() == "81050006003c"
    text = await told(bench, FOREIGN)
    assert text == f"the BBMD {HOST}:{bbmd.port} of bacnet.foreign does not answer"
    for _ in range(5):
        bench.pass_time(5.1)
        await bbmd.receive()
    assert "no broadcast reaches the gateway" in bench.alarms.texts()[FOREIGN]
    bbmd.answer(0, gateway)
    await until(lambda: FOREIGN not in bench.alarms, 2.0)
    await bench.server.stop()
    sent = b""
    while not sent.startswith(bytes.fromhex("8108000a7f000001")):
        sent, _ = await bbmd.receive()
    assert sent[-2:] == gateway[1].to_bytes(2, "big")


async def test_B11_a_bbmd_that_refuses_is_told_and_one_that_forgot_us_is_asked_again(bbmd: FakeBbmd) -> None:
    bench = make_bench(terms={"foreign": (f"{HOST}:{bbmd.port}", 60)})
    await bench.server.start()
    _, gateway = await bbmd.receive()
    bbmd.answer(0x30, gateway)
    assert "refused the registration (result 0x0030); it must accept foreign devices" in await told(bench, FOREIGN)
    bench.pass_time(5.1)
    await bbmd.receive()
    bbmd.answer(0, gateway)
    await bbmd.receive()
    bbmd.answer(0x60, gateway)
    await settle()
    bench.pass_time(1.1)
    assert (await bbmd.receive())[0].hex() == "81050006003c"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(bytes.fromhex("8100 0006 0000"), gateway)
    await settle()
    bench.pass_time(5.1)
    assert (await bbmd.receive())[0].hex() == "81050006003c", "a stranger's result counts for nothing"
    await bench.server.stop()


async def test_B11_broadcasts_come_and_go_through_an_independent_bbmd() -> None:
    """rusty-bacnet is the BBMD, and the BMS on its other side."""
    port = free_port()
    peer = BACnetServer(900, "BBMD", HOST, port, "127.255.255.255", bbmd=Bbmd(accept_foreign_devices=True))
    await peer.start()
    bench = make_bench(terms={"foreign": (f"{HOST}:{port}", 60)})
    await bench.server.start()
    try:
        await until(lambda: bench.server._registration.registered, 5.0)
        through = ForeignDevice(f"{HOST}:{port}", 60)
        async with BACnetClient(HOST, 0, "127.255.255.255", 3000, foreign_device=through) as bms:
            found: list[int] = []
            for _ in range(20):
                await bms.who_is(260001, 260001)
                await asyncio.sleep(0.1)
                found = [each.object_identifier.instance for each in await bms.discovered_devices()]
                if found:
                    break
            assert found == [260001]
            assert await Rusty(bms, bench.address).read(DEVICE, P.OBJECT_NAME) == "EV Gateway"
        assert bench.server.hint == ""
    finally:
        await bench.server.stop()
        await peer.stop()


async def test_a_foreign_device_shows_its_bbmd_in_its_network_port(bbmd: FakeBbmd) -> None:
    bench = make_bench(terms={"foreign": (f"{HOST}:{bbmd.port}", 60)})
    await bench.server.start()
    client = RawClient(bench.server.port)
    read = "0205 01 0c 0c0e000001 1a{:04x}"
    assert (await client.apdu(read.format(408)))[-6:] == "91013f"
    assert (await client.apdu(read.format(418))).endswith(f"3e0e1c7f0000010f1a{bbmd.port:04x}3f")
    assert (await client.apdu(read.format(419))).endswith("3e213c3f")
    client.sock.close()
    await bench.server.stop()


async def test_a_hint_when_no_bms_can_find_the_gateway() -> None:
    deaf = make_bench(f"{HOST}:0")
    assert deaf.server.hint.startswith("bacnet.address has no mask")
    bench = make_bench(f"{HOST}/8:{free_port()}")
    await bench.server.start()
    assert bench.server.hint == ""
    bench.clock.now += 601.0
    assert bench.server.hint.startswith("no BACnet broadcast was heard since the start")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bms:
        bms.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        bms.sendto(bytes.fromhex("810b000801001008"), ("127.255.255.255", bench.server.port))
    await until(lambda: bench.server.hint == "", 2.0)
    await bench.server.stop()


async def test_a_network_without_a_router_costs_its_own_notifications_only(bench: Bench, monkeypatch, caplog) -> None:
    monkeypatch.setattr(netservice, "WHO_IS_ROUTER_TO_NETWORK_TIMEOUT", 1.0)
    responder = bench.server._upkeep._responder
    began = time.monotonic()
    for number in range(stack.MOST_AT_ONCE + 1):
        await responder.notify(Datagram(b"\x10\x03", RemoteStation(number + 7, b"\x01")))
    assert time.monotonic() - began < 1.0, "nobody waited"
    assert bench.server.counters["dropped"] == 1
    await until(lambda: bench.server.counters["dropped"] == stack.MOST_AT_ONCE + 1, 5.0)
    assert not responder._searching
    assert caplog.records == []

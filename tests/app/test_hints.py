"""Scripted wrong clients against a whole gateway: each gets the right hint, a good one none, and all hints go."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.app.control import Control
from gateway.cli.clients import client_text, show_clients
from gateway.core.hints.finding import CLEAR_S
from tests.site import AheadClock, Running, running_site, until

GOOD, STRANGER, READER = 10, 200, 70
"""Last parts of loopback addresses: the well-behaved client, one of no group, and one that may only read."""
REDUCTION = 1040
FLOAT_32 = struct.pack(">f", 32.0)


def restrict(data: dict[str, Any]) -> None:
    data["modbus"]["clients"] = [
        {"name": "bms", "allow": "127.0.0.0/26", "slot": 10, "write": True},
        {"name": "viewer", "allow": "127.0.0.64/26"},
    ]
    data["bacnet"]["write"] = ["127.0.0.0/26"]


class Modbus:
    """A raw Modbus TCP client at 127.0.0.`host`."""

    def __init__(self, site: Running, host: int) -> None:
        self._site, self._from = site, (f"127.0.0.{host}", 0)

    async def __aenter__(self) -> Modbus:
        where = ("127.0.0.1", self._site.modbus_port)
        self._reader, self._writer = await asyncio.open_connection(*where, local_addr=self._from)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, pdu: bytes, unit: int = 1) -> bytes:
        self._writer.write(struct.pack(">HHHB", 1, 0, len(pdu) + 1, unit) + pdu)
        head = await asyncio.wait_for(self._reader.readexactly(7), 5)
        return await self._reader.readexactly(struct.unpack(">H", head[4:6])[0] - 1)

    async def read(self, address: int, count: int, function: int = 3, unit: int = 1) -> bytes:
        return await self.ask(struct.pack(">BHH", function, address, count), unit)

    async def write(self, address: int, data: bytes) -> bytes:
        return await self.ask(struct.pack(">BHHB", 16, address, len(data) // 2, len(data)) + data)

    async def send(self, data: bytes) -> None:
        """Sends bytes and waits until the server has had enough."""
        self._writer.write(data)
        await asyncio.wait_for(self._reader.read(), 5)


class Bacnet:
    """A raw BACnet/IP client at 127.0.0.`host`."""

    def __init__(self, site: Running, host: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((f"127.0.0.{host}", 0))
        self._to = ("127.0.0.1", site.bacnet_port)

    def close(self) -> None:
        self._socket.close()

    def send(self, apdu: str, npci: str = "0104") -> None:
        npdu = bytes.fromhex(npci + apdu)
        self._socket.sendto(b"\x81\x0a" + struct.pack(">H", len(npdu) + 4) + npdu, self._to)

    async def ask(self, apdu: str, npci: str = "0104") -> bytes:
        self.send(apdu, npci)
        data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self._socket, 2000), 5)
        return data[6:]


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    options = {"stations": 2, "zones": 2, "meters": 0, "gateway_clock": AheadClock()}
    async with running_site(tmp_path, change=restrict, **options) as site:
        await site.complete()
        yield site


def hints(site: Running, host: int, protocol: str = "modbus") -> dict[str, str]:
    """Ids and texts of the hints about one client."""
    rows = site.daemon.observatory.hints()
    return {row["id"]: row["text"] for row in rows if (row["protocol"], row["client"]) == (protocol, f"127.0.0.{host}")}


MODBUS_MISTAKES = {
    20: ("one_based", lambda c: c.read(1001, 60), "1-based tool?"),
    21: ("one_based", lambda c: c.read(999, 60), "registers 1000 to 1059 would be"),
    22: ("odd_offset", lambda c: c.read(REDUCTION + 1, 2), "read from 1040"),
    23: ("half_read", lambda c: c.read(REDUCTION, 1), "all 2 in one request"),
    24: ("half_write", lambda c: c.ask(struct.pack(">BHH", 6, REDUCTION, 1)), "with function 16 from 1040 on"),
    25: ("unmapped", lambda c: c.read(800, 2), "registers 800 to 801, where nothing is"),
    26: ("unknown_unit", lambda c: c.read(1000, 2, unit=9), "asks unit 9, which nobody has here: the unit is 1"),
    27: ("too_many", lambda c: c.read(1000, 126), "126 at once with function 3: 125 are the most"),
    28: ("coils", lambda c: c.read(REDUCTION, 2, function=1), "use function 3 or 4"),
    29: ("function", lambda c: c.ask(b"\x07"), "uses function 7"),
    30: ("read_only", lambda c: c.write(1006, FLOAT_32), "evce/zone/Zone A/current (float32 at 1006..1007)"),
    31: ("one_based", lambda c: c.write(REDUCTION + 1, FLOAT_32), "one register above evce/zone/Zone A/reduction"),
    32: ("not_modbus", lambda c: c.send(bytes.fromhex("1103006b00037687")), "Modbus RTU over TCP"),
    READER: ("no_right", lambda c: c.write(REDUCTION, FLOAT_32), "its client group may only read"),
}


async def test_each_wrong_modbus_client_gets_its_hint_and_a_good_one_none(site: Running) -> None:
    async with Modbus(site, GOOD) as good:
        for turn in range(12):
            for address in (1000, 1060, 100, 0):
                assert (await good.read(address, 60))[0] == 3
            assert (await good.write(REDUCTION, struct.pack(">f", 30.0 + turn)))[0] == 16
            site.daemon.observatory.tick()
        for host, (_, mistake, _text) in MODBUS_MISTAKES.items():
            async with Modbus(site, host) as client:
                await mistake(client)
        async with Modbus(site, STRANGER) as stranger:
            await stranger.send(b"")
        found = {host: hints(site, host) for host in MODBUS_MISTAKES}
        assert {host: set(ids) for host, ids in found.items()} == {h: {id_} for h, (id_, *_) in MODBUS_MISTAKES.items()}
        for host, (hint, _, text) in MODBUS_MISTAKES.items():
            assert text in found[host][hint]
        assert "is in no client group" not in hints(site, GOOD)
        assert set(hints(site, STRANGER)) == {"no_group"}
        assert hints(site, GOOD) == {}
        site.daemon.observatory.tick()
        clients = {row["address"]: row for row in site.daemon.observatory.clients()}
        assert clients["127.0.0.25"]["unmapped"] == {"unit 1 register 800 to 801": 1}
        assert clients["127.0.0.25"]["codes"] == {"2": 1}
        row = clients[f"127.0.0.{GOOD}"]
        assert (row["group"], row["connections"], row["writes"], row["exceptions"]) == ("bms", 1, 12, 0)
        assert row["functions"] == {"3": 48, "16": 12}
        assert row["requests"] == 60


async def test_habits_of_modbus_clients_show_over_time(site: Running) -> None:
    observatory = site.daemon.observatory
    for _ in range(10):
        async with Modbus(site, 40) as client:
            await client.read(1000, 2)
    await until(lambda: set(hints(site, 40)) == {"new_connections"})
    async with Modbus(site, 41) as client:
        for _ in range(21):
            await client.write(REDUCTION, FLOAT_32)
    assert set(hints(site, 41)) == {"same_write"}
    assert "evce/zone/Zone A/reduction" in hints(site, 41)["same_write"]
    async with Modbus(site, 42) as client:
        for _ in range(11):
            for _ in range(40):
                await client.read(1000, 2)
            observatory.tick()
    assert set(hints(site, 42)) == {"fast_poll"}


async def test_a_repeated_write_that_renews_a_lease_is_no_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)

    def lease(data: dict[str, Any]) -> None:
        data["modbus"]["clients"][0]["lease_s"] = 30

    async with running_site(tmp_path, stations=2, zones=1, meters=0, change=lease) as site:
        await site.complete()
        async with Modbus(site, GOOD) as client:
            for _ in range(25):
                await client.write(REDUCTION, FLOAT_32)
        assert hints(site, GOOD) == {}


async def test_each_wrong_bacnet_client_gets_its_hint_and_a_good_one_none(site: Running) -> None:
    observatory, peers = site.daemon.observatory, {host: Bacnet(site, host) for host in (GOOD, *range(20, 31), READER)}
    limit = site.placed("evce/zone/Zone A/reduction").objects[0]
    assert limit.object == "analog-value"
    number = f"{2 << 22 | limit.instance:08x}"
    current = site.placed("evce/zone/Zone A/current").objects[0]
    input_ = f"{current.instance:08x}"

    def put(value: float, priority: int, key: str = number) -> str:
        return f"0205010f0c{key}19553e44{struct.pack('>f', value).hex()}3f49{priority:02x}"

    subscribe = f"0205010509011c{input_}29003a012c"
    good = peers[GOOD]
    for turn in range(12):
        assert (await good.ask(f"0205010e0c{input_}1e09551f"))[0] >> 4 == 3
        if turn % 4 == 0:
            assert (await good.ask(put(30.0 + turn, 10)))[0] >> 4 == 2
        observatory.tick()
    assert (await good.ask(subscribe))[0] >> 4 == 2
    await peers[20].ask("0205010c0c000f423f1955")
    for turn in range(5):
        await peers[21].ask(put(20.0 + turn, 1))
        await peers[23].ask(subscribe)
    await peers[22].ask(put(30.0, 6))
    await peers[24].ask(put(30.0, 10, input_))
    await peers[25].ask("02050163")
    for _ in range(21):
        await peers[26].ask(put(33.0, 11))
    for turn in range(11):
        for _ in range(11):
            await peers[27].ask(f"0205010c0c{input_}1955")
            peers[28].send("1008")
        await searched(site, 28, 11 * (turn + 1))
        observatory.tick()
    peers[29].send(f"0205010c0c{input_}1955", npci="0124000500ff")
    await peers[READER].ask(put(30.0, 10))
    expected = {
        20: "unmapped",
        21: "high_priority",
        22: "reserved_priority",
        23: "cov_again",
        24: "read_only",
        25: "function",
        26: "same_write",
        27: "one_by_one",
        28: "who_is_storm",
        29: "wrong_network",
        READER: "no_right",
    }
    await until(lambda: all(hints(site, host, "bacnet") for host in expected))
    assert {host: set(hints(site, host, "bacnet")) for host in expected} == {h: {name} for h, name in expected.items()}
    assert hints(site, GOOD, "bacnet") == {}
    assert hints(site, 20, "bacnet")["unmapped"] == "asks for analog-input 999999, which is not there"
    assert "asks for BACnet network 5" in hints(site, 29, "bacnet")["wrong_network"]
    for peer in peers.values():
        peer.close()


async def searched(site: Running, host: int, times: int) -> None:
    """Waits until so many Who-Is of a client have come in."""
    server = site.daemon.bacnet
    assert server is not None

    def count() -> int:
        return sum(sum(c.services.values()) for c in server.clients if c.address == f"127.0.0.{host}")

    await until(lambda: count() >= times)


async def test_hints_about_the_network_and_all_hints_go_when_their_cause_does(site: Running) -> None:
    daemon = site.daemon
    clock = daemon.clock
    assert isinstance(clock, AheadClock)
    double = Bacnet(site, 30)
    double.send("1000c40203f7a12205c4910022 03e7".replace(" ", ""), npci="0100")
    await until(lambda: "bacnet.duplicate" in daemon.alarms)
    async with Modbus(site, 25) as client:
        await client.read(800, 2)
    daemon.observatory.tick()
    assert set(site_hints(site)) == {"duplicate_device"}
    assert "127.0.0.30" in site_hints(site)["duplicate_device"]
    assert daemon.observatory.standing()["unmapped"] == 1
    clock.ahead_s += max(CLEAR_S, 601.0)
    daemon.observatory.tick()
    assert set(hints(site, 25)) == set()
    assert "no_broadcast" in site_hints(site)
    assert daemon.observatory.given["unmapped"] == 1
    double.close()


def site_hints(site: Running) -> dict[str, str]:
    return {row["id"]: row["text"] for row in site.daemon.observatory.hints() if not row["client"]}


async def test_status_tells_of_clients_and_hints_in_words(site: Running, capsys: pytest.CaptureFixture[str]) -> None:
    async with Modbus(site, 22) as client:
        await client.read(REDUCTION + 1, 2)
        await client.read(1000, 60)
        site.daemon.observatory.tick()
        status = Control(site.daemon).status()
        show_clients(status)
    shown = " ".join(capsys.readouterr().out.split())
    assert "modbus 127.0.0.22 (bms): 2 requests, functions 3, 1 connection, last heard 0 s ago" in shown
    assert "hint modbus 127.0.0.22 reads registers 1041 to 1042, from the middle of evce/zone/Zone A/reduction" in shown
    assert client_text(status["clients"][0]) in shown
    assert status["loop"]["worst_ms"] >= status["loop"]["lag_ms"] >= 0


@pytest.mark.parametrize(("dialect", "units"), [("desc", "one"), ("nested", "per_resource")])
async def test_a_client_that_reads_every_point_and_then_the_map_in_pieces_gets_no_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dialect: str, units: str
) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)

    def divide(data: dict[str, Any]) -> None:
        data["modbus"]["units"] = units

    async with running_site(tmp_path, dialect, stations=2, zones=2, meters=1, change=divide) as site:
        await site.complete()
        registers = [(p, r) for p in site.daemon.placed.values() for r in p.registers]
        async with Modbus(site, GOOD) as client:
            for number, (point, place) in enumerate(registers):
                answer = await client.read(place.register, place.spec.type.words, unit=place.unit)
                assert answer[0] == 3 or point.spec.optional, point.name
                if place.spec.type.name == "bool":
                    await client.read(place.register, 1, function=1, unit=place.unit)
                if number % 10 == 0:
                    site.daemon.observatory.tick()  # so that every request is looked at
            for span in (*range(1000, 7000, 125),) if units == "one" else ():
                await client.read(span, 125)
                site.daemon.observatory.tick()
        assert hints(site, GOOD) == {}
        for unit in {place.unit for _, place in registers}:
            async with Modbus(site, 20 + unit) as client:
                wrong = next(r for _, r in registers if r.unit == unit and r.spec.type.name in {"float32", "uint32"})
                await client.read(wrong.register + 1, 2, unit=unit)
            assert set(hints(site, 20 + unit)) == {"odd_offset"}


async def test_only_a_network_that_is_not_here_is_a_wrong_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)

    def route(data: dict[str, Any]) -> None:
        data["bacnet"] |= {"devices": "per_resource", "network": 2001, "first_instance": 300000}

    async with running_site(tmp_path, stations=2, zones=1, meters=0, change=route) as site:
        await site.complete()
        mac = site.daemon.bacnet.fleet.numbers[0].to_bytes(3, "big").hex()  # type: ignore[union-attr]
        good, wrong = Bacnet(site, GOOD), Bacnet(site, 20)
        asked = "0205010c0c023fffff194d"  # Object_Name of this device
        assert await good.ask(asked, npci=f"012407d103{mac}ff")
        wrong.send(asked, npci=f"0124000503{mac}ff")
        await until(lambda: bool(hints(site, 20, "bacnet")))
        assert "this gateway has network 2001" in hints(site, 20, "bacnet")["wrong_network"]
        assert hints(site, GOOD, "bacnet") == {}
        good.close()
        wrong.close()

"""Modbus/TCP Security: who gets in, as whom, and what broken handshakes cost."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import ssl
import struct
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.engine.observatory import Observatory
from gateway.servers.modbus import ClientGroup, ModbusServer, Security
from gateway.servers.modbus.connection import Connection
from gateway.servers.modbus.lobby import MOST, MOST_OF_ONE
from gateway.servers.modbus.security import role_of
from tests.servers.modbus.authority import Authority, client_context, utf8
from tests.servers.modbus.conftest import BMS, LOCAL, Bench, Wire, adu, read, write16
from tests.site import until

READER = ClientGroup("reader", LOCAL, 11, write=False)
AWAY = ClientGroup("away", (ip_network("10.0.0.0/8"),), 12, write=True)
ROLES = {"Operator": "bms", "Viewer": "reader", "Elsewhere": "away"}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "site")


async def serve(bench: Bench, authority: Authority) -> ModbusServer:
    certificate, key = authority.issue("gateway")
    security = Security("127.0.0.1", 0, certificate, key, authority.file, ROLES)
    server = await bench.serve(groups=[BMS, READER, AWAY], security=security)
    bench.set(bench.point("p", (1000, "uint16"), command=True), 7)
    return server


async def connect(bench: Bench, server: ModbusServer, secure: ssl.SSLContext) -> Wire:
    wire = Wire(*await asyncio.open_connection("127.0.0.1", server.secure_port, ssl=secure))
    bench.wires.append(wire)
    return wire


async def test_the_role_decides_the_group_and_the_group_the_rights(bench: Bench, authority: Authority) -> None:
    server = await serve(bench, authority)
    operator = await connect(bench, server, client_context(authority, authority.issue("op", utf8("Operator"))))
    assert await operator.ask(read(1000, 1)) == bytes((3, 2, 0, 7))
    assert await operator.ask(write16(1000, b"\0\x09")) == struct.pack(">BHH", 16, 1000, 1)
    assert bench.commands.calls[0][1].user == "bms"
    viewer = await connect(bench, server, client_context(authority, authority.issue("view", utf8("Viewer"))))
    assert await viewer.ask(read(1000, 1)) == bytes((3, 2, 0, 9))
    assert await viewer.ask(write16(1000, b"\0\x08")) == bytes((0x90, 2))
    assert len(bench.commands.calls) == 1


@pytest.mark.parametrize(
    "role", [None, utf8("Stranger"), utf8("Elsewhere"), b"\x13\x08Operator", b"\x0c\x09Operator", b""]
)
async def test_no_role_an_unknown_one_or_the_wrong_network_is_refused(
    bench: Bench, authority: Authority, role: bytes | None
) -> None:
    server = await serve(bench, authority)
    wire = await connect(bench, server, client_context(authority, authority.issue("client", role)))
    wire.send(adu(1, read(1000, 1)))
    assert await wire.closed()
    assert server.clients == []
    assert server.counters.refused == 1


async def test_certificates_of_nobody_of_another_authority_or_expired_end_at_the_handshake(
    bench: Bench, authority: Authority, tmp_path: Path
) -> None:
    server = await serve(bench, authority)
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", "other").issue("op", utf8("Operator"))
    for files in (None, stranger, authority.issue("old", utf8("Operator"), days=-1)):
        wire = await connect(bench, server, client_context(authority, files))
        wire.send(adu(1, read(1000, 1)))
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await wire.frame()
    old = client_context(authority, authority.issue("op", utf8("Operator")))
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await connect(bench, server, old)
    assert server.counters.connections == 0


async def test_requests_split_over_records_and_pipelined_in_one(bench: Bench, authority: Authority) -> None:
    server = await serve(bench, authority)
    wire = await connect(bench, server, client_context(authority, authority.issue("op", utf8("Operator"))))
    for byte in adu(5, read(1000, 1)):
        wire.send(bytes((byte,)))
        await wire.writer.drain()
    assert await wire.frame() == (5, 1, bytes((3, 2, 0, 7)))
    wire.send(b"".join(adu(number, read(1000, 1)) for number in range(10, 30)))
    assert [(await wire.frame())[0] for _ in range(20)] == list(range(10, 30))


async def test_two_hundred_failed_handshakes_leave_nothing_behind(bench: Bench, authority: Authority) -> None:
    server = await serve(bench, authority)
    good = await connect(bench, server, client_context(authority, authority.issue("op", utf8("Operator"))))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for n in range(200):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.secure_port)
        writer.write((b"\x16\x03\x01\x00\x05hello", adu(1, read(1000, 1)), b"GET / HTTP/1.1\r\n\r\n")[n % 3])
        assert len(await asyncio.wait_for(reader.read(), 5)) < 64
        writer.close()
    assert await good.ask(read(1000, 1)) == bytes((3, 2, 0, 7))
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
    assert len(server.clients) == 1
    gc.collect()
    assert len([thing for thing in gc.get_objects() if isinstance(thing, Connection)]) == 1


async def test_M08_unfinished_handshakes_are_few_and_hold_nobody_up(bench: Bench, authority: Authority) -> None:
    server = await serve(bench, authority)
    before = len(list(Path("/proc/self/fd").iterdir()))
    held = [Wire(*await asyncio.open_connection("127.0.0.1", server.secure_port)) for _ in range(200)]
    bench.wires += held
    for wire in held[:-MOST_OF_ONE]:
        assert await wire.closed()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 200 + MOST_OF_ONE
    await until(lambda: server.counters.failed_handshakes == 200 - MOST_OF_ONE)
    operator = await connect(bench, server, client_context(authority, authority.issue("op", utf8("Operator"))))
    assert await operator.ask(read(1000, 1)) == bytes((3, 2, 0, 7))
    await server.stop()
    for wire in held[-MOST_OF_ONE:]:
        assert await wire.closed()


async def test_M08_when_all_handshakes_are_taken_the_host_with_most_makes_room(
    bench: Bench, authority: Authority
) -> None:
    server = await serve(bench, authority)
    wires: dict[str, list[Wire]] = {}
    for host, count in (("127.0.0.2", 13), ("127.0.0.3", 16), ("127.0.0.4", 16), ("127.0.0.5", 16), ("127.0.0.6", 4)):
        for _ in range(count):
            streams = await asyncio.open_connection("127.0.0.1", server.secure_port, local_addr=(host, 0))
            wires.setdefault(host, []).append(Wire(*streams))
        bench.wires += wires[host]
    assert sum(map(len, wires.values())) == MOST + 1
    assert await wires["127.0.0.3"][0].closed()
    await until(lambda: server.counters.failed_handshakes == 1)


async def test_a_handshake_under_way_does_not_outlive_the_certificates_it_began_with(
    bench: Bench, authority: Authority
) -> None:
    server = await serve(bench, authority)
    wire = Wire(*await asyncio.open_connection("127.0.0.1", server.secure_port))
    bench.wires.append(wire)
    await until(lambda: len(bench.tasks) == 1)
    await server.secure(None)
    assert await wire.closed()
    await until(lambda: server.counters.failed_handshakes == 1)
    assert server.counters.connections == 0


async def test_M13_a_host_of_no_role_shows_no_certificate(bench: Bench, authority: Authority) -> None:
    certificate, key = authority.issue("gateway")
    security = Security("127.0.0.1", 0, certificate, key, authority.file, {"Elsewhere": "away"})
    observatory = Observatory(bench.clock)
    server = await bench.serve(groups=[BMS, AWAY], security=security, observatory=observatory)
    wire = Wire(*await asyncio.open_connection("127.0.0.1", server.secure_port))
    bench.wires.append(wire)
    assert await wire.closed()
    assert (server.counters.refused, server.counters.failed_handshakes) == (1, 0)
    (hint,) = observatory.hints()
    assert hint["id"] == "no_group"
    assert "no role of modbus.tls.roles, or its address is not in `allow`" in hint["text"]


async def test_M15_a_secure_listener_without_descriptors_tries_again(
    bench: Bench, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.servers.modbus.lobby.AGAIN_S", 0.01)
    told: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
    server = await serve(bench, authority)
    secure = client_context(authority, authority.issue("op", utf8("Operator")))
    accept, full = socket.socket.accept, OSError(errno.EMFILE, "too many open files")

    def refuse(sock: socket.socket) -> None:
        monkeypatch.setattr(socket.socket, "accept", accept)
        raise full

    monkeypatch.setattr(socket.socket, "accept", refuse)
    operator = await connect(bench, server, secure)
    assert await operator.ask(read(1000, 1)) == bytes((3, 2, 0, 7))
    assert [context["exception"] for context in told] == [full]


async def test_M09_a_secure_client_that_never_reads_is_closed(bench: Bench, authority: Authority) -> None:
    server = await serve(bench, authority)
    wire = await connect(bench, server, client_context(authority, authority.issue("op", utf8("Operator"))))
    wire.writer.transport.pause_reading()
    block = adu(1, read(1000, 125)) * 100

    async def ask_on() -> None:
        for _ in range(2000):
            wire.send(block)
            await asyncio.wait_for(wire.writer.drain(), 5)
            await asyncio.sleep(0)

    with pytest.raises((ConnectionError, TimeoutError)):
        await ask_on()
    assert server.counters.slow_readers == 1
    assert server.clients == []


async def test_a_wrong_file_is_named(bench: Bench, authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("gateway")
    other = authority.issue("other")[1]
    for files, named in (
        ((certificate, other, authority.file), "other.key"),
        ((certificate, key, tmp_path / "missing.pem"), "missing.pem: no such file"),
    ):
        with pytest.raises(OSError, match=named):
            await bench.serve(security=Security("127.0.0.1", 0, *files, ROLES))


def test_the_role_of_anything_else_is_none() -> None:
    assert role_of(None) == ""
    assert role_of(b"no certificate") == ""

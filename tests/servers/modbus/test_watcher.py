"""What the server tells the observatory: every request is counted, some are looked at, nothing is kept of the gone."""

from __future__ import annotations

import random
from typing import Any

import pytest

from gateway.engine.observatory import MOST_CLIENTS, ClientLog, Observatory
from gateway.servers.modbus import watcher
from gateway.servers.modbus.watcher import MOST_LOOKS, Watcher, host_of
from tests.servers.modbus.conftest import Bench, adu, read, write16
from tests.site import until


@pytest.fixture
async def seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The observatory of a running server, with the number of requests that were looked at."""
    looked: list[bytes] = []
    saw = Watcher.saw

    def count(self: Watcher, connection: Any, unit: int, pdu: bytes, answer: bytes) -> None:
        looked.append(pdu)
        saw(self, connection, unit, pdu, answer)

    monkeypatch.setattr(watcher.Watcher, "saw", count)
    observatory = Observatory(bench.clock)
    await bench.serve(observatory=observatory)
    bench.point("limit", (1040, "float32"), command=True)
    return observatory, looked


def log_of(observatory: Observatory) -> ClientLog:
    log = observatory.known("modbus", "127.0.0.1")
    assert log is not None
    return log


async def test_every_request_is_counted_by_function_and_a_few_are_looked_at(bench: Bench, seen: Any) -> None:
    observatory, looked = seen
    wire = await bench.connect()
    for turn in range(150):
        await wire.ask(read(1040, 2, 3 + turn % 2))
    assert (await wire.ask(write16(1040, bytes(4))))[0] == 16
    assert (await wire.ask(read(900, 2)))[0] == 0x83
    assert len(looked) == MOST_LOOKS
    observatory.tick()
    log = log_of(observatory)
    assert log.functions == {"3": 76, "4": 75, "16": 1}
    assert (log.requests, log.exceptions, log.writes, log.connections) == (152, 1, 1, 1)
    assert log.codes == {"2": 1}
    observatory.tick()
    assert observatory.requests["modbus", "3"] == 76
    for _ in range(60):
        await wire.ask(read(1040, 2))
    assert len(looked) == MOST_LOOKS + 2 * watcher.LOOKS_PER_S


async def test_requests_in_one_segment_are_counted_too(bench: Bench, seen: Any) -> None:
    observatory, _ = seen
    wire = await bench.connect()
    wire.send(b"".join(adu(number, read(1040, 2, 4)) for number in range(130)))
    for _ in range(130):
        await wire.frame()
    observatory.tick()
    assert log_of(observatory).functions == {"4": 130}


async def test_a_short_connection_is_not_lost(bench: Bench, seen: Any) -> None:
    observatory, _ = seen
    wire = await bench.connect()
    await wire.ask(read(1040, 2))
    wire.writer.close()
    await until(lambda: log_of(observatory).connections == 0)
    assert log_of(observatory).requests == 1


async def test_a_client_that_was_forgotten_while_connected_is_noted_again(bench: Bench, seen: Any) -> None:
    observatory, _ = seen
    wire = await bench.connect()
    await wire.ask(read(1040, 2))
    observatory.tick()
    for number in range(MOST_CLIENTS):
        observatory.client("bacnet", f"10.0.{number // 250}.{number % 250}")
    assert observatory.known("modbus", "127.0.0.1") is None
    await wire.ask(read(1040, 2))
    observatory.tick()
    assert (log_of(observatory).requests, log_of(observatory).connections) == (1, 1)
    wire.writer.close()
    await until(lambda: log_of(observatory).connections == 0)


async def test_a_stopped_server_is_asked_no_more(bench: Bench, seen: Any) -> None:
    observatory, _ = seen
    await bench.servers[0].stop()
    assert observatory._folds == []


def test_hosts() -> None:
    assert host_of("10.0.0.8:502") == "10.0.0.8"
    assert host_of("[fe80::1]:502") == "fe80::1"


async def test_whatever_a_client_sends_it_is_answered(bench: Bench, seen: Any) -> None:
    observatory, looked = seen
    chance = random.Random(7)
    wire = await bench.connect()
    for _ in range(2000):
        function = chance.choice([1, 2, 3, 4, 5, 6, 15, 16, 22, 23, 43, chance.randrange(128)])
        pdu = bytes((function,)) + chance.choice(EDGES) + chance.randbytes(chance.randrange(12))
        unit = chance.choice([1, 1, 1, 7])
        answer = await wire.ask(pdu, unit)
        assert answer[0] & 0x7F == function & 0x7F
        if len(looked) % 20 == 0:
            observatory.tick()
    assert len(looked) > 300
    assert log_of(observatory).requests > 1900


EDGES = [
    b"",
    b"\xff\xff\xff\xff",
    b"\xff\xff\x00\x01",
    b"\x00\x00\xff\xff",
    b"\x04\x10\x00\x02",
    b"\x04\x0f\x00\x01",
]

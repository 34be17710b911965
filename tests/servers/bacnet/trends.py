"""A server with Trend Logs over a real recorder, and a decoder of ReadRange answers that knows nothing of ours."""

from __future__ import annotations

import struct
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.addressing import PlacedObject, PlacedPoint, PlacedTrend
from gateway.core.point import KindSpec, ObjectSpec, PointSpec
from gateway.core.trend import TrendSpec
from gateway.core.value import GOOD, Quality, Sample, Value, ValueKind
from gateway.engine.recorder import Recorder
from gateway.engine.resource import Resource
from gateway.store.history import SqliteHistory
from tests.servers.bacnet.conftest import STATES, Bench, RawClient, make_bench

TREND_LOG, LOG_BUFFER = 20, 131
ZONE = KindSpec("zone", None, None, None, {}, {}, None, None)
POINTS: dict[str, tuple[str, int, PointSpec]] = {
    "amps": ("analog-input", 50, PointSpec(name="amps", kind=ValueKind.NUMBER, unit="A", trend=TrendSpec(60.0, 200))),
    "plugged": ("binary-input", 50, PointSpec(name="plugged", kind=ValueKind.BOOL, trend=TrendSpec(None, 50))),
    "charge_mode": (
        "multi-state-input",
        50,
        PointSpec(name="charge_mode", kind=ValueKind.ENUM, codes=STATES, trend=TrendSpec(None, 50)),
    ),
}
LOGS = {"amps": 500, "plugged": 501, "charge_mode": 502}


@dataclass
class TrendBench:
    """The server, and time that moves second by second."""

    bench: Bench
    recorder: Recorder
    index: dict[str, int] = field(default_factory=dict)

    def set(self, point: str, value: Value | None, quality: Quality = GOOD) -> None:
        self.bench.table.update([(self.index[point], Sample(value, quality, "", self.bench.clock.now))])

    def minute(self, value: Value | None, quality: Quality = GOOD) -> None:
        """One more record of the polled log."""
        self.set("amps", value, quality)
        for _ in range(60):
            self.bench.clock.now += 1
            self.recorder.tick()

    @property
    def wall(self) -> float:
        return self.bench.clock.wall()


@asynccontextmanager
async def trend_bench(
    folder: Path, networks: Sequence[str] = ("127.0.0.0/8",), now: float | None = None
) -> AsyncIterator[TrendBench]:
    bench = make_bench(networks=networks)
    if now is not None:
        bench.clock.now = now
    bench.clock.now -= bench.clock.wall() % 60  # so that a record is due with each minute that is passed
    archive = SqliteHistory(folder)
    recorder = Recorder(bench.table, bench.clock, archive, bench.alarms)
    archive.on_fault, archive.on_lost = recorder.on_fault, recorder.on_lost
    await recorder.open()
    bench.server._board.history = recorder
    made = TrendBench(bench, recorder)
    for name in POINTS:
        made.index[name] = place(made, name)
    await bench.server.start()
    yield made
    await bench.server.stop()
    await recorder.close()


def place(made: TrendBench, name: str, label: str = "Zone B") -> int:
    """Serves a point with its Trend Log, or renames it."""
    kind, instance, spec = POINTS[name]
    full = f"evce/zone/{label}/{name}"
    table = made.bench.table
    index = made.index[name] if name in made.index else table.add(full, spec)
    target = PlacedObject(kind, instance, ObjectSpec(kind, 0))
    placed = PlacedPoint(full, spec, (), (target,), PlacedTrend(LOGS[name], target))
    made.recorder.learn(Resource("evce", ZONE, label, "1", None, block=3), [(index, placed)])
    made.bench.server.place([(index, placed)])
    return index


# -- octets --------------------------------------------------------------------------------------------------------


def read_range(instance: int, *rest: bytes, prop: int = LOG_BUFFER, kind: int = TREND_LOG, apdu: int = 5) -> bytes:
    """A ReadRange request; `apdu` is the code of the longest answer taken (5: 1476 octets)."""
    key = (kind << 22 | instance).to_bytes(4, "big")
    return bytes((0x02, 0x70 | apdu, 0x21, 26)) + b"\x0c" + key + b"\x19" + bytes((prop,)) + b"".join(rest)


def by_position(index: int, count: int) -> bytes:
    return b"\x3e" + unsigned(index) + signed(count) + b"\x3f"


def by_sequence(number: int, count: int) -> bytes:
    return b"\x6e" + unsigned(number) + signed(count) + b"\x6f"


def by_time(at: float, count: int) -> bytes:
    return b"\x7e" + moment(at) + signed(count) + b"\x7f"


def unsigned(value: int) -> bytes:
    data = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return bytes((0x20 | len(data),)) + data


def signed(value: int) -> bytes:
    data = value.to_bytes(2, "big", signed=True)
    return b"\x32" + data


def moment(at: float) -> bytes:
    local = time.localtime(at)
    day = bytes((0xA4, local.tm_year - 1900, local.tm_mon, local.tm_mday, local.tm_wday + 1))
    return day + bytes((0xB4, local.tm_hour, local.tm_min, local.tm_sec, round(at % 1 * 100)))


@dataclass(frozen=True)
class LogRecord:
    """A record as it stood on the wire: local time, which choice of datum, its value, and Status_Flags."""

    at: tuple[int, ...]
    choice: int
    value: Any
    flags: str | None


@dataclass(frozen=True)
class Page:
    """A ReadRange-ACK; `flags` are first, last, more."""

    flags: str
    count: int
    records: Sequence[LogRecord]
    sequence: int | None

    @property
    def values(self) -> list[Any]:
        return [record.value for record in self.records]


def decode(apdu: bytes, instance: int) -> Page:
    """Every octet of the answer is accounted for."""
    assert apdu[:3] == b"\x30\x21\x1a", apdu.hex()
    rest = apdu[3:]
    assert rest[:5] == b"\x0c" + (TREND_LOG << 22 | instance).to_bytes(4, "big")
    assert rest[5:7] == bytes((0x19, LOG_BUFFER))
    assert rest[7:9] == b"\x3a\x05"
    flags, rest = f"{rest[9] >> 5:03b}", rest[10:]
    count, rest = context(rest, 4)
    assert rest[0] == 0x5E
    rest, records = rest[1:], []
    while rest[0] != 0x5F:
        record, rest = log_record(rest)
        records.append(record)
    rest = rest[1:]
    sequence, rest = context(rest, 6) if rest else (None, b"")
    assert rest == b""
    assert len(records) == count
    return Page(flags, count, records, sequence)


def log_record(data: bytes) -> tuple[LogRecord, bytes]:
    assert data[0] == 0x0E
    assert data[1] == 0xA4
    assert data[6] == 0xB4
    assert data[11:13] == b"\x0f\x1e"
    at = (1900 + data[2], *data[3:6], *data[7:11])
    first = data[13]
    choice, length = first >> 4, first & 7
    if length == 6:  # a failure: error class and code
        assert data[14] >> 4 == data[16] >> 4 == 9
        value: Any = (data[15], data[17])
        assert data[18] == choice << 4 | 0x0F
        rest = data[19:]
    else:
        content, rest = data[14 : 14 + length], data[14 + length :]
        if choice in (2, 9):
            value = struct.unpack(">f", content)[0]
        else:
            value = f"{content[1] >> 5:03b}" if choice == 0 else int.from_bytes(content, "big")
    assert rest[0] == 0x1F
    rest, flags = rest[1:], None
    if rest[0] == 0x2A:
        assert rest[1] == 4
        flags, rest = f"{rest[2] >> 4:04b}", rest[3:]
    return LogRecord(at, choice, value, flags), rest


def context(data: bytes, number: int) -> tuple[int, bytes]:
    assert data[0] & 0xF8 == number << 4 | 8, data.hex()
    length = data[0] & 7
    return int.from_bytes(data[1 : 1 + length], "big"), data[1 + length :]


class Reader:
    """Asks one server by octets."""

    def __init__(self, client: RawClient) -> None:
        self._client = client

    async def page(self, name: str, *rest: bytes, apdu: int = 5) -> Page:
        answer = await self._client.ask(datagram(read_range(LOGS[name], *rest, apdu=apdu)), 2.0)
        assert answer is not None
        assert len(answer) - 6 <= (50, 128, 206, 480, 1024, 1476)[apdu]
        return decode(answer[6:], LOGS[name])

    async def refused(self, *rest: bytes, **more: int) -> str:
        """The answer that is no acknowledgement, without its invoke id."""
        instance = more.pop("instance", 500)
        answer = await self._client.ask(datagram(read_range(instance, *rest, **more)), 2.0)
        assert answer is not None
        return (answer[6:7] + answer[8:]).hex()


def datagram(apdu: bytes) -> bytes:
    """An Original-Unicast-NPDU."""
    return b"\x81\x0a" + (6 + len(apdu)).to_bytes(2, "big") + b"\x01\x04" + apdu


Raw = Callable[[Bench], RawClient]

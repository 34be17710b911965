"""An independent client that knows nothing but the exported CSV reads what the BACnet twin says."""

from __future__ import annotations

import asyncio
import csv
import io
import math
import struct
from pathlib import Path
from typing import Any

import pytest
from pyModbusTCP.client import ModbusClient
from rusty_bacnet import BACnetClient, ObjectIdentifier, ObjectType, PropertyIdentifier

from gateway.app.export import planned_spec
from gateway.export import documents
from tests.servers.bacnet.rusty import Rusty
from tests.site import Running, StillClock, running_site

CODES = {
    "bool": "H",
    "enum": "H",
    "bits": "H",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}
P = PropertyIdentifier
TYPES = {
    "analog-input": ObjectType.ANALOG_INPUT,
    "analog-value": ObjectType.ANALOG_VALUE,
    "binary-input": ObjectType.BINARY_INPUT,
    "binary-value": ObjectType.BINARY_VALUE,
    "multi-state-input": ObjectType.MULTI_STATE_INPUT,
    "multi-state-value": ObjectType.MULTI_STATE_VALUE,
    "characterstring-value": ObjectType.CHARACTERSTRING_VALUE,
}
Row = dict[str, str]


def words_of(client: ModbusClient, row: Row) -> list[int]:
    """The registers as a tool reads them that was given this line of the list."""
    client.unit_id = int(row["unit_id"])
    first, count = int(row["address"]), int(row["count"])
    assert row["holding_6"] == f"4{first + 1:05}"
    holding, inputs = client.read_holding_registers(first, count), client.read_input_registers(first, count)
    assert holding is not None, f"{row['point']}: {client.last_except_as_txt or client.last_error_as_txt}"
    assert len(inputs) == len(holding) == count
    return list(holding)


def decoded(row: Row, words: list[int]) -> Any:
    """The value, None for what the column `no_value` says."""
    if " ".join(f"{word:04X}" for word in words) == row["no_value"].partition(";")[0]:
        return None
    ordered = words[::-1] if row["word_order"] == "little" and not row["type"].startswith("string") else words
    data = b"".join(struct.pack(">H" if row["byte_order"] == "big" else "<H", word) for word in ordered)
    if row["type"].startswith("string("):
        return data.split(b"\0")[0].decode()
    value = struct.unpack(">" + CODES[row["type"]], data)[0]
    if row["bit"]:
        return value >> int(row["bit"]) & 1
    return value * float(row["scale"])


def agree(row: Row, value: Any, twin: Any) -> bool:
    if isinstance(value, str) and isinstance(twin, str):
        room = int(row["type"].removeprefix("string(").rstrip(")"))
        return value == twin.encode()[:room].decode(errors="ignore")
    if isinstance(twin, str):
        return value is None and not twin
    if value is None or math.isnan(value):
        return math.isnan(twin)
    return bool(twin == pytest.approx(value, rel=1e-5, abs=1e-6))


async def twin_of(client: BACnetClient, site: Running, row: Row) -> Any:
    """Present_Value; NaN for a state that says by its Reliability that it is none."""
    rusty = Rusty(client, f"127.0.0.1:{site.bacnet_port}")
    value, reliability, _ = await rusty.state(ObjectIdentifier(TYPES[row["object_type"]], int(row["instance"])))
    if isinstance(value, str):
        return value
    return math.nan if reliability else float(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dialect", "units", "orders"),
    [
        ("desc", "one", {}),
        ("nested", "per_source", {"word_order": "little"}),
        ("desc", "per_resource", {"word_order": "little", "byte_order": "little"}),
    ],
)
async def test_the_csv_list_is_enough_to_read_everything(
    tmp_path: Path, dialect: str, units: str, orders: dict[str, str]
) -> None:
    def change(data: dict[str, Any]) -> None:
        data["modbus"] |= {"units": units, **orders}

    small = {"stations": 3, "zones": 2, "meters": 1, "clock": StillClock()}
    async with running_site(tmp_path, dialect, change=change, **small) as site:  # type: ignore[arg-type]
        await site.complete()
        await site.until(lambda: site.value("gateway/header/map_hash") == site.daemon.map_hash())  # once a second
        spec = await asyncio.to_thread(planned_spec, site.daemon.site)
        assert spec.head.map_hash == f"{site.daemon.map_hash():016x}", "the files say what is running"
        text = documents(spec, "registers", "csv")[0].content.decode()
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        compared = 0
        modbus = ModbusClient("127.0.0.1", site.modbus_port, timeout=5, auto_open=True)
        async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as client:
            for row in (row for row in rows if row["address"]):
                before = decoded(row, await asyncio.to_thread(words_of, modbus, row))
                if row["type"] == "bool" and not (before is None and row["optional"]):
                    coils = await asyncio.to_thread(modbus.read_coils, int(row["address"]), 1)
                    said = None if coils is None else float(coils[0])
                    assert said == before, f"{row['point']}: register {before!r}, coil {said!r}"
                if not row["object_type"]:
                    continue
                twin = await twin_of(client, site, row)
                after = decoded(row, await asyncio.to_thread(words_of, modbus, row))
                same = agree(row, before, twin) or agree(row, after, twin)
                assert same or between(before, twin, after), f"{row['point']}: {before!r}, {twin!r}, {after!r}"
                compared += 1
            assert compared > 150
            await check_hash(modbus, client, site, rows)
        modbus.close()


def between(before: Any, twin: Any, after: Any) -> bool:
    """An age counts on while it is read."""
    numbers = [one for one in (before, twin, after) if isinstance(one, (int, float))]
    return len(numbers) == 3 and before <= twin <= after


async def check_hash(modbus: ModbusClient, client: BACnetClient, site: Running, rows: list[Row]) -> None:
    """The hash of the file is in registers 3 to 6 of every unit, and in the BACnet object the list names."""
    (expected,) = {row["map_hash"] for row in rows}
    for unit in sorted({row["unit_id"] for row in rows if row["unit_id"]}):
        modbus.unit_id = int(unit)
        words = await asyncio.to_thread(modbus.read_holding_registers, 3, 4)
        header = next(row for row in rows if row["point"] == "gateway/header/map_hash")
        data = b"".join(struct.pack(">H" if header["byte_order"] == "big" else "<H", word) for word in words)
        if header["word_order"] == "little":
            data = b"".join(data[i : i + 2] for i in range(6, -1, -2))
        assert data.hex() == expected
    row = next(row for row in rows if row["point"] == "gateway/header/map_hash_text")
    assert await twin_of(client, site, row) == expected


def set_bits(value: Any) -> set[int]:
    return {bit for bit in range(len(value["data"]) * 8) if value["data"][bit // 8] >> (7 - bit % 8) & 1}


async def test_the_ede_files_say_what_a_client_reads(tmp_path: Path) -> None:
    small = {"stations": 2, "zones": 1, "meters": 1, "clock": StillClock()}
    async with running_site(tmp_path, **small) as site:  # type: ignore[arg-type]
        await site.complete()
        spec = await asyncio.to_thread(planned_spec, site.daemon.site)
        text = next(one for one in documents(spec, "ede", "csv") if one.name.endswith("_EDE.csv")).content.decode()
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))[8:]
        assert len(rows) > 150
        async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as client:
            rusty = Rusty(client, f"127.0.0.1:{site.bacnet_port}")
            device = ObjectIdentifier(ObjectType.DEVICE, 260001)
            assert await rusty.read(device, P.OBJECT_LIST, 0) == len(rows), "every object, and no other"
            for row in rows:
                key = ObjectIdentifier(ObjectType.from_raw(int(row[3])), int(row[4]))
                assert await rusty.read(key, P.OBJECT_NAME) == row[2]
                if row[5]:
                    assert await rusty.read(key, P.DESCRIPTION) == row[5]
                if row[14]:
                    assert await rusty.read(key, P.UNITS) == int(row[14])
            facts = spec.facts
            assert facts is not None
            assert set_bits(await rusty.read(device, P.PROTOCOL_SERVICES_SUPPORTED)) == set(facts.services)
            assert set_bits(await rusty.read(device, P.PROTOCOL_OBJECT_TYPES_SUPPORTED)) == set(facts.types)

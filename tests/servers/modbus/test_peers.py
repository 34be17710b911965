"""Clients that other people wrote, and values that must never be torn."""

from __future__ import annotations

import asyncio
import math
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyModbusTCP.client import ModbusClient
from pyModbusTCP.utils import decode_ieee, word_list_to_long

from gateway.core.value import GOOD, Sample
from tests.servers.modbus.conftest import Bench, adu, read

ORDERS = {"ABCD": ("big", "big"), "CDAB": ("little", "big"), "BADC": ("big", "little"), "DCBA": ("little", "little")}


async def run(*command: str) -> tuple[int, str]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def with_client(bench: Bench, work: Callable[[ModbusClient], Any]) -> Any:
    def session() -> Any:
        client = ModbusClient("127.0.0.1", bench.servers[-1].port, unit_id=1, timeout=5, auto_close=False)
        try:
            return work(client)
        finally:
            client.close()

    return await asyncio.to_thread(session)


async def test_pymodbustcp_reads_all_word_orders(bench: Bench) -> None:
    await bench.serve()
    for n, (word, byte) in enumerate(ORDERS.values()):
        bench.set(bench.point(f"p{n}", (1000 + 2 * n, "float32", {"word_order": word, "byte_order": byte})), 123456.0)
    found = await with_client(bench, lambda c: (c.read_holding_registers(1000, 8), c.read_input_registers(1000, 8)))
    assert found[0] == found[1]
    assert found[0] == [0x47F1, 0x2000, 0x2000, 0x47F1, 0xF147, 0x0020, 0x0020, 0xF147]
    assert decode_ieee(word_list_to_long(found[0][:2])[0]) == 123456.0


async def test_pymodbustcp_writes_and_exceptions(bench: Bench) -> None:
    await bench.serve()
    limit = bench.point("limit", (1040, "float32"), command=True)
    switch = bench.point("switch", (1050, "bool"), command=True)

    def work(client: ModbusClient) -> list[Any]:
        return [
            client.write_multiple_registers(1040, [0x4200, 0x0000]),
            client.write_single_coil(1050, True),
            client.read_coils(1050, 1),
            client.read_discrete_inputs(1050, 1),
            client.write_multiple_coils(1050, [False]),
            client.write_single_register(1040, 1),
            client.last_except,
            client.read_holding_registers(900, 1),
            client.last_except,
            client.write_read_multiple_registers(1040, [0x4204, 0], 1040, 2),
            client.read_device_identification().objects_by_id[0],
        ]

    assert await with_client(bench, work) == [
        True,
        True,
        [True],
        [True],
        True,
        False,
        3,
        None,
        2,
        [0x4204, 0],
        b"EVCE gateway",
    ]
    assert bench.commands.asked == [(limit, 32.0, 10), (switch, True, 10), (switch, False, 10), (limit, 33.0, 10)]


async def mbpoll(bench: Bench, *arguments: str) -> tuple[int, str]:
    port = str(bench.servers[-1].port)
    return await run("mbpoll", "-m", "tcp", "-a", "1", "-p", port, "-0", "-1", "-q", *arguments)


async def test_mbpoll_reads_and_writes(bench: Bench) -> None:
    await bench.serve()
    bench.set(bench.point("be", (1000, "float32")), 123456.0)
    bench.set(bench.point("le", (1002, "float32", {"word_order": "little"})), 123456.0)
    limit = bench.point("limit", (1040, "uint16"), command=True)
    other = bench.point("other", (1041, "uint16"), command=True)
    for order in ("-B",), ():
        code, out = await mbpoll(bench, "-r", "1000" if order else "1002", "-t", "4:float", *order, "127.0.0.1")
        assert code == 0
        assert "123456" in out
    code, out = await mbpoll(bench, "-r", "1000", "-c", "2", "-t", "3:hex", "127.0.0.1")
    assert code == 0
    assert "0x47F1" in out
    assert "0x2000" in out
    code, _ = await mbpoll(bench, "-r", "1040", "-t", "4", "127.0.0.1", "12", "13")
    assert code == 0
    assert bench.commands.asked == [(limit, 12, 10), (other, 13, 10)]
    code, out = await mbpoll(bench, "-r", "900", "-t", "4", "127.0.0.1")
    assert code != 0
    assert "Illegal data address" in out


async def test_tshark_finds_nothing_malformed(bench: Bench, tmp_path: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    server = await bench.serve()
    bench.point("limit", (1040, "float32"), command=True)
    capture = tmp_path / "c.pcap"
    process = await asyncio.create_subprocess_exec(
        *("tshark", "-i", "lo", "-f", f"tcp port {server.port}", "-w", str(capture)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        said = b""
        while b"Capturing on" not in said:
            line = await asyncio.wait_for(process.stderr.readline(), 20)
            if not line:
                pytest.skip(f"tshark cannot capture on lo: {said.decode()[-200:]}")
            said += line
        wire = await bench.connect()

        async def captured() -> None:
            """Asks until the answer stands in the file: what came before stands there too."""
            while True:
                answer = adu(wire.transaction + 1, await wire.ask(bytes.fromhex("01 03e8 0001")))
                for _ in range(50):
                    if capture.exists() and answer in capture.read_bytes():
                        return
                    await asyncio.sleep(0.02)

        async with asyncio.timeout(20):
            await captured()
        for pdu in ("03 03e8 007d", "01 03e8 0010", "10 0410 0002 04 41800000", "2b 0e 01 00", "03 0384 0001", "55"):
            await wire.ask(bytes.fromhex(pdu))
        async with asyncio.timeout(20):
            await captured()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
    decode = ("tshark", "-o", f"mbtcp.tcp.port:{server.port}", "-r", str(capture))
    code, out = await run(*decode, "-Y", "_ws.malformed")
    assert (code, [line for line in out.splitlines() if "Running as user" not in line]) == (0, [])
    code, out = await run(*decode, "-Y", "modbus", "-T", "fields", "-e", "modbus.func_code")
    assert out.split().count("3") == 4


async def test_no_value_is_torn_while_the_table_changes(bench: Bench) -> None:
    await bench.serve()
    points = [bench.point(f"p{n}", (1000 + 4 * n, "float64")) for n in range(30)]
    done = asyncio.Event()
    values = [math.pi * 10.0**n for n in range(-146, 147)]

    async def change() -> None:
        n = 0
        while not done.is_set():
            value = values[n % len(values)]
            bench.table.update((point, Sample(value, GOOD, "", 100.0)) for point in points)
            n += 1
            await asyncio.sleep(0)

    bench.table.update((point, Sample(values[0], GOOD, "", 100.0)) for point in points)
    changing = bench.spawn(change())
    wire = await bench.connect()
    seen = set()
    for _ in range(1500):
        answer = struct.unpack(">30d", (await wire.ask(read(1000, 120)))[2:])
        assert len(set(answer)) == 1, "one answer shows one step"
        seen.add(answer[0])
    done.set()
    await changing
    assert seen <= set(values)
    assert len(seen) > 20

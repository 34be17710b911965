"""Two clients of the node world on one connection: they send on without waiting for answers, as Node-RED does."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gateway.core.value import ValueKind
from tests.servers.modbus.conftest import Bench

JS = Path(__file__).parent / "js"
LIBRARIES = ("modbus-serial", "jsmodbus")


async def node(library: str, port: int, *calls: tuple[Any, ...]) -> list[Any]:
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")
    if not (JS / "node_modules" / library).is_dir():
        pytest.skip(f"{library} is not installed (npm install in tests/servers/modbus/js)")
    process = await asyncio.create_subprocess_exec(
        program,
        "client.js",
        library,
        str(port),
        cwd=JS,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(json.dumps(calls).encode()), 20)
    assert process.returncode == 0, err.decode()
    results: list[Any] = json.loads(out)
    return results


@pytest.mark.parametrize("library", LIBRARIES)
async def test_M04_ten_reads_at_once_on_one_connection_are_all_answered(bench: Bench, library: str) -> None:
    server = await bench.serve()
    for register in range(1000, 1040):
        bench.set(bench.point(f"p{register}", (register, "uint16")), register)
    found = await node(library, server.port, *(("readHoldingRegisters", 1000 + n, 4) for n in range(10)))
    assert found == [[1000 + n, 1001 + n, 1002 + n, 1003 + n] for n in range(10)]
    assert server.counters.connections == 1


@pytest.mark.parametrize("library", LIBRARIES)
async def test_every_function_they_know(bench: Bench, library: str) -> None:
    server = await bench.serve()
    limit = bench.point("limit", (1040, "uint16"), command=True)
    other = bench.point("other", (1041, "uint16"), command=True)
    switch = bench.point("switch", (1050, "bool"), command=True, kind=ValueKind.BOOL)
    found = await node(
        library,
        server.port,
        ("writeSingleRegister", 1040, 32),
        ("writeMultipleRegisters", 1040, [33, 16]),
        ("writeSingleCoil", 1050, True),
        ("readCoils", 1050, 1),
        ("writeMultipleCoils", 1050, [False]),
        ("readHoldingRegisters", 1040, 2),
        ("readInputRegisters", 1040, 2),
        ("readHoldingRegisters", 900, 1),
    )
    assert bench.commands.asked == [
        (limit, 32, 10),
        (limit, 33, 10),
        (other, 16, 10),
        (switch, True, 10),
        (switch, False, 10),
    ]
    assert found[5:7] == [[33, 16], [33, 16]]
    assert found[3][0] in (1, True)
    assert found[7]["error"] == 2

"""The same valid requests to this server and to libmodbus's: the same bytes come back, and the same map is left.

The maps are alike on purpose: registers 0..499 are whole numbers, 500..999 are booleans asked for as coils, so that
what differs by design is not asked for: a boolean's register and coil are one thing here, and no written number is
0xFFFF, which means "no value" in a register.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.addressing import Span
from gateway.core.value import ValueKind
from tests.servers.modbus.conftest import Bench, Wire

SOURCE = Path(__file__).parent / "peers" / "libmodbus_server.c"
REGISTERS, COILS, END = 0, 500, 1000
LARGEST = 0x7FFF


@pytest.fixture(scope="module")
def libmodbus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A libmodbus server in a process of its own; its port."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("gcc is missing")
    program = tmp_path_factory.mktemp("libmodbus") / "server"
    built = subprocess.run(
        [compiler, "-O2", "-o", program, SOURCE, "-lmodbus"], capture_output=True, text=True, check=False
    )
    if "modbus/modbus.h" in built.stderr:
        pytest.skip("libmodbus-dev is missing")
    assert built.returncode == 0, built.stderr
    with subprocess.Popen([program, "0", str(END)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


def _span(draw: st.DrawFn, first: int, end: int, most: int) -> tuple[int, int]:
    """Address and quantity; one in some leaves the map and must be refused alike."""
    address = draw(st.integers(first, end - 1))
    return address, draw(st.integers(1, min(most, end - address)))


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A PDU that the standard allows."""
    function = draw(st.sampled_from([1, 2, 3, 4, 5, 6, 15, 16, 22, 23, 0]))
    word = st.integers(0, LARGEST)
    if function == 0:  # beyond both maps
        kind = draw(st.sampled_from([1, 2, 3, 4]))
        return struct.pack(">BHH", kind, draw(st.integers(END, 0xFFF0)), draw(st.integers(1, 15)))
    if function in (1, 2):
        return struct.pack(">BHH", function, *_span(draw, COILS, END, 2000))
    if function in (3, 4):
        return struct.pack(">BHH", function, *_span(draw, REGISTERS, COILS, 125))
    if function == 5:
        return struct.pack(">BHH", 5, draw(st.integers(COILS, END - 1)), draw(st.sampled_from([0, 0xFF00])))
    if function == 6:
        return struct.pack(">BHH", 6, draw(st.integers(REGISTERS, COILS - 1)), draw(word))
    if function == 15:
        address, count = _span(draw, COILS, END, 1968)
        data = draw(st.binary(min_size=(count + 7) // 8, max_size=(count + 7) // 8))
        return struct.pack(">BHHB", 15, address, count, len(data)) + data
    if function == 22:
        return struct.pack(">BHHH", 22, draw(st.integers(REGISTERS, COILS - 1)), draw(word), draw(word))
    address, count = _span(draw, REGISTERS, COILS, 121 if function == 23 else 123)
    data = b"".join(value.to_bytes(2, "big") for value in draw(st.lists(word, min_size=count, max_size=count)))
    if function == 16:
        return struct.pack(">BHHB", 16, address, count, len(data)) + data
    wanted = _span(draw, REGISTERS, COILS, 125)
    return struct.pack(">BHHHHB", 23, *wanted, address, count, len(data)) + data


async def _wire(port: int) -> Wire:
    return Wire(*await asyncio.open_connection("127.0.0.1", port))


EXAMPLES = int(os.environ.get("DIFFERENTIAL_EXAMPLES", "60"))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pdus=st.lists(requests(), min_size=1, max_size=40))
def test_every_valid_request_is_answered_as_libmodbus_answers_it(libmodbus: int, pdus: list[bytes]) -> None:
    asyncio.run(_compare(libmodbus, pdus))


async def _compare(port: int, pdus: list[bytes]) -> None:
    bench = Bench()
    await bench.serve(spans=(Span(1, 0, END, 0),))
    try:
        for register in range(REGISTERS, COILS):
            bench.set(bench.point(f"n{register}", (register, "uint16"), command=True), 0)
        for register in range(COILS, END):
            bench.set(bench.point(f"b{register}", (register, "bool"), command=True, kind=ValueKind.BOOL), 0)
        ours, theirs = await bench.connect(), await _wire(port)
        empty = [struct.pack(">BHHB", 16, at, 100, 200) + bytes(200) for at in range(REGISTERS, COILS, 100)] + [
            struct.pack(">BHHB", 15, COILS, 500, 63) + bytes(63)
        ]
        for pdu in empty:
            assert (await theirs.ask(pdu))[0] < 0x80
        everything = [struct.pack(">BHH", 3, at, 125) for at in range(REGISTERS, COILS, 125)]
        everything.append(struct.pack(">BHH", 1, COILS, 500))
        for pdu in [*pdus, *everything]:
            answers = await ours.ask(pdu), await theirs.ask(pdu)
            assert answers[0].hex() == answers[1].hex(), pdu.hex()
        theirs.writer.close()
    finally:
        for wire in bench.wires:
            wire.writer.transport.abort()
        for server in bench.servers:
            await server.stop()

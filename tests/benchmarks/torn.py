"""Are values ever torn? Random reads of 32- and 64-bit values while all of them change, every answer checked.

    python -m tests.benchmarks.torn [--reads 1000000]

A server in a process of its own changes 8,000 values ten times a second, each to a number whose halves repeat, so that
words of two moments cannot look like one. Prints reads and torn values; exits 1 when there is one.
"""

from __future__ import annotations

import asyncio
import random
import struct
import sys
import time

from gateway import telemetry
from gateway.addressing import Span
from gateway.app.loop import run_loop
from gateway.core.value import GOOD, Sample
from tests.benchmarks.rig import REPO
from tests.servers.modbus.conftest import BMS, Bench, adu, read

READS = int(sys.argv[sys.argv.index("--reads") + 1]) if "--reads" in sys.argv else 1_000_000
FIRST, HERE, CLIENTS, BATCH, MOST = 1000, 8000, 4, 50, 120
STEPS_PER_S = 10
HALF = 0x0001_0001
"""A multiple of it has two equal 16-bit words."""


async def serve() -> None:
    """4,000 uint32 and, behind them, 4,000 uint64, all changed in one step."""
    telemetry.configure("error")
    bench = Bench()
    server = await bench.serve(groups=[BMS], spans=(Span(1, 0, 100, 0),), max_connections=64)
    short = [bench.point(f"s{n}", (FIRST + 2 * n, "uint32")) for n in range(4000)]
    wide = [bench.point(f"w{n}", (FIRST + HERE + 4 * n, "uint64")) for n in range(4000)]
    step = 0
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    while True:
        step = step % 0x7FFF + 1
        quarter = step * HALF
        bench.table.update((index, Sample(quarter, GOOD, "", 0.0)) for index in short)
        bench.table.update((index, Sample(quarter << 32 | quarter, GOOD, "", 0.0)) for index in wide)
        await asyncio.sleep(1 / STEPS_PER_S)


def torn(address: int, data: bytes) -> int:
    """How many whole values in these registers have words that differ."""
    words = struct.unpack(f">{len(data) // 2}H", data)
    size = 2 if address < FIRST + HERE else 4
    first = -(address - FIRST) % size
    groups = (words[at : at + size] for at in range(first, len(words) - size + 1, size))
    return sum(len(set(group)) > 1 for group in groups)


async def client(port: int, reads: int, seed: int) -> tuple[int, int, set[int]]:
    """Values checked, values torn, and the moments that were seen."""
    chance, moments = random.Random(seed), set[int]()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    values = found = 0
    for _ in range(reads // BATCH):
        asked = []
        for number in range(BATCH):
            start = FIRST + chance.choice((0, HERE)) + chance.randrange(HERE - MOST)
            asked.append((start, chance.randrange(4, MOST)))
            writer.write(adu(number, read(*asked[-1])))
        for start, count in asked:
            head = await reader.readexactly(9)
            if head[7] != 3:
                raise SystemExit(f"a read of {count} at {start} was answered {head[7:].hex()}")
            data = await reader.readexactly(head[8])
            found += torn(start, data)
            values += count // (2 if start < FIRST + HERE else 4)
            moments.add(data[1])
    writer.close()
    return values, found, moments


async def measure() -> int:
    """Prints what was seen; 1 when a value was torn, or when nothing changed meanwhile."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.torn", "--serve", cwd=REPO, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        port, began = int(await process.stdout.readline()), time.monotonic()
        seen = await asyncio.gather(*(client(port, READS // CLIENTS, seed) for seed in range(CLIENTS)))
    finally:
        process.kill()
        await process.wait()
    values, found, moments = sum(s[0] for s in seen), sum(s[1] for s in seen), set[int]().union(*(s[2] for s in seen))
    sys.stdout.write(
        f"{READS} reads, {values} values at {len(moments)} moments or more, "
        f"{time.monotonic() - began:.0f} s: {found} torn\n"
    )
    return 1 if found or len(moments) < 2 else 0


if __name__ == "__main__":
    if "--serve" in sys.argv:
        run_loop(serve())
    sys.exit(asyncio.run(measure()))

"""The main job at full size: 500 stations, 50 zones, 20 meters of one EVCE as Modbus and BACnet.

    python -m tests.benchmarks.main_job [--quick]

prints one table with the aim beside each figure: points, start to first complete image (5 starts without and 3 with an
address book), CPU time per poll cycle over 60 s, memory, log lines and descriptors, Modbus write to PUT, and (from
`answers.py`, in a process of its own) HTTP answer to register. About 2.5 minutes; `--quick` (25 s) is for a look.
It asserts no timing and exits 1 only when something that is measured did not work.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from gateway.checkout import ModbusError
from tests.benchmarks.image import Block, blocks, complete
from tests.benchmarks.imports import import_rows
from tests.benchmarks.rig import (
    REPO,
    ZONES,
    BrokenError,
    Gateway,
    Row,
    Simulated,
    gateway,
    show,
    simulator,
    stop_on_sigterm,
)

QUICK = "--quick" in sys.argv
CYCLE_S = 5.0
CYCLES = 2 if QUICK else 12
COLD, WARM = (1, 1) if QUICK else (5, 3)
SETTLE_S = 4.0
WRITES, WRITE_GAP_S = 20, 0.25


async def measure(folder: Path) -> list[Row]:
    """Everything that needs the two processes."""
    with simulator(folder) as evce:
        wanted, points = await first_look(folder, evce)
        cold = [await start(folder, evce, wanted, cold=True) for _ in range(COLD)]
        warm = [await start(folder, evce, wanted, cold=False) for _ in range(WARM)]
        rows = [points, *start_rows("no address book", cold), *start_rows("known site", warm), *import_rows()]
        with gateway(folder, evce.url) as running:
            async with await running.client() as client:
                await complete(running, client, wanted)
            rows += await polling(running)
            rows += await writing(running, evce)
            rows += [Row("peak RSS at the end", (running.memory_mb("VmHWM"),), "MB", "< 150")]
    return rows


async def first_look(folder: Path, evce: Simulated) -> tuple[list[Block], Row]:
    """Which registers there are, from a gateway that has had the time to read everything."""
    with gateway(folder, evce.url) as running:
        await running.client()
        await asyncio.sleep(SETTLE_S)
        status, rows = await running.ask("/status"), await running.ask("/points")
    bad = {name: count for name, count in status["points"].items() if name != "good"}
    if bad or status["without_address"]:
        raise BrokenError(f"points without a good value: {bad}; without an address: {status['without_address']}")
    return blocks(rows), Row("points", (len(rows),), "")


async def start(folder: Path, evce: Simulated, wanted: Sequence[Block], *, cold: bool) -> tuple[float, float]:
    """Seconds from process start to the open port and to the complete image."""
    if cold:
        shutil.rmtree(folder / "state", ignore_errors=True)
    with gateway(folder, evce.url) as running:
        client = await running.client()
        port_s = time.monotonic() - running.started
        async with client:
            return port_s, await complete(running, client, wanted)


def start_rows(how: str, starts: Sequence[tuple[float, float]]) -> list[Row]:
    """Both figures of `start`."""
    ports, images = zip(*starts, strict=True)
    return [
        Row(f"start to first complete image, {how}", images, "s", "< 3"),
        Row(f"  of it until the ports are open, {how}", ports, "s"),
    ]


async def polling(running: Gateway) -> list[Row]:
    """CPU time of each 5 s cycle, and what has grown meanwhile."""
    await asyncio.sleep(SETTLE_S)
    lines, cycles = len(running.log_lines()), []
    for _ in range(CYCLES):
        before = running.cpu_s()
        await asyncio.sleep(CYCLE_S)
        cycles.append((running.cpu_s() - before) * 1000)
    mean = sum(cycles) / len(cycles)
    logged = len(running.log_lines()) - lines
    return [
        Row(f"CPU per 5 s poll cycle, each of {CYCLES}", tuple(cycles), "ms", "< 150"),
        Row(f"  mean over {CYCLES * CYCLE_S:.0f} s", (mean,), "ms", "< 150"),
        Row("  CPU idle (of one core)", (100 - mean / CYCLE_S / 10,), "%"),
        Row("RSS after polling", (running.memory_mb(),), "MB", "< 150"),
        Row("log lines while polling", (logged,), "", "0"),
        Row("file descriptors", (running.descriptors(),), ""),
    ]


async def writing(running: Gateway, evce: Simulated) -> list[Row]:
    """One limit per zone, far enough apart that none waits for another; each value is used once."""
    rows = {row["point"]: row for row in await running.ask("/points")}
    zones = sorted(name for name in rows if name.startswith("evce/zone/") and name.endswith("/reduction"))[:WRITES]
    answered: dict[float, float] = {}
    took: list[float] = []
    async with await running.client() as client:
        for number, name in enumerate(zones):
            value = 10 + number * 0.25
            begun = time.time()
            await client.write_float(rows[name]["modbus"]["register"], value)
            answered[value] = time.time()
            took.append((answered[value] - begun) * 1000)
            await asyncio.sleep(WRITE_GAP_S)
    puts = {put["body"]["value"]: put for put in await received(evce) if put["method"] == "PUT"}
    missing = [value for value in answered if value not in puts or puts[value]["status"] != 200]
    if missing or len(zones) != min(WRITES, ZONES):
        raise BrokenError(f"limits that never arrived at the product: {missing}")
    waits = tuple((puts[value]["time"] - at) * 1000 for value, at in answered.items())
    return [
        Row("Modbus FC16 answered to PUT at the product", waits, "ms", "< 20"),
        Row("  FC16 request to answer", tuple(took), "ms"),
    ]


async def received(evce: Simulated) -> list[dict[str, Any]]:
    """The write requests the simulator has had."""
    async with aiohttp.ClientSession() as client, client.get(f"{evce.control}/received") as response:
        entries: list[dict[str, Any]] = await response.json()
        return entries


def answer_rows() -> list[Row]:
    """The rows of `answers.py`, measured in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.answers", "--json", *(["--quick"] if QUICK else [])]
    done = subprocess.run(command, cwd=REPO, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise BrokenError("tests.benchmarks.answers failed")
    return [Row(what, tuple(samples), unit, aim) for what, samples, unit, aim in json.loads(done.stdout)]


def main() -> int:
    """Prints the table; 1 when something did not work."""
    stop_on_sigterm()
    try:
        with tempfile.TemporaryDirectory(prefix="evce-bench-") as folder:
            rows = asyncio.run(measure(Path(folder)))
        show("the main job: 500 stations, 50 zones, 20 meters", rows + answer_rows())
    except (BrokenError, ModbusError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

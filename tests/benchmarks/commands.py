"""The way of a command under load: a write storm on one zone, a hundred zones at once, and what a commit costs.

    python -m tests.benchmarks.commands [--quick]

Simulator and gateway are processes of their own for the first two; every latency of the storm counts from the moment
the write was due, so that a slow answer is not hidden by the writes that wait behind it. The commit cost is paired:
the same writes into the same desk in this process, in turn with the real journal and with one that keeps nothing.
About 1 minute, `--quick` 25 s; asserts no timing and exits 1 when a write was refused or never came into force.
"""

from __future__ import annotations

import asyncio
import struct
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from gateway import telemetry
from gateway.app.clock import SystemClock
from gateway.checkout import ModbusClient, ModbusError
from gateway.core.write_status import WriteStatus
from gateway.engine.ports import Evidence
from gateway.simulator import EvceSimulator
from gateway.store import SqliteJournal
from tests.benchmarks.rig import BrokenError, Gateway, Row, Simulated, gateway, show, simulator, stop_on_sigterm
from tests.engine.rig import CLIENTS, Plant, until

QUICK = "--quick" in sys.argv
STORM_S = 3.0 if QUICK else 10.0
STORM_PER_S, CONNECTIONS = 1000, 10
ZONES = 100
PATIENCE_S = 30.0
PAIRS, WRITES = (4, 200) if QUICK else (10, 500)
READY_S = 20.0
POINT = "evce/zone/Zone A/reduction"


async def storm(folder: Path) -> list[Row]:
    """A thousand changing limits per second for one zone, over ten connections."""
    with simulator(folder, stations=12, zones=3, meters=1) as evce, gateway(folder, evce.url) as running:
        register = (await _registers(running))[0]["modbus"]["register"]
        before = len(await _puts(evce))
        clients = [await ModbusClient("127.0.0.1", running.modbus_port).__aenter__() for _ in range(CONNECTIONS)]
        cpu, began = running.cpu_s(), time.monotonic()
        waits = await asyncio.gather(*(_paced(client, register, i, began) for i, client in enumerate(clients)))
        took, cpu = time.monotonic() - began, running.cpu_s() - cpu
        await clients[0].write_float(register, 17.5)
        await _until_put(evce, 17.5)
        puts = len(await _puts(evce)) - before
        for client in clients:
            await client.__aexit__(None, None, None)
        latencies = sorted(wait * 1000 for waits_of_one in waits for wait in waits_of_one)
        fault = [line for line in running.log_lines() if "journal.fault" in line]
    p99 = latencies[int(len(latencies) * 0.99)]
    return [
        Row(f"storm on one zone: writes in {took:.1f} s", (len(latencies),), "", f"{STORM_PER_S * STORM_S:.0f}"),
        Row("  due to answered", tuple(latencies), "ms", "< 100"),
        Row("  p99", (p99,), "ms", "< 100"),
        Row("  PUTs at the product", (puts,), "", f"<= {STORM_S / 2 + 2:.0f}"),
        Row("  CPU of the gateway (of one core)", (cpu / took * 100,), "%"),
        Row("  persistence faults", (len(fault),), "", "0"),
    ]


async def _paced(client: ModbusClient, register: int, number: int, began: float) -> list[float]:
    waits = []
    for turn in range(int(STORM_PER_S * STORM_S / CONNECTIONS)):
        due = began + (turn * CONNECTIONS + number) / STORM_PER_S
        await asyncio.sleep(max(due - time.monotonic(), 0.0))
        await client.write_float(register, 20.0 + (turn * 7 + number) % 40 * 0.25)
        waits.append(time.monotonic() - due)
    return waits


async def at_once(folder: Path) -> list[Row]:
    """One limit for each of a hundred zones, written together; confirmed is what the gateway's own receipt says."""
    with simulator(folder, stations=ZONES, zones=ZONES, meters=1) as evce, gateway(folder, evce.url) as running:
        rows = await _registers(running, ZONES)
        clients = [await ModbusClient("127.0.0.1", running.modbus_port).__aenter__() for _ in range(CONNECTIONS)]
        began, wall = time.monotonic(), time.time()
        await asyncio.gather(*(_share(client, rows[i::CONNECTIONS]) for i, client in enumerate(clients)))
        answered = time.monotonic() - began
        statuses = [row["status"] for row in rows]
        while any([await _status(clients[0], register) != WriteStatus.IN_FORCE for register in statuses]):
            if time.monotonic() - began > PATIENCE_S:
                raise BrokenError(f"not every limit is in force after {PATIENCE_S:.0f} s")
        confirmed = time.monotonic() - began
        puts = [put for put in await _puts(evce) if put["time"] >= wall]
        for client in clients:
            await client.__aexit__(None, None, None)
    if len(puts) != ZONES:
        raise BrokenError(f"{len(puts)} PUTs for {ZONES} zones")
    return [
        Row(f"{ZONES} zones written at once: all answered", (answered * 1000,), "ms"),
        Row("  all at the product", (max(put["time"] for put in puts) - wall,), "s"),
        Row("  all confirmed by a read-back", (confirmed,), "s"),
    ]


async def _share(client: ModbusClient, rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        await client.write_float(row["modbus"]["register"], 12.0 + row["modbus"]["register"] % 23)


async def _status(client: ModbusClient, register: int) -> int:
    (status,) = struct.unpack(">H", await client.read(register, 1))
    return int(status)


async def _registers(running: Gateway, count: int = 1) -> list[dict[str, Any]]:
    """The limits' rows, once all were read from the product, each with the register of its write_status."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        await asyncio.sleep(0.2)
        if not running.control.exists():
            continue
        rows = {row["point"]: row for row in await running.ask("/points")}
        names = [n for n in rows if n.endswith("/reduction.applied") and rows[n]["quality"] == "good"]
        limits = [name.removesuffix(".applied") for name in sorted(names)]
        if len(limits) >= count and all(rows[name]["value"] is not None for name in limits):
            return [
                {**rows[name], "status": rows[f"{name}.write_status"]["modbus"]["register"]} for name in limits[:count]
            ]
    raise BrokenError("the zones were not read in time")


async def _puts(evce: Simulated) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as client, client.get(f"{evce.control}/received") as response:
        return [entry for entry in await response.json() if entry["method"] == "PUT"]


async def _until_put(evce: Simulated, value: float) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while all(put["body"]["value"] != value for put in (await _puts(evce))[-3:]):
        if time.monotonic() > deadline:
            raise BrokenError("the last limit of the storm never arrived at the product")
        await asyncio.sleep(0.05)


# -- the commit ------------------------------------------------------------------------------------------------------


class Switched:
    """A journal that is the real one, or keeps nothing and answers at once."""

    def __init__(self, real: SqliteJournal) -> None:
        self.real, self.on = real, True
        self.fault = ""

    def restored(self) -> Mapping[str, Any]:
        return {}

    async def commit(self, states: Mapping[str, Any], evidence: Sequence[Evidence]) -> bool:
        return await self.real.commit(states, evidence) if self.on else True

    def note(self, states: Mapping[str, Any], evidence: Sequence[Evidence]) -> None:
        if self.on:
            self.real.note(states, evidence)


async def commit_cost(folder: Path) -> list[Row]:
    """Each accepted write with and without the journal, in turns, one after another; nothing is delivered."""
    journal = SqliteJournal(folder, clock=SystemClock())
    journal.open()
    switched = Switched(journal)
    costs: dict[bool, list[float]] = {True: [], False: []}
    cpu: dict[bool, list[float]] = {True: [], False: []}
    try:
        async with EvceSimulator(stations=2, zones=1, meters=1) as evce:
            plant = Plant(journal=switched)
            plant.add("evce", evce, factor=1.0)
            async with plant.running(desk=False):
                await until(lambda: plant.value(f"{POINT}.applied") is not None)
                for turn in range(2 * PAIRS + 2):
                    switched.on = turn % 2 == 0
                    wall, busy = await _write(plant, turn)
                    if turn > 1:  # the first pair warms up
                        costs[switched.on].append(wall)
                        cpu[switched.on].append(busy)
    finally:
        journal.close()
        for client in CLIENTS:
            await client.close()
    added = [with_ - without for with_, without in zip(costs[True], costs[False], strict=True)]
    more = [with_ - without for with_, without in zip(cpu[True], cpu[False], strict=True)]
    return [
        Row(f"accepted write, journaled, each of {PAIRS} x {WRITES}", tuple(costs[True]), "ms"),
        Row("  without a journal", tuple(costs[False]), "ms"),
        Row("  the commit's part, paired", tuple(added), "ms", "< 5"),
        Row("  CPU of it, both threads", tuple(more), "ms"),
    ]


async def _write(plant: Plant, turn: int) -> tuple[float, float]:
    """Mean milliseconds of one write, on the clock and on the processor."""
    began, busy = time.perf_counter(), time.process_time()
    for number in range(WRITES):
        await plant.ask(10.0 + (number + turn) % 80 * 0.25)
    return (time.perf_counter() - began) * 1000 / WRITES, (time.process_time() - busy) * 1000 / WRITES


async def measure(folder: Path) -> list[Row]:
    """All three, each in a folder of its own."""
    rows: list[Row] = []
    for part in (storm, at_once, commit_cost):
        own = folder / part.__name__
        own.mkdir()
        rows += await part(own)
    return rows


def main() -> int:
    """Prints the table; 1 when something did not work."""
    stop_on_sigterm()
    telemetry.configure("error")
    try:
        with tempfile.TemporaryDirectory(prefix="evce-bench-") as folder:
            rows = asyncio.run(measure(Path(folder)))
    except (BrokenError, ModbusError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    show("commands under load", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())

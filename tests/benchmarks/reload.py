"""Reloads of a mapping under Modbus load: how long one takes, how long answers wait meanwhile, and what is left behind.

`python -m tests.benchmarks.reload --stations 500 --reloads 20`
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import structlog
import yaml
from pyModbusTCP.client import ModbusClient

from gateway.app.footprint import footprint
from tests.site import MAPPINGS, Running, running_site

CHANGES: list[dict[str, Any]] = [{"setpoint": None, "another": {"from": "status", "path": "setpoint"}}, {}]
PAUSE_S = 0.2


def write_mapping(folder: Path, points: dict[str, Any]) -> None:
    text = {"extends": str(MAPPINGS / "evce.yaml"), "resources": {"zone": {"points": points}}}
    (folder / "own.yaml").write_text(yaml.safe_dump(text))


async def ask(site: Running, done: asyncio.Event, took: list[float]) -> int:
    """Reads 60 registers again and again on one connection; returns how many requests had no answer."""
    client, lost = ModbusClient(host="127.0.0.1", port=site.modbus_port, unit_id=1, timeout=30), 0
    while not done.is_set():
        began = time.perf_counter()
        lost += await asyncio.to_thread(client.read_holding_registers, 1000, 60) is None
        took.append(time.perf_counter() - began)
    client.close()
    return lost


async def measure(stations: int, reloads: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_mapping(folder, {})

        def own(data: dict[str, Any]) -> None:
            data["sources"][0]["mapping"] = "own.yaml"

        async with running_site(folder, change=own, stations=stations, zones=max(stations // 25, 1)) as site:
            await site.until(lambda: all(poller.health.connected for poller in site.daemon.pollers.values()), 60)
            waits: list[float] = []
            done, lengths = asyncio.Event(), []
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(ask(site, done, waits))
                for number in range(reloads):
                    write_mapping(folder, CHANGES[number % 2])
                    began = time.perf_counter()
                    refused = (await site.daemon.reload("benchmark")).refused
                    assert not refused, refused
                    lengths.append(time.perf_counter() - began)
                    if number in (reloads // 2, reloads - 1):
                        gc.collect()
                        sys.stdout.write(f"after {number + 1} reloads: {footprint()}\n")
                    await asyncio.sleep(PAUSE_S)
                done.set()
            waits.sort()
            tail, points = waits[int(len(waits) * 0.99)], len(site.daemon.placed)
            sys.stdout.write(f"{points} points; a reload took {min(lengths):.2f} to {max(lengths):.2f} s\n")
            lost = asking.result()
            sys.stdout.write(f"{len(waits)} reads, {lost} lost; p99 {tail * 1000:.1f} ms, longest {waits[-1]:.2f} s\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stations", type=int, default=500)
    parser.add_argument("--reloads", type=int, default=20)
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.stations, arguments.reloads))


if __name__ == "__main__":
    main()

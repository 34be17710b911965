"""What a thousand virtual BACnet devices cost beside one device with the same objects, in one run.

python -m tests.benchmarks.bacnet_devices [--stations 1000]

The real process starts with so many expected stations and a product that is switched off: seconds until it serves, and
its memory; then a Who-Is to all devices until the last I-Am, and reads one after another, of the gateway's own device
and of a virtual one behind its router.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from tests.benchmarks.modbus import cpu_s
from tests.servers.bacnet.campus import FIRST, NETWORK, WHO_IS, Router, destined, key, mac
from tests.servers.bacnet.conftest import RawClient, unicast
from tests.site import MAPPINGS, free_port

OWN, DEVICE = 260001, 8
READS = 2000
STARTS = 3


def site(folder: Path, stations: int, port: int, *, virtual: bool) -> Path:
    """A fresh site's configuration."""
    folder.mkdir()
    (folder / "password").write_text("x", encoding="ascii")
    source = {
        "name": "evce",
        "kind": "evce",
        "url": "http://127.0.0.1:9",
        "username": "bms",
        "password": {"file": "password"},
        "mapping": str(MAPPINGS / "evce.yaml"),
        "expect": {"station": [f"Bay {number}" for number in range(stations)]},
    }
    bacnet: dict[str, Any] = {"address": f"127.0.0.1/32:{port}", "device": {"instance": OWN}}
    if virtual:
        bacnet |= {"devices": "per_resource", "network": NETWORK, "first_instance": FIRST}
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"state_dir": "state", "sources": [source], "bacnet": bacnet}), encoding="utf-8")
    return config


def start(config: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The process; the seconds until it served, those of CPU time among them, and its memory."""
    environment = {name: value for name, value in os.environ.items() if name != "RUNTIME_DIRECTORY"}
    ready = config.parent / "state" / "control.sock"
    ready.unlink(missing_ok=True)
    began = time.perf_counter()
    command = (sys.executable, "-m", "gateway", "run", "-c", str(config))
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    while not ready.exists():
        if process.poll() is not None:
            raise SystemExit("the gateway did not start")
        time.sleep(0.005)
    took_s, worked_s = time.perf_counter() - began, cpu_s(process.pid)
    pages = int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1])
    return process, f"{took_s:.2f} s ({worked_s:.2f} s CPU), {pages * os.sysconf('SC_PAGE_SIZE') / 1e6:.0f} MB"


async def roll_call(client: Router, stations: int) -> tuple[int, float]:
    """How many devices answered one Who-Is, and the seconds to the last."""
    client.send(destined(WHO_IS, NETWORK))
    began = last = time.perf_counter()
    found = set()
    while (heard := await client.hear(1.0)) is not None:
        found.add(heard.device)
        last = time.perf_counter()
        if len(found) == stations:
            break
    return len(found), last - began


async def read_us(client: Router, datagram: bytes) -> float:
    """The median of one read after another."""
    took = []
    for _ in range(READS):
        began = time.perf_counter()
        assert await client.raw.ask(datagram, 2.0) is not None
        took.append(time.perf_counter() - began)
    return 1e6 * statistics.median(took)


async def converse(port: int, stations: int) -> list[str]:
    client = Router(RawClient(port))
    await asyncio.sleep(1.0)
    count, took_s = await roll_call(client, stations)
    name = f"0205 05 0c 0c{key(DEVICE, 4194303)} 194d"
    direct = await read_us(client, unicast(bytes.fromhex(name)))
    npdu = destined(name, NETWORK, mac(stations // 2))
    routed = await read_us(client, b"\x81\x0a" + (4 + len(npdu)).to_bytes(2, "big") + npdu)
    client.raw.sock.close()
    return [
        f"  one Who-Is: {count} I-Am in {took_s:.2f} s",
        f"  one ReadProperty after another: {direct:.0f} us of the own device, {routed:.0f} us of a virtual one",
    ]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=int, default=1000)
    stations = parser.parse_args().stations
    lines = [f"{stations} stations:"]
    with tempfile.TemporaryDirectory() as folder:
        for virtual, name in ((False, "one device"), (True, "a device each")):
            port = free_port()
            config = site(Path(folder) / name, stations, port, virtual=virtual)
            for number in range(STARTS):
                process, took = start(config)
                lines.append(f"  {name}, start {number + 1}: {took}")
                if virtual and number == STARTS - 1:
                    lines += asyncio.run(converse(port, stations))
                process.kill()
                process.wait()
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

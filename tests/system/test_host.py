"""A host that is not what one would wish for: no network yet, no time yet, no CPU left (FAULTS section 7)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pyModbusTCP.client import ModbusClient

from gateway.web import ControlError, ask_daemon
from tests.faults.proxy import FaultProxy
from tests.site import AheadClock, running_site
from tests.system.test_service import complete

ZONE = "evce/zone/Zone A"
LIMIT = f"{ZONE}/reduction"
TWENTY_YEARS_S = 20 * 365 * 86400.0


class UnsetClock(AheadClock):
    """A machine without a battery for its clock, until a time server was heard."""

    def __init__(self) -> None:
        super().__init__()
        self.is_set = False

    def wall(self) -> float:
        return super().wall() - (0.0 if self.is_set else TWENTY_YEARS_S)

    def synchronised(self) -> bool:
        return self.is_set


async def test_H13_started_before_network_and_time_it_waits_and_becomes_good_without_a_restart(tmp_path):
    async with FaultProxy(("127.0.0.1", 1)) as network:
        await network.refuse()
        clock = UnsetClock()

        def change(data):
            product = urlsplit(data["sources"][0]["url"])
            network.target = ("127.0.0.1", product.port)
            data["sources"][0]["url"] = f"https://127.0.0.1:{network.port}"
            del data["sources"][1:]

        async with running_site(tmp_path, change=change, gateway_clock=clock) as site:
            client = ModbusClient("127.0.0.1", site.modbus_port, auto_open=True)
            header = await asyncio.to_thread(client.read_holding_registers, 0, 12)
            assert header[:2] == [0x4556, 0x4757]
            assert header[10:12] == [0, 1]
            await site.until(lambda: "cannot connect" in site.daemon.pollers["evce"].health.reason)
            await network.listen()
            await site.until(lambda: "not valid before" in site.daemon.pollers["evce"].health.reason)
            clock.is_set = True
            await site.until(lambda: site.daemon.pollers["evce"].health.connected, 40.0)
            await site.until(lambda: site.value(f"{ZONE}/current") is not None, 20.0)
            await site.until(lambda: site.value("gateway/header/sources_good") == 1)
            assert await asyncio.to_thread(client.read_holding_registers, 10, 2) == [1, 1]
            client.close()


async def accepted(state: Path) -> float:
    """What Zone A is asked to keep to, once the gateway of this state answers."""
    while True:
        with contextlib.suppress(ControlError):
            return float((await ask_daemon(state / "control.sock", "POST", "/read", {"point": LIMIT}))["value"])
        await asyncio.sleep(0.05)


async def test_H09_ended_by_the_kernel_it_serves_again_with_what_was_asked(bench):
    """As the kernel ends a process over MemoryMax; with RestartSec=5 it has five seconds of a processor left."""
    await bench.products()
    process = await bench.run()
    await complete(process)
    ask = {"point": LIMIT, "value": 21.0, "slot": None, "until": None}
    await ask_daemon(bench.folder / "state" / "control.sock", "POST", "/write", ask)
    before = (bench.folder / "state" / "addresses.yaml").read_bytes()
    assert await process.end(signal.SIGKILL) == -signal.SIGKILL
    process = await bench.run()
    async with asyncio.timeout(40.0):
        assert await accepted(bench.folder / "state") == 21.0
    spent = Path(f"/proc/{process.process.pid}/stat").read_text().rpartition(")")[2].split()
    assert (int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK") < 5.0
    assert (bench.folder / "state" / "addresses.yaml").read_bytes() == before
    await complete(process)


def reads(port: int, seconds: float) -> list[float]:
    """How long each read took, one after the other."""
    took = []
    request = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 0, 100)
    with socket.create_connection(("127.0.0.1", port), 5.0) as connection:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            connection.sendall(request)
            left = 9 + 200
            while left:
                left -= len(connection.recv(left))
            took.append(time.monotonic() - began)
            time.sleep(0.02)
    return took


@pytest.mark.timeout(90)
async def test_H11_with_no_cpu_left_reads_are_answered_within_a_second(bench):
    """Busy loops, two for each core, beside a real gateway; then half a second without any, which it counts."""
    await bench.products()
    process = await bench.run()
    control = bench.folder / "state" / "control.sock"
    port = int(bench.files.data["modbus"]["listen"].rpartition(":")[2])
    with contextlib.ExitStack() as stack:
        for _ in range(2 * (os.cpu_count() or 1)):
            busy = subprocess.Popen((sys.executable, "-c", "while True: pass"))
            stack.callback(busy.wait)
            stack.callback(busy.kill)
        took = await asyncio.to_thread(reads, port, 2.0)
    assert len(took) > 2
    assert max(took) < 1.0
    before = (await ask_daemon(control, "GET", "/status"))["loop"]
    process.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(0.5)
    process.process.send_signal(signal.SIGCONT)
    async with asyncio.timeout(20.0):
        while (now := (await ask_daemon(control, "GET", "/status"))["loop"])["overruns"] <= before["overruns"]:
            await asyncio.sleep(0.05)
    assert now["worst_ms"] > 100

"""The site of the disturber: one EVCE behind a fault proxy, two Bender controllers, and the real gateway process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.checkout import ModbusClient, ModbusError
from gateway.simulator import BenderSimulator, EvceSimulator
from gateway.web import ControlError, ask_daemon
from tests.faults.proxy import FaultProxy
from tests.site import free_port, site_files

STATIONS, ZONES, METERS = 12, 3, 2
LIMITED = "evce/zone/Zone A/reduction"
LIMIT_A = 16.5
START_S = 20.0
SECONDS_TO_STOP = 12.0
QUICK = {
    "evce.yaml": """\
extends: "{base}"
resources:
  zone:
    list: {{every: 3s}}
    reads: {{status: {{every: 500ms}}, reduction: {{every: 1s}}, properties: {{every: 3s}}}}
    members: {{every: 3s}}
  station: {{list: {{every: 3s}}, reads: {{status: {{every: 500ms}}}}}}
  meter: {{list: {{every: 3s}}, reads: {{values: {{every: 500ms}}}}}}
""",
    "bender.yaml": """\
extends: "{base}"
resources:
  charger: {{reads: {{state: {{every: 500ms}}, messages: {{every: 1s}}, settings: {{every: 3s}}}}}}
""",
}
"""The shipped mappings with shorter periods, for a run of some seconds."""


class BrokenError(Exception):
    """What is to be disturbed does not even run; the text says what."""


@dataclass
class Plant:
    """What is disturbed and judged."""

    folder: Path
    evce: EvceSimulator
    proxy: FaultProxy
    benders: list[BenderSimulator]
    process: asyncio.subprocess.Process
    modbus_port: int

    async def ask(self, what: str) -> Any:
        """GET on the control socket."""
        return await ask_daemon(self.folder / "state" / "control.sock", "GET", what)

    async def status(self) -> dict[str, Any]:
        """What `evce-gateway status --json` prints."""
        found: dict[str, Any] = await self.ask("/status")
        return found

    async def points(self) -> dict[str, dict[str, Any]]:
        """All points by name."""
        return {row["point"]: row for row in await self.ask("/points")}

    def log(self) -> list[str]:
        """Every line logged so far."""
        return (self.folder / "log").read_text(encoding="utf-8").splitlines()

    def addresses(self) -> str:
        """The text of addresses.yaml."""
        return (self.folder / "state" / "addresses.yaml").read_text(encoding="utf-8")

    async def limit(self) -> None:
        """A BMS writes a limit to Zone A over Modbus."""
        row = (await self.points())[LIMITED]
        async with ModbusClient("127.0.0.1", self.modbus_port) as client:
            await client.write_float(row["modbus"]["register"], LIMIT_A)

    async def stop(self) -> tuple[int | None, float]:
        """SIGTERM; the exit code (None: had to be killed) and the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.wait_for(self.process.wait(), SECONDS_TO_STOP)
        except TimeoutError:
            return None, SECONDS_TO_STOP
        return code, time.monotonic() - began


class Reader:
    """A BMS that reads the header ten times a second over one connection, whatever happens behind the gateway."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.reads = 0
        self.slowest_s = 0.0
        self.failures: list[str] = []

    async def run(self) -> None:
        """Reads until cancelled."""
        async with ModbusClient("127.0.0.1", self._port) as client:
            while True:
                began = time.monotonic()
                try:
                    await client.read(0, 40)
                except ModbusError as error:
                    self.failures.append(str(error))
                self.reads += 1
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def plant(folder: Path, dialect: str, *, quick: bool) -> AsyncIterator[Plant]:
    """Everything running and the gateway's control socket answering; the process is killed at the end if it lives."""
    async with contextlib.AsyncExitStack() as stack:
        evce = await stack.enter_async_context(
            EvceSimulator(dialect=dialect, stations=STATIONS, zones=ZONES, meters=METERS)
        )
        benders = [await stack.enter_async_context(BenderSimulator(seed=seed)) for seed in (2, 3)]
        port = urlsplit(evce.url).port
        assert port is not None
        proxy = await stack.enter_async_context(FaultProxy(("127.0.0.1", port)))
        files = site_files(folder, evce, benders, dialect)
        files.data["sources"][0]["url"] = f"https://127.0.0.1:{proxy.port}"
        modbus = files.data["modbus"]["listen"] = f"127.0.0.1:{free_port(socket.SOCK_STREAM)}"
        if quick:
            for source in files.data["sources"]:
                source["mapping"] = str(quicker(folder, Path(source["mapping"])))
        files.write()
        log = stack.enter_context((folder / "log").open("ab"))
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "run", "-c", str(files.config)),
            stderr=log,
            env=_environment(),
        )
        stack.push_async_callback(_kill, child)
        running = Plant(folder, evce, proxy, benders, child, int(modbus.rpartition(":")[2]))
        await _answering(running)
        yield running


def quicker(folder: Path, base: Path) -> Path:
    """A mapping in the folder that extends `base` with shorter periods."""
    kind = "bender.yaml" if base.name == "bender.yaml" else "evce.yaml"
    file = folder / f"quick-{base.name}"
    file.write_text(QUICK[kind].format(base=base), encoding="utf-8")
    return file


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "RUNTIME_DIRECTORY"}


async def _answering(running: Plant) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and running.process.returncode is None:
        with contextlib.suppress(ControlError):
            await running.status()
            return
        await asyncio.sleep(0.1)
    raise BrokenError(f"the gateway did not start; its log ends: {running.log()[-3:]}")


async def _kill(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        child.kill()
        await child.wait()

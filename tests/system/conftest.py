"""A real gateway process beside simulators in the test process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.simulator import BenderSimulator, EvceSimulator
from tests.site import SiteFiles, free_port, run_program, site_files, until


class Process:
    """`python -m gateway run` on a site's files."""

    def __init__(self, files: SiteFiles, process: asyncio.subprocess.Process) -> None:
        self.files, self.process = files, process

    async def cli(self, *arguments: str) -> tuple[int, str, str]:
        """One `evce-gateway` command on this site's configuration."""
        return await gateway(*arguments, "-c", str(self.files.config))

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal and waits at most 10 s for the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 10.0)


async def gateway(*arguments: str) -> tuple[int, str, str]:
    return await run_program(sys.executable, "-m", "gateway", *arguments)


class Bench:
    """Starts simulators and gateway processes for one test."""

    def __init__(self, folder: Path, stack: contextlib.AsyncExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.evce: EvceSimulator
        self.benders: list[BenderSimulator] = []
        self.files: SiteFiles

    async def products(self, dialect: str = "desc") -> None:
        self.evce = await self._stack.enter_async_context(EvceSimulator(dialect=dialect, stations=4, zones=2, meters=1))
        self.benders = [await self._stack.enter_async_context(BenderSimulator(seed=2))]
        self.files = site_files(self.folder, self.evce, self.benders, dialect)
        self.files.data["modbus"]["listen"] = f"127.0.0.1:{free_port(socket.SOCK_STREAM)}"
        self.files.write()

    async def start(self, *arguments: str) -> Process:
        """Starts the gateway."""
        log = (self.folder / "log").open("ab")
        self._stack.callback(log.close)
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "run", "-c", str(self.files.config), *arguments), stderr=log
        )
        process = Process(self.files, child)
        self._stack.push_async_callback(process.end, signal.SIGKILL)
        return process

    async def run(self, *arguments: str) -> Process:
        """Starts the gateway and waits until its control socket answers."""
        process, socket_path = await self.start(*arguments), self.folder / "state" / "control.sock"
        await until(lambda: socket_path.exists() or process.process.returncode is not None)
        return process

    def log(self) -> str:
        return (self.folder / "log").read_text()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with contextlib.AsyncExitStack() as stack:
        yield Bench(tmp_path, stack)
